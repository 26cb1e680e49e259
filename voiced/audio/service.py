"""The audio process's main loop: asleep in poll(), stamping, looking for the card, watching it.

Three states: nothing asked for, looking for the card once a second ("no device" is a state, not an
error), serving it. A card that fails while it serves ends the process: PortAudio's close hangs
after its server died, so nothing is closed and nothing is tidied up.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from typing import NoReturn, Protocol

from voiced.audio.callback import Callback, LaneIO
from voiced.audio.channel import Channel
from voiced.audio.renewal import Renewal, renew
from voiced.errors import (
    ChannelClosed,
    DeviceError,
    ExitCode,
    LocalProtocolError,
    RemoteProtocolError,
)
from voiced.lane.seam import Clock, Wake
from voiced.lane.words import DeviceSegment, Owner
from voiced.messages.audio import (
    DeviceAbsent,
    DeviceLost,
    DeviceOpened,
    FileRefused,
    FromAudio,
    ListDevices,
    OpenDevice,
    PlayFile,
)
from voiced.messages.framing import Attach, Hello, Shutdown

STAMP_EVERY_S = 0.2
LOOK_EVERY_S = 1.0
LOOKS_BEFORE_RENEWAL = 60
LOADING_S = 10.0
"""A renewed program may load for so long before it stamps: no reason to call it hung."""


class Card(Protocol):
    """What the main loop knows of a card that serves."""

    def opened(self, *, realtime: bool) -> DeviceOpened:
        """Return what to tell control."""

    def timeout_s(self) -> float:
        """Seconds until `serve` wants to be called."""

    def serve(self) -> list[FromAudio]:
        """Do what is due; return what is to be told. DeviceError: the card is lost."""

    def play_file(self, message: PlayFile) -> None:
        """Play a recording into a microphone; DeviceError where that cannot be."""

    def close(self) -> None:
        """Finish what must not be lost; streams are left as they are."""


class Service:
    """Runs the process from its greeting to its end.

    Args:
        channel: greeted.
        realtime: whether the system allows realtime priority.
        known: what this process knew before it started its program anew.
    """

    def __init__(self, channel: Channel, *, realtime: bool, known: Renewal | None = None) -> None:
        attach: Attach = channel.attach
        self._channel = channel
        self._realtime = realtime
        self._clock = Clock(attach.speed)
        self._device_fd = attach.device_fd
        self._device = DeviceSegment(attach.device_fd)
        self._lane_fds = {seat.agent: seat.fd for seat in attach.lanes}
        self._near_wake, self._edge_wake = Wake(*attach.near_wake), Wake(*attach.edge_wake)
        self._wanted: OpenDevice | None = known.wanted if known else None
        self._card: Card | None = None
        self._look_at = 0.0
        self._looks = 0
        self._absent = known.absent.sentence if known else ""

    def run(self) -> NoReturn:
        """Serve until control says so, is gone, or the card is lost."""
        while True:
            self._device.stamp(Owner.AUDIO)
            try:
                for message in self._channel.receive(self._timeout_s()):
                    self._take(message)
                if self._card is not None:
                    for news in self._card.serve():
                        self._channel.send(news)
                elif self._wanted is not None and time.monotonic() >= self._look_at:
                    self._look_for_card(self._wanted)
            except DeviceError as error:
                self._lose(str(error))
            except ChannelClosed:
                self._leave(ExitCode.CONTROL_GONE)
            except (RemoteProtocolError, LocalProtocolError) as error:
                print(f"! audio: {error}", file=sys.stderr, flush=True)
                self._leave(ExitCode.PROTOCOL)

    def _timeout_s(self) -> float:
        if self._card is not None:
            return min(STAMP_EVERY_S, self._card.timeout_s())
        if self._wanted is not None:
            return min(STAMP_EVERY_S, max(0.0, self._look_at - time.monotonic()))
        return STAMP_EVERY_S

    def _take(self, message: object) -> None:
        match message:
            case OpenDevice():
                if self._wanted is not None:
                    raise RemoteProtocolError("a second OpenDevice needs a new process")
                self._wanted = message
            case ListDevices():
                from voiced.audio.pair import list_devices

                self._channel.send(list_devices())
            case PlayFile():
                self._play_file(message)
            case Shutdown():
                self._leave(ExitCode.DONE)
            case Hello() | Attach():
                raise RemoteProtocolError(f"{type(message).__name__} comes once, at the start")
            case _:
                raise RemoteProtocolError(f"unexpected {type(message).__name__}")

    def _play_file(self, message: PlayFile) -> None:
        if self._card is None and self._wanted is not None:
            # Sent right behind the wish for a card: nobody who plays a file waits for us to open.
            self._look_for_card(self._wanted)
        try:
            if self._card is None:
                raise DeviceError("there is no card yet")
            self._card.play_file(message)
        except DeviceError as error:
            self._channel.send(
                FileRefused(agent=message.agent, path=message.path, sentence=str(error))
            )

    def _look_for_card(self, wanted: OpenDevice) -> None:
        try:
            card = self._open(wanted)
        except DeviceError as error:
            self._look_at = time.monotonic() + LOOK_EVERY_S
            if str(error) != self._absent:
                self._absent = str(error)
                self._channel.send(DeviceAbsent(sentence=self._absent))
            gc.collect()
            self._looks += 1
            if self._looks >= LOOKS_BEFORE_RENEWAL:
                absent = DeviceAbsent(sentence=self._absent)
                self._device.stamp(Owner.AUDIO, ahead_s=LOADING_S)
                renew(self._channel.fileno(), Renewal(self._channel.attach, wanted, absent))
            return
        self._card = card
        # From here on nothing makes cycles; a collection would stop the callback's thread.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._channel.send(card.opened(realtime=self._realtime))

    def _open(self, wanted: OpenDevice) -> Card:
        lanes = self._lanes(wanted)
        match wanted.backend:
            case "virtual":
                from voiced.audio.virtual import VirtualDevice

                callback = self._callback(wanted, lanes, wanted.samplerate, duplex=True)
                return VirtualDevice(wanted, callback, self._device, lanes, self._clock)
            case "portaudio":
                from voiced.audio.device import PortAudioDevice
                from voiced.audio.pair import choose_pair

                pair = choose_pair(wanted)
                callback = self._callback(wanted, lanes, pair.samplerate, duplex=pair.duplex)
                return PortAudioDevice(pair, callback, self._device)
            case other:
                raise RemoteProtocolError(f"there is no audio backend {other!r}")

    def _lanes(self, wanted: OpenDevice) -> list[LaneIO]:
        unknown = [lane.agent for lane in wanted.lanes if lane.agent not in self._lane_fds]
        if unknown or not wanted.lanes:
            raise RemoteProtocolError(f"OpenDevice names lanes that Attach did not: {unknown}")
        return [
            LaneIO(self._lane_fds[lane.agent], lane.inputs, lane.outputs) for lane in wanted.lanes
        ]

    def _callback(
        self, wanted: OpenDevice, lanes: list[LaneIO], samplerate: int, *, duplex: bool
    ) -> Callback:
        return Callback(
            self._device_fd,
            lanes,
            samplerate=samplerate,
            clock=self._clock,
            duplex=duplex,
            append_frames=wanted.append_frames,
            near_wake=self._near_wake,
            edge_wake=self._edge_wake,
        )

    def _lose(self, sentence: str) -> NoReturn:
        """Tell control that the card is lost, and go without touching it."""
        with contextlib.suppress(ChannelClosed):
            self._channel.send(DeviceLost(sentence=sentence))
        self._leave(ExitCode.DEVICE_LOST)

    def _leave(self, code: ExitCode) -> NoReturn:
        """End now: an ordinary exit would close PortAudio, which hangs on a dead server."""
        if self._card is not None:
            with contextlib.suppress(OSError):
                self._card.close()
        sys.stderr.flush()
        os._exit(code)
