"""Between control and the tools process: which servers there are, calls, and what came of them."""

from __future__ import annotations

from typing import TypeAlias

from voiced.messages.framing import Attach, Hello, Message, Shutdown

LONGEST_RESULT = 32_768
"""Characters of a tool's result; what is longer is cut, and says so."""
CUT = " ... (cut: the result was longer)"
LEFT_OUT = "was left out: only words can be given"
"""Ends what stands in brackets in a picture's or sound's place: for the model, not for visitors."""


class McpServer(Message, frozen=True, kw_only=True):
    """A server of the Model Context Protocol: a program to start, or an address."""

    agent: str
    name: str
    command: list[str] = []
    """Empty: it is reached at `url`."""
    environment: dict[str, str] = {}
    """Beside what every program needs."""
    folder: str = ""
    """Where the program runs."""
    url: str = ""
    headers: dict[str, str] = {}
    allow: list[str] = []
    """Names of its tools that are offered; "*" = all."""
    prefix: str = ""
    """Put before the names of its tools."""
    secrets: list[str] = []
    """What must not be repeated in a result or a sentence."""

    def __repr__(self) -> str:
        return f"McpServer(agent={self.agent!r}, name={self.name!r})"


class SetServers(Message, frozen=True, kw_only=True):
    """Sent by control: these servers are wanted from now on, and no others."""

    servers: list[McpServer]


class CallTool(Message, frozen=True, kw_only=True):
    """Sent by control: call a tool of a server."""

    agent: str
    call_id: str
    server: str
    tool: str
    """As it was offered."""
    arguments: str
    """JSON object."""


class Request(Message, frozen=True, kw_only=True):
    """Sent by control: call a tool that is one HTTP request."""

    agent: str
    call_id: str
    method: str
    url: str
    headers: dict[str, str] = {}
    body: str = ""
    """JSON; "" = none."""
    secrets: list[str] = []
    """What must not be repeated in a result or a sentence."""

    def __repr__(self) -> str:
        return f"Request(agent={self.agent!r}, call_id={self.call_id!r})"


class CancelCall(Message, frozen=True, kw_only=True):
    """Sent by control: nobody waits for this result any more."""

    agent: str
    call_id: str
    late: bool
    """It took too long: whoever executes it may hang."""


class OfferedTool(Message, frozen=True, kw_only=True):
    """A tool as the model is to be told of it."""

    name: str
    description: str
    schema: str
    """JSON schema of its arguments, of the keywords that `voiced.mind.schema` knows."""


class Offered(Message, frozen=True, kw_only=True):
    """Sent by tools: these are all the tools that a server offers now."""

    agent: str
    server: str
    tools: list[OfferedTool]


class Answered(Message, frozen=True, kw_only=True):
    """Sent by tools: the result of a call, or in words why there is none."""

    agent: str
    call_id: str
    ok: bool
    result: str


class Progressed(Message, frozen=True, kw_only=True):
    """Sent by tools: whoever executes a call says that it is still at work."""

    agent: str
    call_id: str


class ServerTrouble(Message, frozen=True, kw_only=True):
    """Sent by tools: something of a server does not work; told once until it does again."""

    agent: str
    server: str
    sentence: str


ToTools: TypeAlias = Hello | Attach | SetServers | CallTool | Request | CancelCall | Shutdown
FromTools: TypeAlias = Hello | Offered | Answered | Progressed | ServerTrouble
