"""Installdependencies: the packages that a provider lacks, from the lock and nothing else.

pip runs as a program of its own, without a key in its environment, with the blocks of the lock that
are missing here: their versions, their hashes, no dependency beyond them, nothing built. What is
installed already stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path

from voiced.control.lock import blocks, find_lock, part_for
from voiced.messages.packages import canonical
from voiced.mind.effects import Install
from voiced.mind.inputs import AgentInput, InstallTold

LONGEST_S = 3600.0
"""Of one installation, over a slow line."""
_ALWAYS = (
    "--require-hashes", "--no-deps", "--only-binary=:all:", "--no-input",
    "--disable-pip-version-check", "--progress-bar=off", "--no-color",
)  # fmt: skip
_COLLECTING = re.compile(
    r"Collecting ([A-Za-z0-9._-]+)==|Processing \S*/([A-Za-z0-9._]+?)-\d[^/\s]*\.whl"
)
"""pip's line when it begins with a package: one of an index, or one of a folder."""


class Installs:
    """Installs for one provider after the other.

    Args:
        loop: the daemon's.
        environment: of pip: no key is in it.
        allowed: whether the configuration allows it.
        put: gives an agent an input.
        done: called when packages were installed, before the agent knows.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        environment: Mapping[str, str],
        allowed: Callable[[], bool],
        put: Callable[[str, AgentInput], None],
        done: Callable[[], None],
    ) -> None:
        self._loop, self._environment = loop, environment
        self._allowed, self._put, self._done = allowed, put, done
        self._task: asyncio.Task[None] | None = None

    def install(self, agent: str, wanted: Install) -> None:
        """Install what is missing, where that is allowed; one after the other."""
        refusal = ""
        if not self._allowed():
            refusal = (
                f"{wanted.provider} lacks {', '.join(wanted.packages)}: run {wanted.command}, or "
                "set install.allow in the configuration"
            )
        elif self._task is not None and not self._task.done():
            refusal = "packages are being installed already: wait until onStatus tells installed"
        if refusal:
            self._put(agent, InstallTold(word="denied", sentence=refusal, origin=wanted.origin))
            return
        self._task = self._loop.create_task(self._run(agent, wanted), name="installation")

    async def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _tell(self, agent: str, word: str, sentence: str) -> None:
        self._put(agent, InstallTold(word=word, sentence=sentence))

    async def _run(self, agent: str, wanted: Install) -> None:
        found = await asyncio.to_thread(_prepared, wanted.packages)
        if isinstance(found, str):
            self._tell(agent, "failed", f"{found}: {wanted.command}")
            return
        if not found:
            self._tell(agent, "installed", "nothing is missing any more")
            return
        self._tell(agent, "installing", f"from the lock: {', '.join(sorted(found))}")
        with tempfile.TemporaryDirectory(prefix="voiced-install-") as folder:
            part = Path(folder) / "requirements.txt"
            part.write_text("".join(found.values()), encoding="utf-8")
            trouble = await self._pip(agent, part, len(found))
        importlib.invalidate_caches()
        if trouble:
            self._tell(agent, "failed", f"pip could not install them: {trouble}")
            return
        self._done()
        there = ", ".join(name for name in sorted(found) if _is_installed(name))
        self._tell(agent, "installed", there)

    async def _pip(self, agent: str, part: Path, count: int) -> str:
        """Run pip; return why it failed, "" if it did not."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", "pip", "install", *_ALWAYS, "-r", str(part),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._environment, "PIP_USER": "0"},
            start_new_session=True,
            limit=1024 * 1024,
        )  # fmt: skip
        last, collected = "", 0
        try:
            async with asyncio.timeout(LONGEST_S):
                assert process.stdout is not None
                async for raw in process.stdout:
                    line = raw.decode("utf-8", "replace").strip()
                    if named := _COLLECTING.match(line):
                        collected += 1
                        self._tell(
                            agent,
                            "installing",
                            f"{canonical(named[1] or named[2])}, {collected} of {count}",
                        )
                    elif line.startswith("ERROR:"):
                        last = last or line.removeprefix("ERROR:").strip()
                status = await process.wait()
        except TimeoutError:
            return f"it was not done after {LONGEST_S / 60:g} minutes"
        except ValueError:
            return "it said a line without an end"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return "" if status == 0 else last or f"it ended with status {status}"


def _prepared(packages: Sequence[str]) -> dict[str, str] | str:
    """Return the blocks of the lock that are to be installed, or why nothing can be."""
    path = find_lock()
    if path is None:
        return "this voiced was installed without its lock, so you must install them yourself"
    found = part_for(packages, blocks(path.read_text(encoding="utf-8")))
    if isinstance(found, list):
        return f"{', '.join(found)}: not in the lock of this voiced, so install it yourself"
    if util.find_spec("pip") is None:
        return "this Python has no pip to install them with"
    target = sysconfig.get_path("purelib")
    if not os.access(target, os.W_OK):
        return f"voiced may not write {target}, so install them as its owner"
    return {name: text for name, text in found.items() if not _is_installed(name)}


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
