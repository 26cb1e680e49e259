"""How visitors speak, measured by a second service beside the talk: Hume Expression Measurement.

It reads the microphone for itself, from the same ring and between the same edges as the pump, and
has a socket of its own. Whatever happens to it costs its own signals and nothing else: it never
holds anything up, falls behind by a second at most (then it leaves speech out) and tells the
operator once what is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from typing import Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.lane.seam import Clock
from voiced.lane.words import DeviceSegment, LaneSegment
from voiced.messages.network import Value
from voiced.network.feed import NEVER_DUE, Feed
from voiced.network.pump import Source
from voiced.providers import expression_codec as wire
from voiced.providers import prices
from voiced.providers.dial import Service, closing, dial, key_missing

KEY_SERVER = "hume"
SERVICE = Service("Hume Expression Measurement", KEY_SERVER)
CONNECT_S = 10.0
STALL_S = 5.0
"""A service that takes nothing for so long is given up."""
BURST_S = 0.3
"""So much may leave at once."""
RESEND_S = 0.25
BACK_OFF_S = (1.0, 30.0)
STABLE_S = 30.0
"""A session that lasted so long starts the back-off anew, and trouble after it is news."""
RESULTS_PER_S = 10
"""Most results taken in a second; the service has one every three."""
ACCOUNT_S = 10.0
"""Money is told for so much audio at a time."""

logger = logging.getLogger(__name__)


class Teller(Protocol):
    """Where results go: `network.told.Told`."""

    def measured(self, frame: int, channels: Mapping[str, float], scores: str) -> None:
        """How the visitor spoke at near frame `frame`."""

    def spent_aside(self, usd: float, detail: str) -> None:
        """What that cost."""

    def trouble_aside(self, code: str, sentence: str) -> None:
        """Something went wrong that is not the talk's."""


class Expression:
    """The side channel of one leg; `run` ends by cancellation, or when the service refuses.

    Args:
        lane: its agent's shared memory.
        device: the sound card's.
        clock: the daemon's.
        key: of KEY_SERVER.
        parameters: Affectinterval, Affectendpoint.
        teller: where results go.
        watch: called with the task that closes a connection: nobody waits for that.
    """

    def __init__(
        self,
        lane: LaneSegment,
        device: DeviceSegment,
        clock: Clock,
        *,
        key: str,
        parameters: Mapping[str, Value],
        teller: Teller,
        watch: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._lane, self._device, self._clock, self._key = lane, device, clock, key
        self._teller, self._watch = teller, watch
        least, most = wire.INTERVAL_MS
        self._interval = min(max(int(parameters.get("Affectinterval", least)), least), most)
        self._endpoint = str(parameters.get("Affectendpoint", ""))
        self._vocabulary = wire.Vocabulary()
        self._feed: Feed | None = None
        self._wake = asyncio.Event()
        self._due = NEVER_DUE
        self._paused = False
        self._told = False
        self._errors: set[str] = set()
        self._failures = 0
        self._resend = False
        self._sent_s = self._accounted_s = 0.0
        self._window = (0, 0)
        """(second, results taken in it)."""

    def appended(self) -> None:
        """Audio has appended: wake up if that is worth it."""
        if self._feed is not None and not self._wake.is_set() and self._feed.is_worth(self._due):
            self._wake.set()

    def pause(self, paused: bool) -> None:
        """Hold the upload, or let it go on."""
        if self._paused != paused:
            self._paused = paused
            self._wake.set()

    async def run(self) -> None:
        """Measure until cancelled; ends early where trying again is useless."""
        try:
            await self._measure()
        except ProviderError as error:
            self._trouble(error.code, f"{error}. The talk goes on without affect")
        except Exception as error:
            # A slip here must not cost the talk: the leg's other tasks know nothing of it.
            logger.exception("! expression failed")
            self._trouble("expression", f"affect is not measured: {type(error).__name__}")
        finally:
            self._account()

    async def _measure(self) -> None:
        """Run one session after another.

        Raises:
            ProviderError: for good.
        """
        if not self._key:
            raise key_missing(SERVICE)
        while True:
            began = self._clock.mono_ns()
            try:
                end = await self._session()
            except ProviderRefused:
                raise
            except ProviderUnavailable as error:
                following, sentence, code = wire.Next.AGAIN, str(error), error.code
            else:
                following, sentence, code = wire.after(end), _sentence(end), _code(end)
            if self._clock.mono_ns() - began > STABLE_S * 1e9:
                self._told, self._failures = False, 0
            match following:
                case wire.Next.NEVER:
                    raise ProviderUnavailable(sentence, code)
                case wire.Next.WHEN_HEARD:
                    await self._until_heard()
                case wire.Next.AGAIN:
                    self._trouble(code, f"{sentence}; it is tried again, the talk goes on")
                    await self._back_off()

    async def _back_off(self) -> None:
        least, most = BACK_OFF_S
        longest = min(most, least * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        await asyncio.sleep(self._clock.real_s(random.uniform(longest / 2, longest)))

    async def _until_heard(self) -> None:
        """Wait until the gate lets something out."""
        feed = self._new_feed()
        while not feed.take():
            await self._sleep(feed)
        self._feed = None

    def _new_feed(self) -> Feed:
        self._feed = Feed(Source(self._lane, self._device))
        return self._feed

    # --- one session ------------------------------------------------------------------------

    async def _session(self) -> wire.End:
        """Open a session, serve it, return how it ended.

        Raises:
            ProviderError: it could not be opened, or takes nothing any more.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                headers = {"X-Hume-Api-Key": self._key}
                socket = await dial(SERVICE, wire.URL, headers, endpoint=self._endpoint)
        except TimeoutError:
            raise ProviderUnavailable(
                f"{SERVICE.title} did not answer within {CONNECT_S:g} s", "connect_timeout"
            ) from None
        try:
            return await self._greet(socket) or await self._serve(socket, self._new_feed())
        finally:
            self._feed = None
            self._watch(asyncio.create_task(_goodbye(socket), name="expression goodbye"))

    async def _serve(self, socket: ClientConnection, feed: Feed) -> wire.End:
        logger.info("= expression measures")
        listener = asyncio.create_task(self._listen(socket), name="expression listens")
        sender = asyncio.create_task(self._send(socket, feed), name="expression sends")
        try:
            await asyncio.wait({listener, sender}, return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                sender.result()
            return await listener
        finally:
            listener.cancel()
            sender.cancel()

    async def _greet(self, socket: ClientConnection) -> wire.End | None:
        """Wait for the session, and set how often it measures; return its end if that comes."""
        error = reason = ""
        try:
            async with asyncio.timeout(CONNECT_S):
                while True:
                    match wire.decode(await socket.recv(decode=False)):
                        case wire.SessionCreated(measurement_timer_ms=interval):
                            break
                        case wire.ServiceError(code=code, retryable=False):
                            error = code
                        case wire.SessionClosed(reason=why):
                            reason = why
                        case _:
                            pass
                if interval != self._interval:
                    update = wire.SessionUpdate(measurement_timer_ms=self._interval)
                    await socket.send(wire.encode(update), text=True)
        except ConnectionClosed as closed:
            return wire.End(closing(closed).code, error, reason)
        except TimeoutError:
            raise ProviderUnavailable(
                f"{SERVICE.title} opened no session within {CONNECT_S:g} s", "connect_timeout"
            ) from None
        return None

    async def _listen(self, socket: ClientConnection) -> wire.End:
        """Take what the service says until it has ended."""
        error = reason = ""
        try:
            while True:
                match wire.decode(await socket.recv(decode=False)):
                    case wire.Measurement() as result:
                        self._measured(result)
                    case wire.ServiceError() as said:
                        error = self._error(said) or error
                    case wire.SessionClosed(reason=why):
                        reason = why
                    case None:
                        self._once("unreadable", "a frame of the service was left out")
                    case _:
                        pass
        except ConnectionClosed as closed:
            return wire.End(closing(closed).code, error, reason)

    def _measured(self, result: wire.Measurement) -> None:
        second = self._clock.mono_ns() // 1_000_000_000
        taken = self._window[1] + 1 if self._window[0] == second else 1
        self._window = second, taken
        if taken > RESULTS_PER_S or self._feed is None:
            self._once("flood", "results that came too fast were left out")
            return
        middle = max(0, result.audio_start_ms + result.audio_end_ms) // 2
        # A position that no stretch can have would not fit the message.
        frame = self._feed.samples.frame_of(min(middle, 1 << 40) * wire.RATE // 1000)
        self._teller.measured(frame, self._vocabulary.measured(result), wire.scores_text(result))

    def _error(self, error: wire.ServiceError) -> str:
        """Take an error; return its code where it ends the session."""
        if error.code == "rate_limited":
            self._resend = True
            self._wake.set()
        elif not error.retryable:
            return error.code
        else:
            self._once(error.code[:32], f"the service says {error.code[:32]!r}")
        return ""

    async def _send(self, socket: ClientConnection, feed: Feed) -> None:
        """Send what the gate lets out, at the pace of speech, until the socket is closed.

        Raises:
            ProviderUnavailable: the service takes nothing.
        """
        due, last = self._now(), b""
        while True:
            if self._resend and last:
                self._resend, chunk = False, last
                await asyncio.sleep(self._clock.real_s(RESEND_S))
            else:
                chunk = b"" if self._paused else feed.take()
            if not chunk:
                await self._sleep(feed)
                continue
            last = chunk
            due = max(due, self._now() - BURST_S)
            await asyncio.sleep(self._clock.real_s(max(0.0, due - self._now())))
            try:
                async with asyncio.timeout(STALL_S):
                    await socket.send(chunk)
            except TimeoutError:
                raise ProviderUnavailable(f"{SERVICE.title} takes nothing", "stalled") from None
            except ConnectionClosed:
                return  # The listener knows why.
            seconds = len(chunk) / 2 / wire.RATE
            due += seconds
            self._sent_s += seconds
            if self._sent_s - self._accounted_s >= ACCOUNT_S:
                self._account()

    async def _sleep(self, feed: Feed) -> None:
        """Wait for an edge, or for as many frames as make a chunk."""
        self._wake.clear()
        self._due = NEVER_DUE if self._paused else feed.due
        # What came while the last chunk was sent has set no wake-up.
        self.appended()
        await self._wake.wait()

    def _now(self) -> float:
        return self._clock.mono_ns() / 1e9

    # --- telling ----------------------------------------------------------------------------

    def _account(self) -> None:
        """Tell what was sent since the last account as money, where its price is known."""
        seconds = self._sent_s - self._accounted_s
        self._accounted_s = self._sent_s
        price = prices.hume_expression_minute()
        if seconds and price:
            self._teller.spent_aside(seconds / 60 * price, f"affect {seconds:.1f} s")

    def _trouble(self, code: str, sentence: str) -> None:
        """Tell the operator once; while it lasts the log alone says more."""
        logger.warning("! expression %s: %s", code, sentence)
        if not self._told:
            self._told = True
            self._teller.trouble_aside(f"expression_{code}", sentence)

    def _once(self, code: str, sentence: str) -> None:
        """Log what is odd, once for each kind."""
        if code not in self._errors and len(self._errors) < 64:
            self._errors.add(code)
            logger.warning("! expression %s: %s", code, sentence)


async def _goodbye(socket: ClientConnection) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(ConnectionClosed, TimeoutError, OSError):
        async with asyncio.timeout(1.0):
            await socket.send(wire.encode(wire.SessionClose()), text=True)
    await socket.close()


def _code(end: wire.End) -> str:
    return end.error[:32] or end.reason[:32] or str(end.code)


def _sentence(end: wire.End) -> str:
    return f"{SERVICE.title} ended ({_code(end)})"
