"""The server of an emulator: websockets and a few pages on one port."""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from voiced.emulators import certificate
from voiced.emulators.bill import Bill
from voiced.emulators.link import Link, Record, parts
from voiced.emulators.mouth import Mouth, Pace, Voice
from voiced.emulators.script import Fault, Script
from voiced.emulators.violations import Violations
from voiced.errors import ConfigError
from voiced.inference.engines import Engines
from voiced.inference.models import EngineUnavailable

logger = logging.getLogger(__name__)

MAX_FRAME: Final = 32 * 1024 * 1024
"""Bytes of one frame of a client: more than any service takes, so that the service's own refusal is
what is heard."""

END_MS: Final = 3_599_999
"""Where in a reply's audio a fault lies that comes at its end: behind any reply, within the hour
that a service asks for when a reply is over."""

# websockets' own lines would show headers, which hold keys, and frames, which hold words.
_quiet = logging.getLogger("voiced.emulators.websocket")
_quiet.setLevel(logging.CRITICAL)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer in place of a websocket."""

    status: int
    body: Any
    """What msgspec can encode as JSON."""


class Session(ABC):
    """One conversation of a client with an emulated service.

    Args:
        emulator: whose it is.
        link: its connection.
    """

    def __init__(self, emulator: Emulator, link: Link) -> None:
        self.emulator, self.link, self.script = emulator, link, link.script

    @abstractmethod
    async def run(self) -> None:
        """Hold the conversation until the connection ends; may raise ConnectionClosed."""

    async def play(self, fault: Fault) -> None:
        """Let something go wrong, now; a service adds what only it can do and hands on the rest."""
        match fault.what:
            case "close":
                await self.link.close(fault.code, fault.reason)
            case "reset":
                self.link.reset()
            case "half_open":
                self.link.half_open()
            case "stall":
                self.link.hold()
                if fault.seconds:
                    self.link.spawn(self._go_on(fault.seconds), "stall")
            case "send":
                await self.link.send_raw(fault.frame, binary=fault.binary)
            case _:
                logger.warning("! %s does not play %s", type(self).__name__, fault.what)

    async def _go_on(self, after_s: float) -> None:
        await self.emulator.pause(after_s)
        self.link.go_on()

    def arm(self) -> None:
        """Have the script's timed faults played; call once the session is ready."""
        for fault in self.script.fault:
            if fault.after_s is not None or (fault.reply is None and fault.turn is None):
                self.link.spawn(self._later(fault), f"fault {fault.what}")

    async def _later(self, fault: Fault) -> None:
        await self.emulator.pause(fault.after_s or 0.0)
        await self.play(fault)

    def due_in_reply(self, number: int, before_ms: int, now_ms: int) -> list[Fault]:
        """Return the faults that lie in the n-th reply's audio from `before_ms` up to `now_ms`."""
        return [
            fault
            for fault in self.script.fault
            if fault.reply == number
            and before_ms <= (END_MS if fault.audio_ms is None else fault.audio_ms) < now_ms
        ]

    def due_at_turn(self, number: int) -> list[Fault]:
        """Return the faults that are played when the user's n-th turn has ended."""
        return [fault for fault in self.script.fault if fault.turn == number]


class Emulator(ABC):
    """A stand-in of one service, on a port of its own; use it with `async with`.

    Args:
        script: what it does besides its ordinary behaviour.
        host: address to listen on.
        port: 0 = any free one.
        tls: with a self-made certificate; `certificate` is its file.
        speed: how many times as fast as real its own time runs: caps, delays, real-time pace.
        voice: "auto" = the local voice where it is installed; "tone" = tones.
        hearing: whether turns are read by the local recogniser where it is installed.
        pace: whether replies come in bursts, as the services send them, or at real time.
        keys: the keys it takes; empty = any.

    Raises:
        ConfigError: the script asks for what this service does not know.
    """

    OPTIONS: ClassVar[type[msgspec.Struct] | None] = None
    """What `options` of a script's connection may hold; None = the service checks them itself."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        speed: float = 1.0,
        voice: Voice = "tone",
        hearing: bool = False,
        pace: Pace = "burst",
        keys: frozenset[str] = frozenset(),
    ) -> None:
        self.script = script or Script()
        self._check_options()
        self.speed, self.keys = speed, keys
        self.violations, self.bill = Violations(), Bill()
        self.sessions: list[Session] = []
        """One for each websocket that was opened, in order."""
        self.engines = Engines() if hearing or voice == "auto" else None
        self.hearing = self.engines if hearing else None
        self.mouth = Mouth(self.engines if voice == "auto" else None, pace, speed)
        self.certificate: Path | None = None
        self._host, self._port, self._tls = host, port, tls
        self._attempts = 0
        self._numbers: dict[ServerConnection, int] = {}
        self._server: Server | None = None
        self._ending = contextlib.ExitStack()
        self._failed: list[Exception] = []

    def _check_options(self) -> None:
        if self.OPTIONS is None:
            return
        for number, row in enumerate(self.script.connection):
            try:
                msgspec.convert(row.options, self.OPTIONS)
            except msgspec.ValidationError as error:
                raise ConfigError(
                    [f"connection[{number}].options of the script: {error}"]
                ) from error

    @abstractmethod
    def admit(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Return what is answered in place of a websocket; None = it is opened."""

    @abstractmethod
    def session(self, link: Link) -> Session:
        """Return the conversation on a connection that was opened."""

    def page(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Return what a plain GET of one of the service's own pages answers; None = unknown."""
        return None

    @property
    def url(self) -> str:
        """The address for a provider's `endpoint`: scheme, host and port."""
        assert self._server is not None, "an emulator has an address once it was started"
        port = next(iter(self._server.sockets)).getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'wss' if self._tls else 'ws'}://{host}:{port}"

    @property
    def records(self) -> list[Record]:
        """What every connection was."""
        return [session.link.record for session in self.sessions]

    async def warm(self) -> list[str]:
        """Load the engines, so that the first reply does not wait for them.

        Returns:
            A sentence for each that is missing; its work is then done by script and tones.
        """
        if self.engines is None:
            return []
        loading: list[asyncio.Future[Any]] = []
        if self.hearing is not None:
            loading.append(self.hearing.recognition.warm())
        if self.mouth.speaks:
            loading.append(self.engines.speech.submit(lambda voices: voices.of("")))
        done = await asyncio.gather(*loading, return_exceptions=True)
        failed = [error for error in done if isinstance(error, BaseException)]
        for error in failed:
            if not isinstance(error, EngineUnavailable):
                raise error
        return [str(error) for error in failed]

    async def pause(self, seconds: float) -> None:
        """Wait in the emulator's own time."""
        await asyncio.sleep(seconds / self.speed)

    async def play(self, fault: Fault) -> None:
        """Let something go wrong on the newest connection, now."""
        await self.sessions[-1].play(fault)

    async def __aenter__(self) -> Self:
        context = None
        if self._tls:
            folder = self._ending.enter_context(tempfile.TemporaryDirectory(prefix="voiced-"))
            self.certificate, context = certificate.self_made(Path(folder))
        self._began = asyncio.get_running_loop().time()
        self._server = await serve(
            self._connection,
            self._host,
            self._port,
            ssl=context,
            process_request=self._request,
            compression=None,
            max_size=MAX_FRAME,
            ping_interval=None,
            close_timeout=1.0,
            server_header=None,
            logger=_quiet,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if self._server is not None:
            for session in self.sessions:
                session.link.go_on()
            self._server.close()
            await self._server.wait_closed()
        if self.engines is not None:
            self.engines.close()
        self._ending.close()
        if self._failed and kind is None:
            raise self._failed[0]

    def _request(self, ws: ServerConnection, request: Request) -> Response | None:
        path, query = parts(request.path)
        if "upgrade" not in request.headers.get("Connection", "").lower():
            return _response(self._page(path, query, request.headers))
        self._attempts += 1
        refused = self.script.connection_at(self._attempts).refuse
        answer = (
            Answer(status=refused, body={"error": http.HTTPStatus(refused).phrase})
            if refused
            else self.admit(path, query, request.headers)
        )
        if answer is not None:
            return _response(answer)
        self._numbers[ws] = self._attempts
        return None

    def _page(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer:
        match path:
            case "/violations":
                return Answer(status=200, body=list(self.violations))
            case "/bill":
                return Answer(status=200, body={"usd": self.bill.usd, "lines": self.bill.lines})
            case "/sessions":
                return Answer(status=200, body=self.records)
        found = self.page(path, query, headers)
        return found or Answer(status=404, body={"error": f"there is nothing at {path}"})

    async def _connection(self, ws: ServerConnection) -> None:
        number = self._numbers.pop(ws)
        opened_s = round(asyncio.get_running_loop().time() - self._began, 3)
        link = Link(ws, number, self.script.connection_at(number), self.violations, opened_s)
        session = self.session(link)
        self.sessions.append(session)
        try:
            if self.script.connection_at(number).silent:
                await ws.wait_closed()
            await session.run()
        except ConnectionClosed:
            pass
        except Exception as error:  # a mistake of the emulator's own: to be heard, not only 1011
            logger.exception("! the emulated session broke")
            self._failed.append(error)
            raise
        finally:
            await link.finish()
            if isinstance(link.failure, Exception):  # of a task, when nobody was reading any more
                self._failed.append(link.failure)


def _response(answer: Answer) -> Response:
    body = msgspec.json.encode(answer.body)
    phrase = http.HTTPStatus(answer.status).phrase
    headers = Headers(
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
    )
    return Response(answer.status, phrase, headers, body)
