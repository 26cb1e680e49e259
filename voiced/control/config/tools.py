"""Tools that the configuration declares: what the model is told, and the message that runs one.

[[agent.tool]]
name = "set_lights"
description = "Turn the lights to a colour"
args = { color = ["red", "green", "blue"], level = "0..1" }
send = { host = "127.0.0.1", port = 8000, address = "/lights/{color}", args = ["{level}"] }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from voiced.control.config.servers import HOLE, HttpConfig
from voiced.control.osc.codec import MAX_TEXT, encode
from voiced.mind.inputs import Origin, Tool, ToolSettings
from voiced.mind.toolbox import problem_of

CALL_ID = "call_id"
"""A placeholder for it may stand beside the arguments': whoever answers needs it."""
_RANGE = re.compile(r"(integer )?\s*(-?\d+(?:\.\d+)?)\s*\.\.\s*(-?\d+(?:\.\d+)?)")
_WORDS = {"text": "string", "number": "number", "integer": "integer", "boolean": "boolean"}
_FORMS = (
    'a list of words as ["red", "green"], a range as "0..1" or "integer 1..8", "text", "number", '
    '"integer", "boolean", or a JSON schema as { type = "string" }'
)
_NO_SEGMENT = re.compile(r"[^!-~]|[#*,/?\[\]{}]")
"""What an OSC address may not hold (OSC 1.0, OSC Address Spaces), and "/"."""


class SendConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The OSC message that a call becomes."""

    host: str = "127.0.0.1"
    """An address, or a name."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    address: str
    """`{color}` stands for an argument."""
    args: tuple[Any, ...] = ()
    """A text that is `{level}` alone is the argument in its own type."""

    def __post_init__(self) -> None:
        """Refuse an address that is none, and what no OSC message carries."""
        for arg in self.args:
            if not isinstance(arg, str | int | float):
                raise ValueError(f"args holds texts and numbers, not {arg!r}")
        if not self.address.startswith("/"):
            raise ValueError(f'address begins with "/", not {self.address!r}')
        if _NO_SEGMENT.search(HOLE.sub("", self.address).replace("/", "")):
            raise ValueError("address holds no spaces, no pattern and no letters beyond ASCII")


class ToolConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[[agent.tool]]: one tool that sends an OSC message or an HTTP request."""

    name: str
    description: str
    """The model chooses by it."""
    args: dict[str, Any] = {}
    """Name -> what it takes; every one is required."""
    send: SendConfig | None = None
    http: HttpConfig | None = None
    """Instead of `send`; its answer is the result."""
    wait: Annotated[float, msgspec.Meta(ge=0, le=600)] = 0.0
    """Seconds to wait for the result; 0 = `send` waits for none, `http` for tool_silence."""
    confirm: bool = False
    """A call waits for Approvetools."""
    mode: Literal["enabled", "enabled_nonblocking", "disabled"] = "enabled"

    def __post_init__(self) -> None:
        """Refuse what could not be called."""
        if (self.send is None) == (self.http is None):
            raise ValueError("it needs send or http, and not both")
        if self.send is not None:
            word, known = "send", {*self.args, CALL_ID}
            texts = [self.send.address, *(a for a in self.send.args if isinstance(a, str))]
        elif self.http is not None:
            word, known, texts = "http", set(self.args), [self.http.url]
        there = ", ".join(sorted(known)) or "none"
        wrong = [
            f"{word} uses {{{hole}}}, which is no argument; there are {there}"
            for hole in dict.fromkeys(name for text in texts for name in HOLE.findall(text))
            if hole not in known
        ]
        try:
            wrong.append(problem_of(self.declared()))
        except ValueError as error:
            wrong.append(str(error))
        if any(wrong):
            raise ValueError("; ".join(one for one in wrong if one))

    @property
    def executor(self) -> Origin:
        """Who runs it: whatever listens for the message, or the tools process."""
        if self.send is None:
            return Origin(kind="http", id=self.name)
        return Origin(kind="config", id=f"{self.send.host}:{self.send.port}")

    def declared(self) -> Tool:
        """Return the tool as the mind knows it.

        Raises:
            ValueError: an argument is described in no form that is known.
        """
        schema = {
            "type": "object",
            "properties": {name: schema_of(name, form) for name, form in self.args.items()},
            "required": list(self.args),
            "additionalProperties": False,
        }
        return Tool(
            name=self.name,
            description=self.description,
            schema=msgspec.json.encode(schema).decode(),
            executor=self.executor,
            mode=self.mode,
            confirm=self.confirm,
            answers=self.http is not None or self.wait > 0,
            silence_s=self.wait,
        )


def schema_of(name: str, form: Any) -> dict[str, Any]:
    """Return the JSON schema of an argument.

    Raises:
        ValueError: it is written in no form that is known.
    """
    match form:
        case dict():
            return dict(form)
        case [*words] if words and all(isinstance(word, str) for word in words):
            return {"type": "string", "enum": words}
        case [*numbers] if numbers and all(
            isinstance(n, int | float) and not isinstance(n, bool) for n in numbers
        ):
            return {"type": "number", "enum": numbers}
        case str() if form in _WORDS:
            return {"type": _WORDS[form]}
        case str() if found := _RANGE.fullmatch(form.strip()):
            whole = found[1] is not None and "." not in found[2] + found[3]
            low, high = (int(n) if whole else float(n) for n in (found[2], found[3]))
            if low <= high and (whole or found[1] is None):
                kind = "integer" if whole else "number"
                return {"type": kind, "minimum": low, "maximum": high}
    raise ValueError(f"args.{name} must be {_FORMS}")


def tool_settings(
    tools: tuple[ToolConfig, ...], silence_s: float, rate: int, confirm: tuple[str, ...]
) -> ToolSettings:
    """Return what the mind is told of the configuration's tools."""
    return ToolSettings(
        tools=tuple(tool.declared() for tool in tools),
        silence_s=silence_s,
        rate=rate,
        confirm=confirm,
    )


def message(send: SendConfig, values: Mapping[str, int | float | str]) -> bytes:
    """Return the OSC packet of a call.

    Args:
        send: what the configuration says.
        values: the arguments and the call_id, by name.

    Raises:
        ValueError: an argument cannot stand in an address, or the packet is too long.
    """
    segments = []
    for segment in send.address.split("/"):
        filled = HOLE.sub(lambda hole: _shown(values[hole[1]]), segment)
        if filled != segment and (not filled or _NO_SEGMENT.search(filled)):
            raise ValueError(f"{filled[:40]!r} cannot stand in an OSC address")
        segments.append(filled)
    packet = encode("/".join(segments), [_filled(arg, values) for arg in send.args])
    if len(packet) > MAX_TEXT:
        raise ValueError(f"the arguments make a message of more than {MAX_TEXT} bytes")
    return packet


def _filled(arg: str | int | float, values: Mapping[str, int | float | str]) -> int | float | str:
    if not isinstance(arg, str):
        return int(arg) if isinstance(arg, bool) else arg
    alone = HOLE.fullmatch(arg)
    if alone is not None:
        return values[alone[1]]
    return HOLE.sub(lambda hole: _shown(values[hole[1]]), arg)


def _shown(value: int | float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
