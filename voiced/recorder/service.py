"""The recorder's main loop: control's words, then as much of the rings as there is, then sleep.

It sleeps by the clock, since nobody wakes it: whoever woke it would have to do something for it.
Packing goes on in steps between two looks at the rings.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import assert_never

from voiced.errors import ChannelClosed, ExitCode, RemoteProtocolError
from voiced.lane.words import DeviceSegment, LaneSegment, Owner
from voiced.messages.framing import PROTOCOL_VERSION, Attach, Decoder, Hello, Shutdown, encode
from voiced.messages.recorder import (
    DropRecording,
    FromRecorder,
    MarkTurn,
    Record,
    Recorded,
    StopRecording,
    ToRecorder,
)
from voiced.recorder.session import Recording, Steps

LOOK_S = 0.2
"""How often the rings are looked at; they hold a minute."""
AT_ONCE_S = 0.1
"""How long it reads or packs before it looks at the channel and stamps again."""
SEND_TIMEOUT_S = 2.0
"""A control process that takes nothing for so long is as good as gone."""


class Service:
    """Runs the process from its greeting to its end."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.settimeout(SEND_TIMEOUT_S)
        self._decoder: Decoder[ToRecorder] = Decoder(ToRecorder)  # type: ignore[arg-type]
        self._device: DeviceSegment | None = None
        self._lanes: dict[str, LaneSegment] = {}
        self._look_s = LOOK_S
        self._recordings: dict[str, Recording] = {}
        """By session id, which no two agents share."""
        self._work: dict[str, Steps] = {}
        """What is being packed, a session's one after the other."""
        self._ended = False

    def run(self) -> ExitCode:
        """Serve until control says so or is gone."""
        try:
            self._send(Hello(pid=os.getpid()))
            more = False
            while not self._ended:
                self._receive(0.0 if more else self._look_s)
                if self._device is not None:
                    self._device.stamp(Owner.RECORDER)
                more = self._record()
                more |= self._pack()
            self._finish_all()
            return ExitCode.DONE
        except ChannelClosed:
            # What is on disk is whole; a new daemon packs nothing of it.
            return ExitCode.CONTROL_GONE
        finally:
            self._socket.close()

    # --- the channel

    def _receive(self, timeout_s: float) -> None:
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return
        try:
            received = self._socket.recv(65536)
        except OSError as error:
            raise ChannelClosed("control is gone") from error
        if not received:
            raise ChannelClosed("control is gone")
        for message in self._decoder.receive(received):
            self._take(message)

    def _send(self, message: FromRecorder) -> None:
        try:
            self._socket.sendall(encode(message))
        except OSError as error:
            raise ChannelClosed("control is gone") from error

    def _take(self, message: ToRecorder) -> None:
        match message:
            case Hello():
                if message.version != PROTOCOL_VERSION:
                    raise RemoteProtocolError(f"control speaks version {message.version}")
            case Attach():
                self._attach(message)
            case Record():
                self._begin(message)
            case MarkTurn():
                if recording := self._recordings.get(message.session_id):
                    recording.mark(message)
            case StopRecording():
                if recording := self._recordings.get(message.session_id):
                    recording.stop_at = message.to_frame
            case DropRecording():
                self._drop(message)
            case Shutdown():
                self._ended = True
            case _:
                assert_never(message)

    def _attach(self, message: Attach) -> None:
        self._device = DeviceSegment(message.device_fd)
        self._lanes = {seat.agent: LaneSegment(seat.fd, read_only=True) for seat in message.lanes}
        # On a fast virtual card the minute that the rings hold is short.
        self._look_s = LOOK_S / max(1.0, message.speed)
        self._device.stamp(Owner.RECORDER)

    def _begin(self, message: Record) -> None:
        lane = self._lanes.get(message.agent)
        if lane is None or self._device is None:
            raise RemoteProtocolError("Record names a lane that Attach did not")
        self._recordings[message.session_id] = Recording(message, lane, self._device, self._send)

    def _drop(self, message: DropRecording) -> None:
        work = self._work.pop(message.session_id, None)
        if work is not None:
            work.close()
        recording = self._recordings.pop(message.session_id, None)
        if recording is not None:
            recording.drop()

    # --- the work

    def _record(self) -> bool:
        """Read on for every session; tell whether there is more at once."""
        now = time.monotonic()
        until = now + AT_ONCE_S
        more = False
        for recording in self._recordings.values():
            while not recording.at_end and recording.advance(now):
                now = time.monotonic()
                if now > until:
                    more = True
                    break
        return more

    def _pack(self) -> bool:
        """Cut and pack for a while; tell whether there is more at once."""
        until = time.monotonic() + AT_ONCE_S
        for session_id, recording in list(self._recordings.items()):
            work = self._work.get(session_id)
            if work is None:
                work = self._work[session_id] = self._steps(recording)
            for finished in work:
                if finished is not None:
                    self._send(finished)
                if time.monotonic() > until:
                    return True
            del self._work[session_id]
            if recording.finished:
                del self._recordings[session_id]
                self._send(Recorded(agent=recording.wanted.agent, session_id=session_id))
        return False

    @staticmethod
    def _steps(recording: Recording) -> Steps:
        return recording.finish() if recording.at_end else recording.turns_due()

    def _finish_all(self) -> None:
        """Finish as what it is now: read what is there, and pack nothing."""
        for work in self._work.values():
            work.close()
        for session_id, recording in self._recordings.items():
            now = time.monotonic()
            while not recording.at_end and recording.advance(now):
                pass
            recording.keep_wav()
            for finished in recording.finish():
                if finished is not None:
                    self._send(finished)
            self._send(Recorded(agent=recording.wanted.agent, session_id=session_id))
