"""The figures of one program in one round."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from bench.programs import Program, Voiced
from bench.service import Service
from bench.sound import Loudspeaker, Microphone, Pulse

Figures = dict[str, list[float]]

ROWS = {
    "mic_wire": "microphone click -> bytes on the wire, ms",
    "burst": "first delta -> first sound, reply in a burst, ms",
    "realtime": "first delta -> first sound, reply at real-time pace, ms",
    "gaps": "gaps in a reply at real-time pace (count a reply)",
    "silence": "speech_started on the wire -> silence, ms",
    "heard": "audio_end_ms sent with truncate, error, ms",
    "spin_gap": "user code spins 0.6 s (voiced: control stopped): gap at the loudspeaker, ms",
    "spin_pause": "user code spins 0.6 s (voiced: control stopped): pause in the upload, ms",
    "cut": "socket cut -> bytes on the wire again, ms",
    "devices": "sound server gone 3 s and back: both directions work again after, s",
    "start": "start -> connected and sending, s",
    "cpu": "connected and idle, % of a core, all processes",
    "memory": "connected and idle, USS MB, all processes",
}


async def _until(found: object, timeout_s: float) -> float | None:
    """Ask `found()` until it answers; None when it never did."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = found()  # type: ignore[operator]
        if value is not None:
            return float(value)
        await asyncio.sleep(0.003)
    return None


class Round:
    """One program, alone on a fresh sound server."""

    def __init__(self, kind: type[Program], service: Service, *, repeats: int) -> None:
        self.kind, self.service, self.repeats = kind, service, repeats
        self.figures: Figures = defaultdict(list)
        self.processes: dict[str, tuple[float, float]] = {}

    async def run(self) -> None:
        self.pulse = Pulse()
        await self.pulse.start()
        self.microphone, self.loudspeaker = Microphone(self.pulse), Loudspeaker(self.pulse)
        self.program = self.kind(self.pulse, self.service)
        try:
            self.figures["start"].append(await self.program.start())
            await asyncio.sleep(2.5)  # PulseAudio fills its buffers; not part of any figure
            await self._idle()
            await self._clicks()
            await self._replies(burst=True)
            await self._replies(burst=False)
            await self._interruptions()
            await self._spin()
            if isinstance(self.program, Voiced):
                await self._cut()
                await self._devices()
        finally:
            await self.program.stop()
            await self.microphone.close()
            self.loudspeaker.close()
            self.pulse.close()

    async def _idle(self) -> None:
        self.processes = await self.program.usage(5)
        self.figures["cpu"].append(sum(cpu for cpu, _ in self.processes.values()))
        self.figures["memory"].append(sum(uss for _, uss in self.processes.values()))

    async def _clicks(self) -> None:
        for i in range(self.repeats * 3):
            await asyncio.sleep(0.15 + 0.0037 * (i % 7))
            clicked = await self.microphone.click()
            arrived = await _until(lambda t=clicked: self.service.click_arrived(t), 2)
            if arrived is not None:
                self.figures["mic_wire"].append((arrived - clicked) / 1e6)
        self.service.appends.clear()

    async def _replies(self, *, burst: bool) -> None:
        for _ in range(self.repeats if burst else max(3, self.repeats // 2)):
            begun = time.monotonic_ns()
            sent = await self.service.reply(1.0, burst=burst)
            first = await _until(lambda t=sent: self.loudspeaker.first_loud(t), 3)
            await asyncio.sleep(1.5 if burst else 0.6)
            if first is not None:
                self.figures["burst" if burst else "realtime"].append((first - sent) / 1e6)
            if not burst:
                self.figures["gaps"].append(self.loudspeaker.gaps(begun))

    async def _interruptions(self) -> None:
        for i in range(self.repeats):
            while not self.service.truncated.empty():
                self.service.truncated.get_nowait()
            sent = await self.service.reply(3.0, burst=True)
            await asyncio.sleep(0.8 + 0.013 * (i % 5))
            stamp = time.monotonic_ns()
            await self.service.send(type="input_audio_buffer.speech_started")
            told = await asyncio.wait_for(self.service.truncated.get(), 3)
            await asyncio.sleep(0.5)
            last, first = self.loudspeaker.last_loud(sent), self.loudspeaker.first_loud(sent)
            assert last is not None
            assert first is not None
            self.figures["silence"].append(max(0.0, (last - stamp) / 1e6))
            self.figures["heard"].append(told - (last - first) / 1e6)

    async def _spin(self) -> None:
        for _ in range(2):
            begun = time.monotonic_ns()
            await self.service.reply(2.5, burst=True)
            await asyncio.sleep(0.6)
            stamp = time.monotonic_ns()
            await self.program.spin(0.6)
            await asyncio.sleep(2.5)
            self.figures["spin_gap"].append(self.loudspeaker.longest_gap_ms(begun))
            self.figures["spin_pause"].append(self.service.longest_pause_ms(stamp))

    async def _cut(self) -> None:
        for _ in range(3):
            before = len(self.service.first_append)
            assert self.service.client is not None
            stamp = time.monotonic_ns()
            self.service.client.transport.abort()
            while len(self.service.first_append) == before:
                await asyncio.sleep(0.002)
            self.figures["cut"].append((self.service.first_append[-1] - stamp) / 1e6)
            await asyncio.sleep(12)  # beyond the cap of six attempts a minute

    async def _devices(self) -> None:
        self.loudspeaker.close()
        self.pulse.kill()
        await asyncio.sleep(3)
        await self.pulse.start()
        back = time.monotonic_ns()
        await self.microphone.close()
        self.microphone, self.loudspeaker = Microphone(self.pulse), Loudspeaker(self.pulse)
        deadline = time.monotonic() + 20
        heard = wire = None
        while (heard is None or wire is None) and time.monotonic() < deadline:
            clicked = await self.microphone.click()
            sent = await self.service.reply(0.3, burst=True)
            await asyncio.sleep(0.5)
            wire = wire or self.service.click_arrived(clicked)
            heard = heard or self.loudspeaker.first_loud(sent)
        if heard and wire:
            self.figures["devices"].append((max(heard, wire) - back) / 1e9)
