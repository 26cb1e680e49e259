"""A second typed text at every awkward moment of the first one's reply, with every cloud service.

Two of them answer one text after the other; with the other two a text cuts the reply that runs, and
the reply to it is given with both in mind. None may be left without an answer.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import pytest

from voiced.emulators.gemini import Gemini
from voiced.emulators.hume import Hume
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Script
from voiced.emulators.xai import XAI
from voiced.providers.contract import HeardItem, SessionRequest

FIRST = "Tell me of the first lighthouse that was ever built."
SECOND = "And of the second one."
SERVICES: dict[str, Any] = {
    "provider_openai_realtime": OpenAI,
    "provider_xai_grok": XAI,
    "provider_gemini_live": Gemini,
    "provider_hume_evi": Hume,
}
ONE_BY_ONE = ("provider_openai_realtime", "provider_xai_grok")
MOMENTS = ("at once", "response_started", "audio", "last word", "response_done")
DEADLINE_S = 30.0


class Told:
    """What is told, and who waits for it."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.moment: dict[str, asyncio.Event] = {moment: asyncio.Event() for moment in MOMENTS}
        self.changed = asyncio.Event()
        self.troubles: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **named: self._note(name)

    def _note(self, name: str) -> None:
        if name in self.moment:
            self.moment[name].set()
        self.changed.set()

    def assistant_text(
        self, response: str, item: str, text: str, *, delta: bool = True, final: bool = False
    ) -> None:
        self.said[response] = (self.said.get(response, "") if delta else "") + text
        if final:
            self._note("last word")

    def response_done(self, response: str, status: str = "completed") -> None:
        self.ended[response] = status
        self._note("response_done")

    def trouble(self, code: str, sentence: str) -> None:
        self.troubles.append(f"{code}: {sentence}")

    async def interrupted(self) -> list[HeardItem]:
        return []

    @property
    def answers(self) -> list[str]:
        """The words of the replies that came to their end."""
        return [self.said.get(r, "") for r, status in self.ended.items() if status == "completed"]

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(DEADLINE_S):
            while not met():
                self.changed.clear()
                await self.changed.wait()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", SERVICES)
def test_a_second_text_is_answered(name: str, moment: str) -> None:
    async def scene() -> None:
        provider = importlib.import_module(f"voiced.providers.{name}")
        async with SERVICES[name](Script(answer="{heard}"), speed=20.0, hearing=False) as emulator:
            told = Told()
            request = SessionRequest(
                agent="a", leg=1, parameters={"endpoint": emulator.url}, api_key="planted"
            )
            conn = await provider.start_session(request, told)
            try:
                await provider.send_text(conn, FIRST)
                if moment != "at once":
                    async with asyncio.timeout(DEADLINE_S):
                        await told.moment[moment].wait()
                await provider.send_text(conn, SECOND)
                await told.until(lambda: any(SECOND in said for said in told.answers))
                if name in ONE_BY_ONE:
                    await told.until(lambda: len(told.answers) == 2)
            finally:
                await provider.end_session(conn)
            assert not told.troubles
            assert list(emulator.violations) == []

    asyncio.run(scene())
