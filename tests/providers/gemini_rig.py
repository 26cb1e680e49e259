"""What the tests of Gemini share: callbacks that write down what they are told, and requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from voiced.providers.contract import SessionRequest

KEY = "AIza-not-a-key-4711"
PATIENCE_S = 10.0


class Callbacks:
    """Writes down what it is told, in order; strict about the names of replies.

    Unlike the real ones it plays nothing, so `interrupted` comes back at once and empty.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._changed = asyncio.Event()
        self._running: set[str] = set()
        self._done: set[str] = set()

    def _note(self, *what: Any) -> None:
        self.told.append(what)
        self._changed.set()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **named: self._note(name, *args, *sorted(named.items()))

    def alive(self) -> None:
        """Nothing else is said so often."""

    def user_text(
        self, item: str, text: str, *, delta=False, final=False, start_sample=None, end_sample=None
    ) -> None:
        self._note("user_text", item, text, final, start_sample, end_sample)
        assert not delta

    def response_started(self, response: str) -> None:
        assert response not in self._running | self._done, "a reply begins once"
        assert not self._running, "one reply at a time"
        self._running.add(response)
        self._note("response_started", response)

    def response_done(self, response: str, status: str = "completed") -> None:
        self._running.remove(response)
        self._done.add(response)
        self._note("response_done", response, status)

    def audio(self, response: str, item: str, pcm: bytes, text_until=None) -> None:
        assert response in self._running, "sound outside a reply"
        assert pcm, "no sound at all"
        assert len(pcm) % 2 == 0, "half a sample"
        self._note("audio", response, item, len(pcm) // 2)

    def assistant_text(self, response, item, text, *, delta=True, final=False) -> None:
        assert response in self._running, "words outside a reply"
        self._note("assistant_text", response, item, text, final)
        assert delta

    async def interrupted(self) -> list[Any]:
        self._note("interrupted")
        return []

    # --- what tests ask

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """Return what was told by these callbacks."""
        return [told for told in self.told if told[0] in names]

    def rows(self) -> list[tuple[str, str]]:
        """Return the final words, (who, text), in the order in which they began."""
        texts: dict[str, str] = {}
        for told in self.told:
            if told[0] == "user_text":
                texts[told[1]] = told[2]
            elif told[0] == "assistant_text":
                texts[told[2]] = texts.get(told[2], "") + told[3]
        return [("user" if item[0] == "u" else "assistant", t) for item, t in texts.items()]

    async def until(self, name: str, count: int = 1) -> tuple[Any, ...]:
        """Wait for the n-th call of a callback."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.of(name)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(name)[count - 1]


def request(endpoint: str = "", **fields: Any) -> SessionRequest:
    """Return a request; names that are no field of it are parameters."""
    own = {
        name: fields.pop(name) for name in list(fields) if name in SessionRequest.__struct_fields__
    }
    own.setdefault("api_key", KEY)
    parameters = {"endpoint": endpoint, **own.pop("parameters", {}), **fields}
    return SessionRequest(agent="a", leg=1, parameters=parameters, **own)
