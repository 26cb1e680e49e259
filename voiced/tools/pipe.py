"""A server that is a program: started, spoken to over its standard input and output, ended.

The library's own transport keeps a line however long it grows and a log line for each that is no
JSON; here a line has an end, strays are few or the server is, and its last words say why it ended.
Source: Model Context Protocol, Transports, stdio; Lifecycle, Shutdown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from voiced.messages.tools import McpServer
from voiced.tools.programs import NoProgram
from voiced.tools.programs import program as program_of

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one message."""
MOST_STRAYS = 500
"""Lines in a row that are no message; programs that print what belongs into their log get along."""
MOST_A_SECOND = 1000
"""Lines; each costs time that other servers' calls need."""
BREATH_S = 0.01
"""Between two pieces of what a program prints for people."""
ENDS_S = 0.3
"""A program gets so long to end by itself, and as long again after SIGTERM."""
SHOWN = 200
"""Characters of a program's last words."""
_INHERITED = ("LANG", "LC_ALL", "TZ", "TMPDIR")
_LAUNCH = Path(__file__).with_name("launch.py")

Streams = tuple[
    MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]
]


class ServerEnded(Exception):
    """A server cannot be spoken to any more; the text says why."""


def environment_of(server: McpServer) -> dict[str, str]:
    """Return a server's environment: what any program needs, and what it was given."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**get_default_environment(), **inherited, **server.environment}


@contextlib.asynccontextmanager
async def piped(server: McpServer) -> AsyncGenerator[Streams, None]:
    """Start a server's program and speak with it; ended with the context.

    Raises:
        ServerEnded: it cannot be started; in an exception group: it ended, or breaks the protocol.
    """
    process = await _start(server)
    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with anyio.create_task_group() as tasks, to_session, from_server, to_server:
            last_words: list[str] = []
            heard = anyio.Event()
            tasks.start_soon(_keep_last_words, process, last_words, heard)
            tasks.start_soon(_read, process, to_session, last_words, heard)
            tasks.start_soon(_write, process, from_session)
            yield from_server, to_server
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _start(server: McpServer) -> Process:
    environment = environment_of(server)
    command, *arguments = server.command
    try:
        program = program_of(command, server.folder, environment.get("PATH", os.defpath))
    except NoProgram as error:
        raise ServerEnded(str(error)) from error
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), program, *arguments,
            stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, cwd=server.folder or None,
            start_new_session=True, limit=LONGEST_LINE,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ServerEnded(f"{command} cannot be started: {error}") from error


async def _read(
    process: Process,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    last_words: list[str],
    heard: anyio.Event,
) -> None:
    assert process.stdout is not None
    strays = lines = 0
    since = anyio.current_time()
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:
            raise ServerEnded(f"it sent a line of more than {LONGEST_LINE >> 20} MB") from None
        if not line:
            with anyio.move_on_after(ENDS_S):  # Why, and with which status.
                await heard.wait()
                await process.wait()
            status = "" if process.returncode is None else f" (status {process.returncode})"
            said = f": {last_words[-1]}" if last_words else ""
            raise ServerEnded(f"it ended{status}{said}")
        lines += 1
        now = anyio.current_time()
        if now - since >= 1.0:
            lines, since = 0, now
        elif lines > MOST_A_SECOND:
            raise ServerEnded(f"it sends more than {MOST_A_SECOND} messages a second")
        if not line.strip():
            continue
        try:
            message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            strays += 1
            if strays > MOST_STRAYS:
                raise ServerEnded("what it writes is not the protocol") from None
            continue
        strays = 0
        try:
            await to_session.send(SessionMessage(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


async def _write(process: Process, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    async with from_session:
        async for each in from_session:
            text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(text.encode() + b"\n")
            try:
                await process.stdin.drain()
            except OSError:
                return  # Its output ends too, and says why.


async def _keep_last_words(process: Process, last_words: list[str], heard: anyio.Event) -> None:
    """Take what it prints for people, and keep the end of it."""
    assert process.stderr is not None
    rest = b""
    while piece := await process.stderr.read(65_536):
        if len(piece) > 4096:
            await anyio.sleep(BREATH_S)  # It waits until there is room for more.
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()[-4 * SHOWN :]
        said = [line for line in lines if line.strip()]
        if said:
            last_words[:] = [said[-1].decode(errors="replace").strip()[:SHOWN]]
    if rest.strip():
        last_words[:] = [rest.decode(errors="replace").strip()[:SHOWN]]
    heard.set()


async def _end(process: Process) -> None:
    """End a program and everything it has started."""
    assert process.stdin is not None
    process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with anyio.move_on_after(ENDS_S):
            await process.wait()
            break
        _signal_group(process, number)
    # What it started may have outlived it.
    _signal_group(process, signal.SIGKILL)
    with anyio.move_on_after(ENDS_S):
        await process.wait()
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()  # Somebody may still hold its output.


def _signal_group(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
