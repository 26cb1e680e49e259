"""The network process's life: greet control, attach the lanes, run the legs, stamp, end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from voiced.errors import ExitCode, RemoteProtocolError
from voiced.lane.seam import Clock, Wake
from voiced.lane.words import DeviceSegment, LaneSegment, Owner
from voiced.messages.framing import PROTOCOL_VERSION, Attach, Decoder, Hello, Shutdown, encode
from voiced.messages.network import (
    AssistantText,
    CloseLeg,
    ForgetReply,
    FromNetwork,
    Interrupt,
    Meter,
    NetworkTrouble,
    Note,
    OpenLeg,
    Replay,
    Say,
    ScanProviders,
    SendText,
    SetKey,
    SetPrices,
    SetRoots,
    ShowPicture,
    ToNetwork,
    ToolResult,
    TurnEnd,
    UpdateLeg,
    UserText,
    WarmUp,
)
from voiced.messages.secrets import Secrets
from voiced.network.merging import Merging
from voiced.network.seat import Seat
from voiced.network.wire import InferenceWire
from voiced.providers import prices
from voiced.providers.attempts import Attempts
from voiced.providers.registry import Registry

STAMP_S = 0.2
CONTROL_STALE_S = 2.0
"""Control has not stamped for so long: the upload pauses."""
CONTROL_LOST_S = 10.0
"""... and for so long: the legs are closed, a hung mind must not bill."""
BEHIND = 4096
"""Bytes that control has not taken, from which words are put together until it has."""
BACKED_UP = 1024 * 1024
"""Bytes that control has not taken, from which meters are left out: they lose nothing."""

logger = logging.getLogger("voiced.network")


class Channel(asyncio.Protocol):
    """The control channel's shell: bytes in, messages out, nothing else."""

    def __init__(
        self,
        receive: Callable[[ToNetwork], None],
        end: Callable[[ExitCode], None],
        secrets: Secrets,
    ) -> None:
        self._receive, self._end, self._secrets = receive, end, secrets
        self._decoder: Decoder[ToNetwork] = Decoder(ToNetwork)  # type: ignore[arg-type]
        self._transport: asyncio.WriteTransport | None = None
        self._behind = False
        self._merging = Merging()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.set_write_buffer_limits(high=BEHIND)
        transport.write(encode(Hello(pid=os.getpid())))

    def data_received(self, data: bytes) -> None:
        """Feed the decoder, hand on what is complete."""
        try:
            for message in self._decoder.receive(data):
                self._receive(message)
        except RemoteProtocolError as error:
            logger.error("! control: %s", error)
            self._end(ExitCode.PROTOCOL)

    def connection_lost(self, error: Exception | None) -> None:
        """Control is gone: nothing to report to."""
        self._end(ExitCode.CONTROL_GONE)

    def pause_writing(self) -> None:
        """Control is behind."""
        self._behind = True

    def resume_writing(self) -> None:
        """Control has caught up."""
        self._behind = False
        self._tell_merged()

    def send(self, message: FromNetwork) -> None:
        """Send one message."""
        if self._transport is None or self._transport.is_closing():
            return
        if isinstance(message, Meter) and self._transport.get_write_buffer_size() > BACKED_UP:
            return
        if self._behind and isinstance(message, AssistantText | UserText) and not message.final:
            if not self._merging.add(message):
                self._tell_merged()
            return
        self._tell_merged()
        self._transport.write(encode(self._secrets.hide_in(message)))

    def _tell_merged(self) -> None:
        assert self._transport is not None
        for words in self._merging.take():
            self._transport.write(encode(self._secrets.hide_in(words)))


class Service:
    """Everything the process has.

    Attributes:
        channel: the protocol for control's socket.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, secrets: Secrets | None = None) -> None:
        self._loop = loop
        self._secrets = secrets or Secrets()
        self._ended: asyncio.Future[ExitCode] = loop.create_future()
        self.channel = Channel(self._receive, self.end, self._secrets)
        self._greeted = False
        self._device: DeviceSegment | None = None
        self._wake: Wake | None = None
        self._wire: InferenceWire | None = None
        self._seats: dict[str, Seat] = {}
        self._registry = Registry()
        self._keys: dict[str, str] = {}
        self._roots: tuple[Path, ...] = ()
        self._stale = False
        self._tasks: set[asyncio.Task[None]] = set()

    def end(self, status: ExitCode) -> None:
        """End the process; the first status counts."""
        if not self._ended.done():
            logger.info("= ends status=%d", status)
            self._ended.set_result(status)

    async def run(self) -> int:
        """Serve until the end; return the exit status."""
        status = await self._ended
        async with asyncio.TaskGroup() as group:
            for seat in self._seats.values():
                group.create_task(seat.close())
        if self._wire is not None:
            self._wire.close()
        return status

    # --- control's messages -----------------------------------------------------------------

    def _receive(self, message: ToNetwork) -> None:
        if not self._greeted:
            if not isinstance(message, Hello) or message.version != PROTOCOL_VERSION:
                raise RemoteProtocolError(f"expected Hello of version {PROTOCOL_VERSION}")
            self._greeted = True
            return
        match message:
            case Attach():
                self._attach(message)
            case Shutdown():
                self.end(ExitCode.DONE)
            case ScanProviders(folder=folder):
                self._registry.scan(folder)
                self.channel.send(self._registry.catalogue())
            case SetKey(server=server, key=key):
                self._secrets.add(key)
                self._keys[server] = key
            case SetPrices():
                self._set_prices(message)
            case SetRoots(folders=folders):
                self._roots = tuple(Path(folder) for folder in folders)
            case WarmUp(provider=name):
                self._warm_up(name)
            case Hello():
                raise RemoteProtocolError("a second Hello")
            case _:
                self._to_seat(message)

    def _to_seat(
        self,
        message: OpenLeg
        | CloseLeg
        | UpdateLeg
        | SendText
        | Say
        | Note
        | Interrupt
        | TurnEnd
        | ToolResult
        | ShowPicture
        | Replay
        | ForgetReply,
    ) -> None:
        seat = self._seats.get(message.agent)
        if seat is None:
            raise RemoteProtocolError(f"no lane of an agent {message.agent!r} was attached")
        match message:
            case OpenLeg():
                logger.info("< %s leg=%d open %s", message.agent, message.leg, message.provider)
                provider = self._registry.find(message.provider)
                seat.open(message, provider, self._keys, self._wire)
            case Replay():
                seat.loudspeaker.replay()
            case ForgetReply():
                seat.loudspeaker.forget_reply()
            case _:
                seat.receive(message)

    def _attach(self, attach: Attach) -> None:
        if self._device is not None:
            raise RemoteProtocolError("a second Attach")
        device = self._device = DeviceSegment(attach.device_fd)
        clock = Clock(attach.speed)
        for seat in attach.lanes:
            self._seats[seat.agent] = Seat(
                seat.agent, LaneSegment(seat.fd), device, clock, self.channel.send, self._watch,
                lambda: self._roots,
            )  # fmt: skip
        self._wake = Wake(*attach.near_wake)
        self._loop.add_reader(self._wake.fd, self._appended)
        if attach.wire_fd >= 0:
            self._wire = InferenceWire(socket.socket(fileno=attach.wire_fd), self._inference_says)
            self._wire.start()
        self._stamp(device)
        if attach.state_dir:
            self._registry.attempts = Attempts(Path(attach.state_dir))
        self._registry.scan(attach.providers_folder)
        self.channel.send(self._registry.catalogue())

    def _set_prices(self, message: SetPrices) -> None:
        """Let the operator's prices win, in the estimates and in what providers account."""
        prices.overrule(message.prices)
        self._registry.reprice()
        for sentence in prices.unknown(message.prices, self._registry.names()):
            self.channel.send(NetworkTrouble(source="config", code="config", sentence=sentence))
        if self._device is not None:
            self.channel.send(self._registry.catalogue())

    def _warm_up(self, name: str) -> None:
        provider = self._registry.find(name)
        warm_up = getattr(provider, "warm_up", None)
        if warm_up is not None:
            self._watch(self._loop.create_task(warm_up(self._wire), name=f"warm up {name}"))

    # --- the loop ---------------------------------------------------------------------------

    def _appended(self) -> None:
        """Audio has set the wake: once per append period, for all lanes."""
        assert self._wake is not None
        self._wake.clear()
        for seat in self._seats.values():
            seat.wake()

    def _stamp(self, device: DeviceSegment) -> None:
        """Say that this loop runs, and see whether control's does."""
        device.stamp(Owner.NETWORK)
        age = device.age_s(Owner.CONTROL)
        stale = age > CONTROL_STALE_S
        if stale != self._stale:
            logger.warning("! control %s", "does not stamp: upload pauses" if stale else "is back")
            self._stale = stale
        for seat in self._seats.values():
            seat.pause(stale)
            if age > CONTROL_LOST_S:
                seat.abandon("control_lost", "the daemon's own mind did not run for 10 s")
        self._loop.call_later(STAMP_S, self._stamp, device)

    def _inference_says(self, code: str, sentence: str) -> None:
        self.channel.send(NetworkTrouble(source="inference", code=code, sentence=sentence))

    def _watch(self, task: asyncio.Task[None]) -> None:
        """Keep a task from being collected, and let no failure pass unseen."""
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._loop.call_exception_handler(
                {"message": f"{task.get_name()} failed", "exception": error}
            )
