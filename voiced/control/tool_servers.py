"""The tools process as the minds see it: MCP servers' tools, and tools that are one HTTP request.

What a server offers is registered with the agent that names it, a call goes to the tools process,
and its answer comes back as any executor's. The process runs while the configuration names anything
for it. Keys for servers and endpoints are read here and given to it alone, by its channel.
"""

from __future__ import annotations

import importlib.util
import logging
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import assert_never

import msgspec

from voiced.control.children import Child
from voiced.control.config import Config
from voiced.control.config.servers import Given, HttpConfig, McpConfig, address
from voiced.control.keys import read_key
from voiced.messages.framing import Hello, Message
from voiced.messages.network import NetworkTrouble
from voiced.messages.tools import (
    Answered,
    CallTool,
    CancelCall,
    FromTools,
    McpServer,
    Offered,
    Progressed,
    Request,
    ServerTrouble,
    SetServers,
)
from voiced.mind.effects import AgentEffect, DropCall, Refused, RunTool
from voiced.mind.inputs import (
    AgentInput,
    ExecutorGone,
    Origin,
    RegisterTool,
    Tool,
    ToolAnswer,
    ToolProgress,
    UnregisterTool,
)
from voiced.mind.toolbox import problem_of

log = logging.getLogger("voiced")

SOURCE = "tools"
"""onError's word for it."""
MCP, HTTP = "mcp", "http"
"""Kinds of executors."""
PACKAGES = ("mcp", "httpx2")
INSTALL = f"{shlex.quote(sys.executable)} -m pip install 'voiced[mcp]'"
"""Brings them to this very Python: a shell's own `pip` may be another's."""
NOT_RUNNING = "it is not running now; go on without it"


class _Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that is one request, with its keys."""

    http: HttpConfig
    headers: dict[str, str]
    secrets: list[str]
    problem: str = ""
    """Why it cannot be asked."""

    def __repr__(self) -> str:
        return f"_Endpoint(http={self.http!r})"


class ToolServers:
    """A door of the minds: takes the calls of MCP servers' and HTTP tools, and nothing else.

    Args:
        child: the tools process.
        put: gives an agent an input.
        environment: the daemon's own, where variables with keys are found.
        keys: the voice services' keys, which no tool is given.
    """

    def __init__(
        self,
        child: Child[FromTools],
        put: Callable[[str, AgentInput], None],
        environment: Mapping[str, str],
        keys: Callable[[], Collection[str]],
    ) -> None:
        self._child, self._put = child, put
        self._environment, self._keys = environment, keys
        self._servers: dict[tuple[str, str], McpConfig] = {}
        """By agent and name, as `_endpoints` by agent and tool."""
        self._endpoints: dict[tuple[str, str], _Endpoint] = {}
        self._wanted = SetServers(servers=[])
        self._offered: dict[tuple[str, str], Offered] = {}
        self._registered: dict[tuple[str, str], dict[str, Tool]] = {}
        self._running: dict[tuple[str, str], Origin] = {}
        """Who executes each (agent, call id) that is not answered."""
        self._told: set[tuple[str, str]] = set()
        """(agent, sentence) of what no restart mends."""
        self._lost_told = False

    # --- the configuration

    def configure(self, config: Config, folder: Path) -> None:
        """Take the configuration's servers and endpoints; relative paths start from `folder`."""
        self._servers = {(a.name, one.name): one for a in config.agent for one in a.mcp}
        self._endpoints = {
            (agent.name, tool.name): self._endpoint(agent.name, tool.name, tool.http, folder)
            for agent in config.agent
            for tool in agent.tool
            if tool.http is not None
        }
        found = (self._server(agent, one, folder) for (agent, _), one in self._servers.items())
        self._wanted = SetServers(servers=[server for server in found if server is not None])
        there = {(server.agent, server.name) for server in self._wanted.servers}
        for key in [key for key in self._registered if key not in there]:
            self._offered.pop(key, None)
            self._register(key, {})
        for key in list(self._offered):
            self._offer(key)
        self._run()

    def _run(self) -> None:
        """Have the process run exactly while there is something for it."""
        if not self._wanted.servers and not self._endpoints:
            self._child.stop()
            return
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            for agent in {agent for agent, _ in (*self._servers, *self._endpoints)}:
                sentence = f"MCP servers and HTTP tools need {' and '.join(missing)}: {INSTALL}"
                self._trouble(agent, "missing", sentence, once=True)
        elif not self._child.send(self._wanted):
            self._child.start()

    def restart(self) -> None:
        """Have a fresh process, where one is wanted."""
        if self._wanted.servers or self._endpoints:
            self._child.restart()

    def _server(self, agent: str, one: McpConfig, folder: Path) -> McpServer | None:
        """Return what the process is told of a server; None where a key of it is missing."""
        headers, secrets, problems = self._given(one.headers, folder)
        environment, more, worse = self._given(one.env, folder)
        if problems or worse:
            for sentence in (*problems, *worse):
                self._trouble(agent, "key", f"the MCP server {one.name} is left out: {sentence}")
            return None
        return McpServer(
            agent=agent,
            name=one.name,
            command=[one.command, *one.args] if one.command else [],
            environment=environment,
            folder=str(folder),
            url=one.url,
            headers=headers,
            allow=list(one.allow),
            prefix=one.prefix,
            secrets=secrets + more,
        )

    def _endpoint(self, agent: str, tool: str, http: HttpConfig, folder: Path) -> _Endpoint:
        headers, secrets, problems = self._given(http.headers, folder)
        for sentence in problems:
            self._trouble(agent, "key", f"{tool} cannot be asked: {sentence}")
        problem = "a key for it is missing; go on without it" if problems else ""
        return _Endpoint(http=http, headers=headers, secrets=secrets, problem=problem)

    def _given(self, given: Given, folder: Path) -> tuple[dict[str, str], list[str], list[str]]:
        """Return values with their keys filled in, the keys, and what is wrong with them."""
        values: dict[str, str] = {}
        secrets: list[str] = []
        problems: list[str] = []
        for name, value in given.items():
            if isinstance(value, str):
                values[name] = value
                continue
            if value.file:
                path = folder / Path(value.file).expanduser()
                before = len(problems)
                key = read_key(path, "file", problems)
                if not key and len(problems) == before:
                    problems.append(f"there is no key file {path}")
            else:
                key = self._environment.get(value.variable, "").strip()
                if not key.isprintable() or not key.isascii() or not key:
                    problems.append(f"the environment variable {value.variable} holds no key")
                    continue
            if key and key in self._keys():
                problems.append("that is the key of a voice service, which no tool is given")
            elif key:
                secrets.append(key)
                values[name] = value.before + key
        return values, secrets, problems

    # --- from the process

    def greeting(self) -> Iterable[Message]:
        """Yield what a fresh process must know."""
        yield self._wanted

    def take(self, message: FromTools) -> None:
        """Take what the process says."""
        match message:
            case Offered():
                key = (message.agent, message.server)
                if key in self._servers:
                    self._offered[key] = message
                    self._offer(key)
            case Answered():
                self._lost_told = False
                origin = self._running.pop((message.agent, message.call_id), None)
                if origin is not None:
                    answer = ToolAnswer(
                        call_id=message.call_id,
                        ok=message.ok,
                        result=message.result,
                        origin=origin,
                    )
                    self._put(message.agent, answer)
            case Progressed():
                origin = self._running.get((message.agent, message.call_id))
                if origin is not None:
                    progress = ToolProgress(call_id=message.call_id, text="", origin=origin)
                    self._put(message.agent, progress)
            case ServerTrouble():
                if (message.agent, message.server) in self._servers:
                    self._trouble(message.agent, "server", message.sentence)
            case Hello():
                pass
            case _:
                assert_never(message)

    def exited(self, sentence: str, asked: bool) -> None:
        """The process ended: every call that it was at is answered at once."""
        self._running.clear()
        gone = [(agent, Origin(kind=MCP, id=name)) for agent, name in self._servers]
        gone += [(agent, Origin(kind=HTTP, id=name)) for agent, name in self._endpoints]
        for agent, origin in gone:
            self._put(agent, ExecutorGone(origin=origin, for_good=False))
        if not asked and not self._lost_told:
            self._lost_told = True
            for agent in {agent for agent, _ in gone}:
                self._trouble(agent, "lost", sentence)

    # --- what is offered

    def _offer(self, key: tuple[str, str]) -> None:
        """Register what a server offers, in the terms that the configuration sets."""
        agent, name = key
        one, tools = self._servers[key], {}
        for offered in self._offered[key].tools:
            tool = Tool(
                name=offered.name,
                description=offered.description,
                schema=offered.schema,
                executor=Origin(kind=MCP, id=name),
                mode=one.mode,
                confirm=one.confirm,
                silence_s=one.wait,
            )
            if problem := problem_of(tool):
                sentence = f"the MCP server {name}: {offered.name} is left out: {problem}"
                self._trouble(agent, "tool", sentence, once=True)
            else:
                tools[tool.name] = tool
        self._register(key, tools)

    def _register(self, key: tuple[str, str], tools: dict[str, Tool]) -> None:
        agent, name = key
        origin = Origin(kind=MCP, id=name)
        before = self._registered.get(key, {})
        self._registered[key] = tools
        for gone in before.keys() - tools.keys():
            self._put(agent, UnregisterTool(name=gone, origin=origin))
        for tool in tools.values():
            if before.get(tool.name) != tool:
                self._put(agent, RegisterTool(tool=tool, origin=origin))

    # --- from the minds

    def perform(self, agent: str, effect: AgentEffect) -> None:
        """Have a call made or ended; whatever keeps it from being made is its result."""
        match effect:
            case RunTool(executor=Origin(kind="mcp")):
                call = CallTool(
                    agent=agent,
                    call_id=effect.call_id,
                    server=effect.executor.id,
                    tool=effect.name,
                    arguments=effect.arguments,
                )
                self._start(agent, effect, call)
            case RunTool(executor=Origin(kind="http")):
                self._request(agent, effect)
            case DropCall(executor=Origin(kind="mcp" | "http")):
                if self._running.pop((agent, effect.call_id), None) is not None:
                    late = effect.late
                    self._child.send(CancelCall(agent=agent, call_id=effect.call_id, late=late))
            case Refused(origin=Origin(kind="mcp"), code=code, sentence=sentence):
                text = f"the MCP server {effect.origin.id}: {sentence}"
                self._trouble(agent, code, text, once=True)
            case _:
                pass

    def _request(self, agent: str, effect: RunTool) -> None:
        endpoint = self._endpoints.get((agent, effect.name))
        if endpoint is None:
            self._fail(agent, effect, "it is no tool of the configuration any more")
            return
        if endpoint.problem:
            self._fail(agent, effect, endpoint.problem)
            return
        try:
            url, body = address(endpoint.http, msgspec.json.decode(effect.arguments))
        except ValueError as error:
            self._fail(agent, effect, str(error))
            return
        request = Request(
            agent=agent,
            call_id=effect.call_id,
            method=endpoint.http.method,
            url=url,
            headers=endpoint.headers,
            body=body,
            secrets=endpoint.secrets,
        )
        self._start(agent, effect, request)

    def _start(self, agent: str, effect: RunTool, call: CallTool | Request) -> None:
        if self._child.send(call):
            self._running[agent, effect.call_id] = effect.executor
        else:
            self._fail(agent, effect, NOT_RUNNING)

    def _fail(self, agent: str, effect: RunTool, sentence: str) -> None:
        answer = ToolAnswer(
            call_id=effect.call_id,
            ok=False,
            result=f"{effect.name}: {sentence}",
            origin=effect.executor,
        )
        self._put(agent, answer)  # Waits until what is being performed is done.

    def _trouble(self, agent: str, code: str, sentence: str, *, once: bool = False) -> None:
        if once and (agent, sentence) in self._told:
            return
        if once:
            self._told.add((agent, sentence))
        self._put(agent, NetworkTrouble(source=SOURCE, code=code, sentence=sentence))
