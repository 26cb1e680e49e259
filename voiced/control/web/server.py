"""HTTP/1.1 on the daemon's loop: bytes to requests and answers to bytes, every size and time bound.

The protocol is h11's (RFC 9112); who may ask what is the routes'. A request is judged by its head
before any of its body is taken, so that a large one costs nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, Protocol

import h11

MAX_CONNECTIONS = 16
MAX_TOLD = 64
"""Who comes when so many are open is hung up on without a word: until a word has arrived it keeps a
file open, and other doors and the processes need files too."""
MAX_HEAD = 16 * 1024
"""Bytes of a request's line and headers."""
REQUEST_S = 10.0
"""A request that has begun must be whole by then."""
IDLE_S = 60.0
"""A connection that asks nothing is closed after this."""
LINGER_S = 2.0
"""For so long what a refused sender still sends is thrown away, so that it can read why."""


class Head(NamedTuple):
    """A request without its body."""

    method: str
    path: str
    """Without the query."""
    headers: dict[str, str]
    """Names in lower case; of one that came twice, the last."""
    peer: str
    """The sender's address."""

    @property
    def local(self) -> bool:
        """Whether it comes from this machine, and not through a proxy on it."""
        forwarded = "forwarded" in self.headers or "x-forwarded-for" in self.headers
        peer = ipaddress.ip_address(self.peer)
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        return peer.is_loopback and not forwarded


class Answer(NamedTuple):
    """A status and one sentence."""

    status: HTTPStatus
    sentence: str
    headers: tuple[tuple[str, str], ...] = ()


class Routes(Protocol):
    """What is asked, and answered."""

    def begin(self, head: Head) -> Answer | int:
        """Return how many bytes of body are taken, or why the request is refused."""

    def take(self, head: Head, body: bytes) -> Answer:
        """Answer a whole request."""


class Server:
    """The listening socket and its connections."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._open: set[Connection] = set()

    @property
    def port(self) -> int:
        """The port it listens at; 0 = it does not."""
        if self._server is None or not self._server.sockets:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._routes, self._open), host, port
        )

    async def close(self) -> None:
        """End every connection and listen no more."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._open):
                connection.end()
            await self._server.wait_closed()


class Connection(asyncio.Protocol):
    """One client.

    Args:
        routes: who answers.
        others: every connection that is open; this one enters and leaves it.
    """

    def __init__(self, routes: Routes, others: set[Connection]) -> None:
        self._routes, self._others = routes, others
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._head: Head | None = None
        self._body = bytearray()
        self._limit = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._begun = self._refused = False

    # --- asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peer = str(transport.get_extra_info("peername")[0]).partition("%")[0]
        self._others.add(self)
        self._end_in(IDLE_S, self.end)
        if len(self._others) > MAX_TOLD:
            self.end()
        elif len(self._others) > MAX_CONNECTIONS:
            sentence = f"{MAX_CONNECTIONS} connections are taken: close one, or use it again"
            self._refuse(Answer(HTTPStatus.SERVICE_UNAVAILABLE, sentence))

    def data_received(self, data: bytes) -> None:
        """Take bytes; what a refused sender still sends is thrown away."""
        if self._refused:
            return
        try:
            self._http.receive_data(data)
            if not self._begun:
                self._begun = True
                self._end_in(REQUEST_S, self._too_slow)
            while self._next():
                pass
        except h11.RemoteProtocolError as error:
            self._refuse(Answer(HTTPStatus(error.error_status_hint), f"this is no HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        self._others.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def end(self) -> None:
        """Close."""
        if self._transport is not None:
            self._transport.abort()

    # --- requests

    def _next(self) -> bool:
        """Take what has come next; False where more must come first."""
        event = self._http.next_event()
        match event:
            case h11.Request():
                return self._begin(event)
            case h11.Data(data=data):
                self._body += data
                if len(self._body) > self._limit:
                    self._refuse(too_large(self._limit))
                    return False
                return True
            case h11.EndOfMessage():
                assert self._head is not None
                answer = self._routes.take(self._head, bytes(self._body))
                self._answer(answer)
                return self._start_over()
            case h11.ConnectionClosed():
                self.end()
                return False
            case _:  # NEED_DATA, PAUSED
                return False

    def _begin(self, request: h11.Request) -> bool:
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
        path = request.target.decode("ascii", "replace").partition("?")[0]
        self._head = Head(request.method.decode("ascii"), path, headers, self._peer)
        self._body.clear()
        allowed = self._routes.begin(self._head)
        if isinstance(allowed, Answer):
            self._refuse(allowed)
            return False
        # h11 has seen to it that this is a number.
        if int(headers.get("content-length", 0)) > allowed:
            self._refuse(too_large(allowed))
            return False
        self._limit = allowed
        if self._http.they_are_waiting_for_100_continue:
            self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        return True

    def _start_over(self) -> bool:
        """Go on with the client's next request, where it keeps the connection."""
        self._head = None
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self._linger()
            return False
        self._http.start_next_cycle()
        self._begun = bool(self._http.trailing_data[0])
        if not self._begun:
            self._end_in(IDLE_S, self.end)
        return True

    # --- answers

    def _answer(self, answer: Answer, *, close: bool = False) -> None:
        body = (answer.sentence + "\n").encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
            *answer.headers,
            *([("Connection", "close")] if close else []),
        ]
        response = h11.Response(
            status_code=answer.status, headers=headers, reason=answer.status.phrase.encode()
        )
        self._write(self._http.send(response))
        if self._head is None or self._head.method != "HEAD":
            self._write(self._http.send(h11.Data(data=body)))
        self._write(self._http.send(h11.EndOfMessage()))

    def _refuse(self, answer: Answer) -> None:
        """Answer before the request is whole, and close."""
        self._refused = True
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._answer(answer, close=True)
        self._linger()

    def _linger(self) -> None:
        self._refused = True
        if self._transport is not None and self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:  # The client went before it was answered.
                self.end()
                return
        self._end_in(LINGER_S, self.end)

    def _too_slow(self) -> None:
        sentence = f"the request was not whole after {REQUEST_S:g} s"
        self._refuse(Answer(HTTPStatus.REQUEST_TIMEOUT, sentence))

    def _write(self, data: bytes | None) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _end_in(self, seconds: float, how: Callable[[], None]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, how)


def too_large(limit: int) -> Answer:
    """Return the refusal of a body that is longer than it may be."""
    sentence = f"at most {limit // 1024} KiB are taken"
    return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
