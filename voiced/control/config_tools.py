"""Runs the tools that the configuration declares: each call is one OSC message."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable

from voiced.control.config import Config
from voiced.control.config.tools import CALL_ID, ToolConfig, message
from voiced.messages.network import NetworkTrouble
from voiced.mind.effects import AgentEffect, RunTool
from voiced.mind.inputs import AgentInput, Origin, ToolAnswer

CONFIG = Origin(kind="config")


class ConfigTools:
    """A door of the minds: takes the calls of the configuration's tools, and nothing else.

    Args:
        loop: the daemon's.
        send: puts a packet on the way to an address and port.
        put: gives an agent an input.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[tuple[str, int], bytes], None],
        put: Callable[[str, AgentInput], None],
    ) -> None:
        self._loop, self._send, self._put = loop, send, put
        self._tools: dict[tuple[str, str], ToolConfig] = {}
        self._finding: set[asyncio.Task[None]] = set()

    def configure(self, config: Config) -> None:
        """Take the configuration's tools."""
        self._tools = {
            (agent.name, tool.name): tool for agent in config.agent for tool in agent.tool
        }

    def perform(self, agent: str, effect: AgentEffect) -> None:
        """Send what a call becomes; whatever keeps it from being sent is its result."""
        if not isinstance(effect, RunTool) or effect.executor.kind != CONFIG.kind:
            return
        tool = self._tools.get((agent, effect.name))
        if tool is None or tool.send is None:
            self._fail(agent, effect, "it is no tool of the configuration any more")
            return
        values = dict(zip(tool.args, effect.values, strict=False))
        try:
            packet = message(tool.send, {**values, CALL_ID: effect.call_id})
        except (ValueError, KeyError) as error:
            self._fail(agent, effect, str(error))
            return
        host, port = tool.send.host, tool.send.port
        try:
            ipaddress.ip_address(host)
        except ValueError:
            task = self._loop.create_task(self._find(agent, effect, host, port, packet))
            self._finding.add(task)
            task.add_done_callback(self._finding.discard)
        else:
            self._send((host, port), packet)

    async def _find(self, agent: str, effect: RunTool, host: str, port: int, packet: bytes) -> None:
        """Send to a host by its name."""
        try:
            found = await self._loop.getaddrinfo(host, port, type=2)
        except OSError as error:
            self._fail(agent, effect, f"{host} cannot be found: {error.strerror or error}")
            return
        self._send((str(found[0][4][0]), port), packet)

    def _fail(self, agent: str, effect: RunTool, sentence: str) -> None:
        """Tell the operator, and the model too where it waits for a result."""
        tool = self._tools.get((agent, effect.name))
        answer: AgentInput = NetworkTrouble(
            source="tools", code="unsent", sentence=f"{effect.name} was not sent: {sentence}"
        )
        self._loop.call_soon(self._put, agent, answer)
        if tool is None or tool.wait > 0:
            answer = ToolAnswer(call_id=effect.call_id, ok=False, result=sentence, origin=CONFIG)
            self._loop.call_soon(self._put, agent, answer)
