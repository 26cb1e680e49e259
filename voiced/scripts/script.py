"""The user's file: which version of it there is, what it defines, what its callbacks are given."""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import msgspec

from voiced.parameters import CALLBACKS, Reading, nearest
from voiced.scripts.agent import Agent
from voiced.scripts.declare import DeclarationError, Offer, offer
from voiced.scripts.text import sendable

LARGEST = 1024 * 1024
"""Bytes of a script."""
MODULE = "voiced_script"
"""The name under which the script is a module."""


class ScriptError(Exception):
    """The file cannot be used; its text says where and why."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the file, run."""

    source: str
    callbacks: dict[str, Callable[[dict[str, Any]], Any]]
    tools: dict[str, Offer]
    remarks: tuple[str, ...]


def version_of(path: Path) -> str:
    """Return what changes whenever the file does, "" where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def read(path: Path) -> str:
    """Return the source.

    Raises:
        ScriptError: there is no such file, or it is no text.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ScriptError(f"{path} is longer than {LARGEST} bytes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScriptError(
            f"there is no {path}; `voiced callbacks stub {path}` writes one, and it is taken as "
            "soon as it is there"
        ) from None
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is no UTF-8 text: {error}") from None
    except OSError as error:
        raise ScriptError(f"{path} cannot be read: {error.strerror or error}") from None


def compiled(path: Path, source: str) -> CodeType:
    """Return the file's text, compiled.

    Raises:
        ScriptError: it is no Python.
    """
    try:
        return compile(source, str(path), "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ScriptError(f"{path.name}{line}: {what}") from None


def load(path: Path, source: str, agent: Agent) -> Script:
    """Run the file's text in a module of its own.

    Raises:
        ScriptError: it cannot be compiled, or raised while it was run.
    """
    code = compiled(path, source)
    linecache.checkcache(str(path))
    module = ModuleType(MODULE)
    offers: list[Offer] = []
    module.__dict__.update(
        __file__=str(path), agent=agent, op=_op(agent), tool=_decorator(offers), debug=print
    )
    before = sys.modules.get(MODULE)
    _forget_neighbours(path.parent)
    sys.modules[MODULE] = module
    try:
        exec(code, module.__dict__)
        return _found(module, source, offers)
    except BaseException as error:  # sys.exit() at the top of a file is no reason to end.
        if before is not None:
            sys.modules[MODULE] = before
        raise ScriptError(raised(error, path)) from None


def _found(module: ModuleType, source: str, offers: Sequence[Offer]) -> Script:
    names = vars(module)
    callbacks = {name: names[name] for name in CALLBACKS if callable(names.get(name))}
    remarks = [
        f"{name} is no callback.{nearest(name, CALLBACKS)}"
        for name, value in names.items()
        if name[:2] == "on" and name[2:3].isupper() and name not in CALLBACKS and callable(value)
    ]
    tools = {one.declared.name: one for one in offers}
    return Script(source=source, callbacks=callbacks, tools=tools, remarks=tuple(remarks))


def _forget_neighbours(folder: Path) -> None:
    """Have what the script imports from its own folder read anew as well."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != MODULE and file and Path(file).parent == folder:
            del sys.modules[name]


def _decorator(offers: list[Offer]) -> Callable[..., Any]:
    def tool(
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str = "",
        description: str = "",
        mode: str = "enabled",
        confirm: bool = False,
        timeout: float = 0.0,
    ) -> Any:
        """Offer a function to the model: @tool, or @tool(confirm=True)."""

        def declare(wanted: Callable[..., Any]) -> Callable[..., Any]:
            one = offer(
                wanted, name=name, description=description, mode=mode, confirm=confirm,
                timeout=timeout,
            )  # fmt: skip
            if any(other.declared.name == one.declared.name for other in offers):
                raise DeclarationError(f"two tools are named {one.declared.name}; rename one")
            offers.append(one)
            return wanted

        return declare if function is None else declare(function)

    return tool


def _op(agent: Agent) -> Callable[[str], Agent]:
    def op(name: str) -> Agent:
        """Return the agent by its name, as TouchDesigner does."""
        if name.rsplit("/", 1)[-1] != agent.name:
            raise LookupError(
                f"this script belongs to {agent.name} and knows no {name!r}: other agents are "
                "reached by OSC"
            )
        return agent

    return op


def info_of(name: str, args: Sequence[int | float | str], agent: Agent) -> dict[str, Any]:
    """Return the `info` that a callback is called with."""
    info: dict[str, Any] = {"ownerComp": agent, "callbackName": name}
    for argument, value in zip(CALLBACKS[name].arguments, args, strict=True):
        match argument.reading:
            case Reading.FLAG:
                info[argument.name] = bool(value)
            case Reading.JSON:
                info[argument.name] = _json(str(value))
            case Reading.PLAIN:
                info[argument.name] = value
    return info


def _json(text: str) -> Any:
    """Return what a JSON text says; models write other things too."""
    try:
        return msgspec.json.decode(text) if text.strip() else {}
    except msgspec.DecodeError:
        return text


def raised(error: BaseException, path: Path) -> str:
    """Return what was raised and where in the file, in one line."""
    what = " ".join(traceback.format_exception_only(error)[-1].split())[:400]
    inside = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return sendable(f"{path.name}:{inside[-1].lineno}: {what}" if inside else what)
