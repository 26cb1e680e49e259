"""The streams of a pair of real devices: they run, or this process ends."""

from __future__ import annotations

import os
import time
from typing import Any

from voiced.audio import pulse
from voiced.audio.callback import Callback, Float32
from voiced.audio.pair import Pair, portaudio, quiet
from voiced.errors import DeviceError
from voiced.lane.priority import raise_threads
from voiced.lane.words import Device, DeviceSegment
from voiced.messages.audio import DeviceOpened, FromAudio, PlayFile

WATCH_EVERY_S = 0.1
GRACE_S = 2.5
"""How long a stream may take until blocks come steadily."""
PULSE_GRACE_S = 4.5
"""Streams through PulseAudio serve few blocks in their first two seconds; an underrun in these two
seconds makes them begin again. A loudspeaker's underrun later does the same to it: it goes on by
itself, where a new process would take as long and lose what visitors say meanwhile."""
PULSE_LATENCY_S = 0.015
"""Buffer to ask for through ALSA: PortAudio's own lowest, 10 ms, runs dry on a busy machine."""
STEADY_LOOKS = 3
"""Looks in a row that found every direction serving, after which the threads become realtime."""
BELIEVED_S = 1.0
"""A host that says it is later than this does not know."""
STALL_S = 0.25
"""For how long a direction may serve nothing, beside a few blocks."""
STALL_BLOCKS = 3
SUSPENDED_S = 1.0
"""A main loop that itself stood still for so long accuses nobody of a stall."""


class _Direction:
    """Whether one direction still serves blocks."""

    def __init__(
        self,
        words: memoryview,
        word: Device,
        blocksize: int,
        samplerate: int,
        *,
        bridged: bool,
    ) -> None:
        self._words, self._word = words, word
        begins_again = bridged and word is Device.OUTPUT_FRAME
        pause_s = PULSE_GRACE_S if begins_again else STALL_S
        self._limit = pause_s + STALL_BLOCKS * (blocksize or 1024) / samplerate
        self.name = "microphone" if word is Device.DEVICE_FRAME else "loudspeaker"
        self._count: int = words[word]
        self._since = time.monotonic()

    def moved(self) -> bool:
        """Tell whether anything was served since the last look."""
        return bool(self._words[self._word] != self._count)

    def stalled(self, now: float, *, forgive: bool) -> bool:
        """Tell whether nothing was served for longer than is healthy."""
        count: int = self._words[self._word]
        if count != self._count or forgive:
            self._count, self._since = count, now
        return now - self._since > self._limit


class PortAudioDevice:
    """The streams of a pair, running.

    Args:
        pair: what to open.
        callback: the core to serve, made for this pair.
        device: the device segment, mapped for the main loop.

    Raises:
        DeviceError: the host refuses to open or start it.
    """

    def __init__(self, pair: Pair, callback: Callback, device: DeviceSegment) -> None:
        self._pair, self._callback = pair, callback
        self._library = portaudio.library
        self._input_started = self._output_started = False
        self._streams: list[Any] = []
        self._through_alsa = any(
            side is not None and side.row.host_api == "ALSA" for side in (pair.source, pair.sink)
        )
        try:
            with quiet():
                self._open()
                for stream in self._streams:
                    stream.start()
        except (self._library.PortAudioError, ValueError) as error:
            for stream in self._streams:
                stream.close(ignore_errors=True)
            raise DeviceError(f"cannot open {self._names()}: {_reason(error)}") from error
        portaudio.streaming = True
        self._directions = [
            _Direction(device.words, word, block, pair.samplerate, bridged=side.bridged)
            for side, word, block in (
                (pair.source, Device.DEVICE_FRAME, pair.input_block),
                (pair.sink, Device.OUTPUT_FRAME, pair.output_block),
            )
            if side is not None
        ]
        self._started = self._last_watch = time.monotonic()
        self._watch: pulse.Watch | None = None
        self._steady_looks = 0
        self._may_watch = self._through_alsa and pulse.is_installed()

    def _names(self) -> str:
        sides = [side for side in (self._pair.source, self._pair.sink) if side is not None]
        return " and ".join(dict.fromkeys(f'"{side.name}"' for side in sides))

    def _open(self) -> None:
        pair, library = self._pair, self._library
        if pair.source and pair.source.endpoint:
            os.environ["PULSE_SOURCE"] = pair.source.endpoint
        if pair.sink and pair.sink.endpoint:
            os.environ["PULSE_SINK"] = pair.sink.endpoint
        common = {
            "samplerate": pair.samplerate,
            "dtype": "float32",
            "latency": PULSE_LATENCY_S if self._through_alsa else "low",
            # Clipped and rounded by the callback core; dither would be crosstalk.
            "clip_off": True,
            "dither_off": True,
        }
        if pair.duplex and pair.source and pair.sink:
            self._streams.append(
                library.Stream(
                    device=(pair.source.number, pair.sink.number),
                    channels=(pair.source.channels, pair.sink.channels),
                    blocksize=pair.input_block,
                    callback=self._serve_duplex,
                    **common,
                )
            )
            return
        if pair.source:
            self._streams.append(
                library.InputStream(
                    device=pair.source.number,
                    channels=pair.source.channels,
                    blocksize=pair.input_block,
                    callback=self._serve_input if pair.sink else self._serve_input_alone,
                    **common,
                )
            )
        if pair.sink:
            self._streams.append(
                library.OutputStream(
                    device=pair.sink.number,
                    channels=pair.sink.channels,
                    blocksize=pair.output_block,
                    callback=self._serve_output if pair.source else self._serve_output_alone,
                    **common,
                )
            )

    def _serve_duplex(
        self, samples: Float32, playout: Float32, frames: int, at: Any, status: Any
    ) -> None:
        self._serve_both(samples, playout, frames, at, status)

    def _serve_input_alone(self, samples: Float32, frames: int, at: Any, status: Any) -> None:
        """Without a loudspeaker replies are taken at the microphone's pace."""
        self._serve_both(samples, None, frames, at, status)

    def _serve_output_alone(self, playout: Float32, frames: int, at: Any, status: Any) -> None:
        """Without a microphone near is silence at the loudspeaker's pace."""
        self._serve_both(None, playout, frames, at, status)

    def _serve_both(
        self, samples: Float32 | None, playout: Float32 | None, frames: int, at: Any, status: Any
    ) -> None:
        callback = self._callback
        self._measure_input(at)
        self._measure_output(at)
        if not self._input_started:
            self._input_started = True
            callback.start_input(frames)
            callback.start_output(frames)
        if status:
            callback.count_xruns(overflow=status.input_overflow, underflow=status.output_underflow)
        callback.duplex(samples, playout, frames)

    def _serve_input(self, samples: Float32, frames: int, at: Any, status: Any) -> None:
        self._measure_input(at)
        if not self._input_started:
            self._input_started = True
            self._callback.start_input(frames)
        if status:
            self._callback.count_xruns(overflow=status.input_overflow, underflow=False)
        self._callback.input_block(samples, frames)

    def _serve_output(self, playout: Float32, frames: int, at: Any, status: Any) -> None:
        self._measure_output(at)
        if not self._output_started:
            self._output_started = True
            self._callback.start_output(frames)
        if status:
            self._callback.count_xruns(overflow=False, underflow=status.output_underflow)
        self._callback.output_block(playout, frames)

    def _measure_input(self, at: Any) -> None:
        latency = at.currentTime - at.inputBufferAdcTime
        if 0.0 < latency < BELIEVED_S:
            self._callback.input_latency_s = latency

    def _measure_output(self, at: Any) -> None:
        latency = at.outputBufferDacTime - at.currentTime
        if 0.0 < latency < BELIEVED_S:
            self._callback.output_latency_s = latency

    def opened(self, *, realtime: bool) -> DeviceOpened:
        """Return what to tell control."""
        pair = self._pair
        side = pair.sink or pair.source
        assert side is not None
        return DeviceOpened(
            host_api=side.row.host_api,
            input=pair.source.name if pair.source else "",
            output=pair.sink.name if pair.sink else "",
            samplerate=pair.samplerate,
            duplex=pair.duplex,
            input_block=pair.input_block,
            output_block=pair.output_block,
            realtime=realtime,
            inputs=pair.source.channels if pair.source else 0,
        )

    def timeout_s(self) -> float:
        """Seconds until the streams are to be looked at."""
        return WATCH_EVERY_S

    def play_file(self, message: PlayFile) -> None:
        """Refuse: only the virtual card's microphones play files."""
        raise DeviceError(f"a real microphone cannot play {message.path}")

    def serve(self) -> list[FromAudio]:
        """Look whether the streams still run.

        Raises:
            DeviceError: they do not; never close them then.
        """
        now = time.monotonic()
        steady = self._steady_looks == STEADY_LOOKS
        grace_s = PULSE_GRACE_S if self._through_alsa else 0.0 if steady else GRACE_S
        young = now - self._started < grace_s
        asleep = now - self._last_watch > SUSPENDED_S
        self._last_watch = now
        if not all(stream.active for stream in self._streams):
            raise DeviceError(f"{self._names()} stopped: the device or its server is gone")
        self._raise_when_steady()
        for direction in self._directions:
            if direction.stalled(now, forgive=young or asleep):
                raise DeviceError(
                    f"{self._names()}: the {direction.name} stalled, the sound server hangs"
                )
        if self._may_watch and steady:
            if self._watch is None:
                pair = self._pair
                self._watch = pulse.Watch(
                    sink=pair.sink is not None, source=pair.source is not None, named=pair.named
                )
            self._watch.check()
        return []

    def _raise_when_steady(self) -> None:
        """Make the threads realtime once sound flows in every direction."""
        if self._steady_looks < STEADY_LOOKS:
            moved = all(direction.moved() for direction in self._directions)
            self._steady_looks = self._steady_looks + 1 if moved else 0
            if self._steady_looks == STEADY_LOOKS:
                raise_threads()

    def close(self) -> None:
        """Leave the streams alone: closing one whose server died hangs."""
        if self._watch is not None:
            self._watch.close()


def _reason(error: Exception) -> str:
    """Return PortAudio's own words without its error number."""
    return str(error.args[0]) if error.args else str(error)
