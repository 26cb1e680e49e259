"""The figures of one program in one round."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict

from bench.goals import Figures
from bench.programs import Floor, Program, Voiced
from bench.service import Service
from bench.sound import Loudspeaker, Microphone, Pulse

CLICKS = 12
"""Of a turn in the midst of which the socket is cut."""
DEAD_S = 4.0
"""What has not come back by then never does."""
ATTEMPTS_S = 12.0
"""Between two cuts: no more than six connections a minute are tried."""


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
    """One program, alone on a fresh sound server.

    Args:
        kind: which program.
        service: what it talks to.
        repeats: how often most things are measured.
        hurt: whether the socket is cut and the sound server killed too.
    """

    def __init__(
        self, kind: type[Program], service: Service, *, repeats: int, hurt: bool = True
    ) -> None:
        self.kind, self.service, self.repeats, self.hurt = kind, service, repeats, hurt
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
            if self.hurt:
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
        self.service.clear()

    async def _quiet(self) -> None:
        """Wait until nothing sounds any more of what was said before."""
        await _until(lambda: self._silent_since(time.monotonic_ns() - 200_000_000), DEAD_S)

    def _silent_since(self, ns: int) -> int | None:
        return 1 if self.loudspeaker.last_loud(ns) is None else None

    async def _replies(self, *, burst: bool) -> None:
        for _ in range(self.repeats if burst else max(3, self.repeats // 2)):
            await self._quiet()
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
            await self._quiet()
            sent = await self.service.reply(3.0, burst=True)
            await asyncio.sleep(0.8 + 0.013 * (i % 5))
            stamp = time.monotonic_ns()
            turn = await self.service.speech_started()
            try:
                told = await asyncio.wait_for(self.service.truncated.get(), 3)
            except TimeoutError:
                print("an interruption was not answered by a truncate", flush=True)
                continue
            finally:
                await asyncio.sleep(0.5)
                await self.service.speech_ended(turn)
            last, first = self.loudspeaker.last_loud(sent), self.loudspeaker.first_loud(sent)
            assert last is not None
            assert first is not None
            self.figures["silence"].append(max(0.0, (last - stamp) / 1e6))
            self.figures["heard"].append(told + self.program.margin_ms - (last - first) / 1e6)

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
        """Cut the socket while the visitor speaks: a turn of clicks, ten a second."""
        for number in range(3 if isinstance(self.program, Voiced) else 1):
            if number:
                await asyncio.sleep(ATTEMPTS_S)
            self.service.clear()
            connections = len(self.service.first_append)
            assert self.service.client is not None
            stamp, turn = 0, ""
            for i in range(CLICKS):
                clicked = await self.microphone.click()
                if i == 0:
                    await _until(lambda t=clicked: self.service.click_arrived(t), DEAD_S)
                    turn = await self.service.speech_started()
                if i == CLICKS // 2:
                    stamp = time.monotonic_ns()
                    self.service.client.transport.abort()
                await asyncio.sleep(0.1)
            await _until(lambda n=connections: self._all_clicks(n), DEAD_S)
            if len(self.service.first_append) > connections:
                back = self.service.first_append[connections]
                self.figures["cut"].append((back - stamp) / 1e6)
                lost = CLICKS - self.service.clicks(connections)
                self.figures["lost"].append(lost)
                turn = await self.service.speech_started()
                await self.service.speech_ended(turn)
                await self.service.reply(0.3, burst=True)

    def _all_clicks(self, connection: int) -> int | None:
        return 1 if self.service.clicks(connection) >= CLICKS else None

    async def _devices(self) -> None:
        if isinstance(self.program, Floor):
            # The cut was its end.
            await self.program.stop()
            await self.program.start()
            await asyncio.sleep(2.5)
        self.loudspeaker.close()
        self.pulse.kill()
        await asyncio.sleep(3)
        await self.pulse.start()
        back = time.monotonic_ns()
        await self.microphone.close()
        self.microphone, self.loudspeaker = Microphone(self.pulse), Loudspeaker(self.pulse)
        heard = wire = None
        # A client that hangs takes nothing: neither does a send to it return.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20 if isinstance(self.program, Voiced) else DEAD_S):
                while heard is None or wire is None:
                    clicked = await self.microphone.click()
                    sent = await self.service.reply(0.3, burst=True)
                    await asyncio.sleep(0.5)
                    wire = wire or self.service.click_arrived(clicked)
                    heard = heard or self.loudspeaker.first_loud(sent)
        if heard and wire:
            self.figures["devices"].append((max(heard, wire) - back) / 1e9)
