"""Tools beyond OSC that the configuration names: MCP servers, and endpoints that are one request.

[[agent.mcp]]
name = "time"
command = "mcp-server-time"
allow = ["get_current_time"]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import msgspec

HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""An argument's place in a text."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_PREFIX = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,31})?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2, token."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BODIES = ("POST", "PUT", "PATCH")
"""Methods whose arguments travel as a JSON object, those that stand in the address apart."""


class SecretConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that does not stand in this file."""

    file: str = ""
    """A file that only its owner may read, from this file's folder on."""
    variable: str = ""
    """An environment variable of the daemon."""
    before: str = ""
    """What stands before it, as "Bearer "."""

    def __post_init__(self) -> None:
        """Refuse what names nothing, or two places."""
        if bool(self.file) == bool(self.variable):
            raise ValueError('name either a file or a variable: { file = "show.key" }')


Given = dict[str, str | SecretConfig]


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP request that a call becomes."""

    url: str
    """`{place}` stands for an argument. Arguments without a place are its query, or its body."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """The body of POST, PUT and PATCH is a JSON object; GET and DELETE have a query."""
    headers: Given = {}
    """A key is in a file: { Authorization = { file = "show.key", before = "Bearer " } }."""

    def __post_init__(self) -> None:
        """Refuse an address that is none, and whose host an argument could choose."""
        check_address(self.url)
        check_headers(self.headers)
        parts = urlsplit(self.url)
        if HOLE.search(parts.netloc) or HOLE.search(parts.scheme):
            raise ValueError("url: an argument never chooses the host; write it out")


class McpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[[agent.mcp]]: a server of the Model Context Protocol."""

    name: str
    command: str = ""
    """Program to start, or "" where `url` says where it is reached."""
    args: tuple[str, ...] = ()
    env: Given = {}
    """Variables of its environment, which holds little else; a key is in a file."""
    url: str = ""
    """Its address (streamable HTTP)."""
    headers: Given = {}
    """Sent with each request to `url`; a key is in a file."""
    allow: tuple[str, ...]
    """Names of its tools that the model may call; ["*"] = all."""
    prefix: str = ""
    """Put before the names of its tools, where two servers have the same."""
    confirm: bool = False
    """Calls of its tools wait for Approvetools."""
    mode: Literal["enabled", "enabled_nonblocking", "disabled"] = "enabled"
    wait: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    """Seconds that a call of it may be silent; 0 = tool_silence."""

    def __post_init__(self) -> None:
        """Refuse what could not be reached."""
        if not _NAME.fullmatch(self.name):
            raise ValueError("name must be a letter, then at most 31 letters, digits, _ and -")
        if bool(self.command) == bool(self.url):
            raise ValueError("give either a command to start, or the url of a server that runs")
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                "prefix must be a letter or _, then at most 31 letters, digits, _ and -"
            )
        if not self.allow:
            raise ValueError('allow names no tool: give names, or ["*"] for all of them')
        if self.url:
            check_address(self.url)
        elif self.headers:
            raise ValueError("headers are for a url; a command takes its keys by env")
        check_headers(self.headers)
        for name in self.env:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"env: {name!r} is no name of a variable")


def check_address(url: str) -> None:
    """Refuse what is no address of a web server, and one that holds a key.

    Raises:
        ValueError: with what it must be.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f'url must be as "http://127.0.0.1:8080/path", not {url[:60]!r}')
    if "@" in parts.netloc:
        raise ValueError("url holds a name or a key before @: give it as a header from a file")


def check_headers(headers: Given) -> None:
    """Refuse names that no header has, and values that are more than one line.

    Raises:
        ValueError: with which.
    """
    for name, value in headers.items():
        text = value if isinstance(value, str) else value.before
        if not _HEADER.fullmatch(name) or not text.isascii() or not (text or "x").isprintable():
            raise ValueError(f"headers: {name[:40]!r} is no header of one line")


def address(http: HttpConfig, given: Mapping[str, Any]) -> tuple[str, str]:
    """Return a call's address and its body.

    Args:
        http: what the configuration says.
        given: the arguments as the model gave them.

    Raises:
        ValueError: an argument cannot stand where the configuration puts it.
    """
    path, mark, query = http.url.partition("?")
    used = set(HOLE.findall(http.url))
    segments = []
    for segment in path.split("/"):
        filled = HOLE.sub(lambda hole: quote(_shown(given.get(hole[1])), safe=""), segment)
        if filled != segment and filled in ("", ".", ".."):
            raise ValueError(f"{filled!r} cannot stand in an address")
        segments.append(filled)
    query = HOLE.sub(lambda hole: quote(_shown(given.get(hole[1])), safe=""), query)
    left = {name: value for name, value in given.items() if name not in used}
    if http.method in BODIES:
        return "/".join(segments) + mark + query, msgspec.json.encode(left).decode()
    pairs = [
        f"{quote(name, safe='')}={quote(_shown(value), safe='')}" for name, value in left.items()
    ]
    whole = "&".join([part for part in (query, *pairs) if part])
    return "/".join(segments) + (f"?{whole}" if whole else ""), ""


def _shown(value: Any) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return msgspec.json.encode(value).decode()
