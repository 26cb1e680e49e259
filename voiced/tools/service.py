"""The tools process: control's words to servers and requests, and their answers back."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import assert_never

import httpx2

from voiced.errors import ExitCode, RemoteProtocolError
from voiced.lane.words import DeviceSegment, Owner
from voiced.messages.framing import PROTOCOL_VERSION, Attach, Decoder, Hello, Shutdown, encode
from voiced.messages.tools import (
    Answered,
    CallTool,
    CancelCall,
    FromTools,
    Request,
    SetServers,
    ToTools,
)
from voiced.tools.server import Server
from voiced.tools.web import CONNECT_S, REQUEST_S, fetch

log = logging.getLogger("voiced.tools")

STAMP_S = 0.25
ENDS_S = 0.9
"""What servers get to end in at Shutdown."""

_Name = tuple[str, str]
"""(agent, server) or (agent, call id)."""


class Service:
    """Runs the process from its greeting to its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder: Decoder[ToTools] = Decoder(ToTools)  # type: ignore[arg-type]
        self._servers: dict[_Name, Server] = {}
        self._running: dict[asyncio.Task[None], Server] = {}
        self._ending: dict[_Name, asyncio.Task[None]] = {}
        self._requests: dict[_Name, asyncio.Task[None]] = {}
        self._stamps: asyncio.TimerHandle | None = None
        self._ended = False

    async def run(self) -> ExitCode:
        """Serve until control says so or is gone."""
        reader, self._writer = await asyncio.open_connection(sock=socket.socket(fileno=self._fd))
        timeout = httpx2.Timeout(REQUEST_S, connect=CONNECT_S)
        self._http = httpx2.AsyncClient(timeout=timeout, trust_env=False)
        self._send(Hello(pid=os.getpid()))
        try:
            while not self._ended:
                received = await reader.read(65_536)
                if not received:
                    return ExitCode.CONTROL_GONE
                for message in self._decoder.receive(received):
                    self._take(message)
            return ExitCode.DONE
        except RemoteProtocolError as error:
            log.error("! %s", error)
            return ExitCode.PROTOCOL
        except OSError:
            return ExitCode.CONTROL_GONE
        finally:
            await self._end()

    # --- the channel

    def _send(self, message: FromTools) -> None:
        self._writer.write(encode(message))

    def _take(self, message: ToTools) -> None:
        match message:
            case Hello():
                if message.version != PROTOCOL_VERSION:
                    raise RemoteProtocolError(f"control speaks version {message.version}")
            case Attach():
                self._stamp(DeviceSegment(message.device_fd))
            case SetServers():
                self._set_servers(message)
            case CallTool():
                self._call(message)
            case Request():
                self._request(message)
            case CancelCall():
                self._cancel(message)
            case Shutdown():
                self._ended = True
            case _:
                assert_never(message)

    def _stamp(self, device: DeviceSegment) -> None:
        device.stamp(Owner.TOOLS)
        self._stamps = asyncio.get_running_loop().call_later(STAMP_S, self._stamp, device)

    async def _end(self) -> None:
        for server in self._running.values():
            server.stop()
        for request in self._requests.values():
            request.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=ENDS_S)
        if self._stamps is not None:
            self._stamps.cancel()

    # --- servers

    def _set_servers(self, message: SetServers) -> None:
        """Start what is new, stop what is gone, leave alone what is as it was."""
        wanted = {(server.agent, server.name): server for server in message.servers}
        for name, server in list(self._servers.items()):
            if wanted.get(name) != server.wanted:
                server.stop()
                del self._servers[name]
        for name, each in wanted.items():
            if name not in self._servers:
                self._servers[name] = server = Server(each, self._send)
                task = asyncio.create_task(server.run(), name=f"mcp {each.name}")
                self._running[task] = server
                task.add_done_callback(self._server_ended)

    def _server_ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task)
        if not task.cancelled():
            task.result()

    # --- calls

    def _call(self, asked: CallTool) -> None:
        server = self._servers.get((asked.agent, asked.server))
        if server is None:
            sentence = f"there is no MCP server {asked.server} any more"
            self._send(
                Answered(agent=asked.agent, call_id=asked.call_id, ok=False, result=sentence)
            )
        else:
            server.call(asked)

    def _request(self, asked: Request) -> None:
        task = asyncio.create_task(self._fetch(asked), name="request")
        self._requests[asked.agent, asked.call_id] = task

    async def _fetch(self, asked: Request) -> None:
        try:
            ok, result = await fetch(self._http, asked)
            self._send(Answered(agent=asked.agent, call_id=asked.call_id, ok=ok, result=result))
        finally:
            self._requests.pop((asked.agent, asked.call_id), None)

    def _cancel(self, call: CancelCall) -> None:
        request = self._requests.get((call.agent, call.call_id))
        if request is not None:
            request.cancel()
            return
        for (agent, _), server in self._servers.items():
            if agent == call.agent:
                server.cancel(call)
