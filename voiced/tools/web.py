"""HTTP: tools that are one request, and the client by which servers are reached at an address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx2

from voiced.messages.tools import LONGEST_RESULT, Request
from voiced.tools.results import cut, left_out, redacted

CONNECT_S = 5.0
REQUEST_S = 3600.0
"""No answer is waited for longer; control cancels much earlier."""
STREAM_S = 300.0
"""Between two pieces of a server's answer."""
LONGEST_BODY = 16 * 1024 * 1024
"""Bytes of one answer."""
SHOWN = 300
"""Characters of an answer that says what went wrong."""


def client_for(headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """Return a client for an MCP server: answers have an end, redirects are not followed."""
    timeout = httpx2.Timeout(CONNECT_S, read=STREAM_S)
    return httpx2.AsyncClient(
        headers=dict(headers), timeout=timeout, transport=_Limited(), trust_env=False
    )


async def fetch(client: httpx2.AsyncClient, asked: Request) -> tuple[bool, str]:
    """Make a request; return whether it went well, and what came in words."""
    try:
        ok, text = await _fetch(client, asked)
    except httpx2.TimeoutException:
        ok, text = False, "it does not answer"
    except httpx2.ConnectError:
        ok, text = False, "it cannot be reached"
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, ValueError) as error:
        ok, text = False, f"the request failed: {error}"[:SHOWN]
    return ok, cut(redacted(text, asked.secrets))


async def _fetch(client: httpx2.AsyncClient, asked: Request) -> tuple[bool, str]:
    headers = dict(asked.headers)
    if asked.body:
        headers.setdefault("content-type", "application/json")
    async with client.stream(
        asked.method, asked.url, headers=headers, content=asked.body.encode() or None
    ) as answer:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.is_redirect:
            return False, f"it answers with a redirect (HTTP {answer.status_code}): give its target"
        wordy = not kind or kind.startswith("text/") or kind.endswith(("json", "xml"))
        text = await _text(answer) if wordy else left_out("an answer", kind)
        if answer.is_success:
            return True, text.strip() or "done"
        return False, f"HTTP {answer.status_code}: {text.strip()[:SHOWN]}"


async def _text(answer: httpx2.Response) -> str:
    """Return the beginning of an answer's text, as much of it as can be given."""
    pieces: list[str] = []
    length = 0
    async for piece in answer.aiter_text():
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST_RESULT:
            break
    return "".join(pieces)


class _Limited(httpx2.AsyncHTTPTransport):
    """Ends an answer that is longer than any message is; streams of events go on for ever."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Counted(response.stream)
        return response


class _Counted(httpx2.AsyncByteStream):
    """A body of at most LONGEST_BODY."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for piece in self._body:
            length += len(piece)
            if length > LONGEST_BODY:
                raise httpx2.ReadError(f"the answer is longer than {LONGEST_BODY >> 20} MB")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()
