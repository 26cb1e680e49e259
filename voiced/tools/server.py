"""One MCP server: connected, listed, called, and connected again after whatever happens to it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import mcp_types
import msgspec
from anyio.abc import TaskGroup
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from voiced import __version__
from voiced.messages.tools import (
    Answered,
    CallTool,
    CancelCall,
    FromTools,
    McpServer,
    Offered,
    OfferedTool,
    Progressed,
    ServerTrouble,
)
from voiced.tools.pipe import ServerEnded, piped
from voiced.tools.results import cut, redacted, text_of
from voiced.tools.schemas import plain
from voiced.tools.web import client_for

log = logging.getLogger("voiced.tools")

START_S = 30.0
"""From the start of a program to the list of its tools; some fetch themselves first."""
LIST_S = 10.0
"""A server that does not list its tools within so long hangs."""
RELIST_S = 60.0
"""A silent server is asked for its tools so often: it may hang, or be another one by now."""
SETTLED_S = 1.0
"""After a change nothing is listed anew for so long."""
PROGRESS_S = 1.0
"""A call's progress is told so often."""
LONGEST_CALL_S = 3600.0
MOST_PAGES = 16
MOST_TOOLS = 64
"""Tools of an agent; the same for one server."""
LONGEST_DESCRIPTION = 2000
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Before the next attempt, by failures in a row; the last one for ever."""
HEALTHY_S = 30.0
"""So long a session forgives all failures."""
WITHDRAWN_AFTER = 3
"""Starts in vain, one after the other, after which the model is told of its tools no more."""
SHOWN = 300
"""Characters of a server's error."""


class Server:
    """The life of one server.

    Args:
        wanted: what control says of it.
        send: takes what control is to know.
    """

    def __init__(self, wanted: McpServer, send: Callable[[FromTools], None]) -> None:
        self.wanted, self._send = wanted, send
        self._scope = anyio.CancelScope()
        self._tools: dict[str, str] = {}
        """Name as offered -> the server's own."""
        self._offered: list[OfferedTool] | None = None
        self._listed = False
        """The present session has listed its tools."""
        self._told = False
        """Its present trouble is told."""
        self._unknown: set[str] = set()
        """Allowed names that it does not have, as told."""
        self._connected: tuple[Client, TaskGroup] | None = None
        self._calls: dict[str, anyio.CancelScope] = {}
        """By call id."""
        self._look = anyio.Event()
        """Its tools are to be listed anew."""

    # --- from control

    async def run(self) -> None:
        """Keep it connected until `stop`."""
        failures = in_vain = 0
        with self._scope:
            while True:
                began, self._listed = time.monotonic(), False
                sentence = await self._session()
                if time.monotonic() - began > HEALTHY_S:
                    failures, self._told = 0, False
                self._trouble(f"{sentence}; it is tried again")
                failures += 1
                in_vain = 0 if self._listed else in_vain + 1
                if in_vain == WITHDRAWN_AFTER:
                    self._offer([])
                await anyio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])

    def stop(self) -> None:
        """Have `run` end."""
        self._scope.cancel()

    def call(self, asked: CallTool) -> None:
        """Begin a call; its answer is sent."""
        if self._connected is None:
            self._answer(asked.call_id, False, f"{self._name} is not running now; go on without it")
        elif asked.tool not in self._tools:
            self._answer(asked.call_id, False, f"{self._name} has no tool {asked.tool} any more")
        else:
            client, tasks = self._connected
            scope = self._calls[asked.call_id] = anyio.move_on_after(LONGEST_CALL_S)
            tasks.start_soon(self._run_call, client, asked, scope)

    def cancel(self, call: CancelCall) -> None:
        """End a call without an answer."""
        scope = self._calls.pop(call.call_id, None)
        if scope is not None:
            scope.cancel()
            if call.late:
                self._look.set()  # It may hang altogether.

    # --- a session

    async def _session(self) -> str:
        """Connect and serve; return why that ended."""
        try:
            with anyio.fail_after(START_S) as start:
                async with self._client() as client:
                    await self._list(client)
                    self._listed = True
                    start.deadline = float("inf")
                    await self._serve(client)
        except TimeoutError:
            return f"it did not answer within {START_S:g} s"
        except Exception as error:  # Whatever a foreign program makes the library raise is its end.
            return _sentence(error)
        return "it ended"

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        wanted = self.wanted
        about = mcp_types.Implementation(name="voiced", version=__version__)
        async with contextlib.AsyncExitStack() as stack:
            if wanted.command:
                transport: Any = piped(wanted)
            else:
                http = await stack.enter_async_context(client_for(wanted.headers))
                transport = streamable_http_client(wanted.url, http_client=http)
            client = Client(
                transport, message_handler=self._notified, client_info=about, cache=None
            )
            yield await stack.enter_async_context(client)

    async def _serve(self, client: Client) -> None:
        async with anyio.create_task_group() as tasks:
            self._connected = client, tasks
            try:
                if client.protocol_version in MODERN_PROTOCOL_VERSIONS:
                    tasks.start_soon(self._listen, client)
                while True:
                    with anyio.move_on_after(RELIST_S):
                        await self._look.wait()
                    self._look = anyio.Event()
                    await self._list(client)
                    await anyio.sleep(SETTLED_S)
            finally:
                self._connected = None

    async def _notified(self, message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._look.set()

    async def _listen(self, client: Client) -> None:
        """Have changes of the list told, where the server can; it is asked now and again anyway."""
        with contextlib.suppress(MCPError, SubscriptionLost, TimeoutError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._look.set()

    # --- what it offers

    async def _list(self, client: Client) -> None:
        found: list[mcp_types.Tool] = []
        cursor: str | None = None
        with anyio.move_on_after(LIST_S) as limit:
            for _ in range(MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                found += page.tools
                cursor = page.next_cursor
                if cursor is None:
                    break
        if limit.cancelled_caught:
            raise ServerEnded(f"it did not list its tools within {LIST_S:g} s")
        self._take(found)

    def _take(self, found: list[mcp_types.Tool]) -> None:
        """Offer what is allowed of the tools that there are."""
        allow = self.wanted.allow
        names = [tool.name for tool in found]
        missing = sorted(set(allow) - {"*", *names})
        if missing and not set(missing) <= self._unknown:
            shown = ", ".join(names[:20]) or "none"
            self._say(f"it has no tool {', '.join(missing)}; it has {shown}"[: 2 * SHOWN])
        self._unknown = set(missing)
        allowed = [tool for tool in found if "*" in allow or tool.name in allow]
        if len(allowed) > MOST_TOOLS:
            self._say(f"it has {len(allowed)} tools, of which {MOST_TOOLS} are used: name them")
        own = {offered_name(self.wanted.prefix + tool.name): tool for tool in allowed[:MOST_TOOLS]}
        self._tools = {name: tool.name for name, tool in own.items()}
        self._offer([_offered(name, tool) for name, tool in own.items()])

    def _offer(self, tools: list[OfferedTool]) -> None:
        if tools != self._offered:
            self._offered = tools
            agent, server = self.wanted.agent, self.wanted.name
            self._send(Offered(agent=agent, server=server, tools=tools))
            log.info("= %s offers %d tools", self._name, len(tools))

    # --- calls

    async def _run_call(self, client: Client, asked: CallTool, scope: anyio.CancelScope) -> None:
        ok, result = False, f"{self._name} ended during the call; go on without it"
        with scope:
            try:
                answer = await client.call_tool(
                    self._tools[asked.tool],
                    msgspec.json.decode(asked.arguments),
                    progress_callback=self._progress(asked.call_id),
                )
                ok, result = not answer.is_error, text_of(answer)
            except MCPError as error:
                result = error.error.message[:SHOWN]
            except Exception as error:  # A result of no known form: the call's trouble alone.
                result = f"{self._name} gave no usable result: {_sentence(error)}"
            finally:
                # Not there: nobody waits for it any more.
                if self._calls.pop(asked.call_id, None) is not None:
                    self._answer(asked.call_id, ok, result)

    def _progress(self, call_id: str) -> Any:
        last = 0.0

        async def told(progress: float, total: float | None, message: str | None) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > PROGRESS_S and call_id in self._calls:
                last = now
                self._send(Progressed(agent=self.wanted.agent, call_id=call_id))

        return told

    def _answer(self, call_id: str, ok: bool, result: str) -> None:
        text = cut(redacted(result, self.wanted.secrets))
        self._send(Answered(agent=self.wanted.agent, call_id=call_id, ok=ok, result=text))

    # --- words

    @property
    def _name(self) -> str:
        return f"the MCP server {self.wanted.name}"

    def _trouble(self, sentence: str) -> None:
        """Tell, once until it has run well, why it does not run."""
        if not self._told:
            self._told = True
            self._say(sentence)

    def _say(self, sentence: str) -> None:
        text = redacted(f"{self._name}: {sentence}", self.wanted.secrets)
        agent, server = self.wanted.agent, self.wanted.name
        self._send(ServerTrouble(agent=agent, server=server, sentence=text))


def offered_name(name: str) -> str:
    """Return a name that services take: dots and slashes are underscores."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)
    return kept if kept[:1].isalpha() or kept[:1] == "_" else f"_{kept}"


def _offered(name: str, tool: mcp_types.Tool) -> OfferedTool:
    described = (tool.description or tool.title or tool.name).strip() or tool.name
    return OfferedTool(
        name=name, description=cut(described, LONGEST_DESCRIPTION), schema=plain(tool.input_schema)
    )


def _sentence(error: BaseException) -> str:
    """Return the first cause in words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ServerEnded():
            text = str(error)
        case MCPError():
            text = error.error.message
        case _:
            text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:SHOWN]
