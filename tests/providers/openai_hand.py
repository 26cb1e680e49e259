"""What a conversation with an OpenAI-shaped service needs in a test: callbacks that keep books."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from voiced.errors import ProviderError
from voiced.messages.network import ToolDeclaration, Value
from voiced.providers.contract import HeardItem, SessionRequest
from voiced.providers.realtime_dialect.client import ClientEvent
from voiced.providers.realtime_dialect.conversation import Conversation

DEADLINE_S = 20.0
RATE = 24000
LIGHT = ToolDeclaration(
    name="set_light",
    description="Sets the colour of the light.",
    schema='{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"]}',
)


_TELLABLE = (str, bool, int, float, tuple, dict, ProviderError)
_FIRST = {
    "speech_started": (int, type(None)),
    "speech_ended": (int, type(None)),
    "interrupted": (tuple,),
    "signals": (dict,),
    "closed": (ProviderError,),
}
"""What a callback's first value is, where it is no name."""


class Recorder:
    """LegCallbacks that write down what is told, and a loudspeaker that plays what it is told to.

    Unlike the real one it plays nothing by itself: `plays` says how much of an item was heard, and
    a cut takes everything of which the end was not said to be heard.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.heard: dict[str, int] = {}
        """Item -> ms that a cut finds heard; one that is not here was heard not at all."""
        self.received: dict[tuple[str, str], int] = {}
        self.ended: dict[str, str] = {}
        self.dead: set[str] = set()
        self.finished: set[str] = set()
        """Replies that were heard to their end."""
        self._changed = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)

        def note(*args: Any, **named: Any) -> None:
            self._note(name, *args, *named.values())

        return note

    def _note(self, *call: Any) -> None:
        for value in call:
            # What the network process could not tell would end the connection.
            assert value is None or isinstance(value, _TELLABLE), (call[0], type(value))
            assert not isinstance(value, str) or value.encode() is not None
        assert isinstance(call[1], _FIRST.get(call[0], (str,))), call
        self.calls.append(call)
        self._changed.set()

    def alive(self) -> None:
        """Too many to be worth a line."""

    def response_started(self, response: str, *, waiting: int = 0) -> None:
        self._note("response_started", response, *([waiting] if waiting else []))

    def user_text(self, item: str, text: str, **more: Any) -> None:
        self._note("user_text", item, text, more.get("delta", False), more.get("final", False))

    def assistant_text(
        self, response: str, item: str, text: str, *, delta: bool = True, final: bool = False
    ) -> None:
        if response not in self.dead:
            self._note("assistant_text", response, item, text, delta, final)

    def audio(self, response: str, item: str, pcm: bytes, text_until: int | None = None) -> None:
        if response not in self.dead:
            key = (response, item)
            self.received[key] = self.received.get(key, 0) + len(pcm)
            self._note("audio", response, item, len(pcm))

    def response_done(self, response: str, status: str = "completed") -> None:
        self.ended[response] = status
        self._note("response_done", response, status)

    async def interrupted(self) -> list[HeardItem]:
        found = self.cut()
        self._note("interrupted", tuple(found))
        await asyncio.sleep(0)
        return found

    def cut(self) -> list[HeardItem]:
        """Silence everything; return what was heard of what is cut."""
        found = []
        started = {c[1] for c in self.calls if c[0] == "response_started"}
        for (response, item), size in self.received.items():
            if response in self.dead or response in self.finished:
                continue
            received = size * 1000 // (2 * RATE)
            ms = min(self.heard.get(item, 0), received)
            done = ms == received and response in self.ended
            found.append(
                HeardItem(response=response, item=item, ms=ms, received_ms=received, complete=done)
            )
        self.dead |= started
        return found

    # --- looking

    def named(self, *names: str) -> list[tuple[Any, ...]]:
        """Return what was told under these names."""
        return [call for call in self.calls if call[0] in names]

    async def until(self, met: Callable[[], Any]) -> Any:
        """Wait for something to become true."""
        async with asyncio.timeout(DEADLINE_S):
            while not (found := met()):
                self._changed.clear()
                await self._changed.wait()
        return found

    async def told(self, name: str, count: int = 1) -> tuple[Any, ...]:
        """Wait until something was told so often; return the call."""
        await self.until(lambda: len(self.named(name)) >= count)
        return self.named(name)[count - 1]

    @property
    def troubles(self) -> list[str]:
        """The codes of the troubles told."""
        return [call[1] for call in self.named("trouble")]

    def words(self, *roles: str) -> list[str]:
        """The final words of the user and of the assistant, in order."""
        found: dict[str, str] = {}
        for call in self.named("user_text", "assistant_text"):
            item, text, delta = (call[1:4]) if call[0] == "user_text" else call[2:5]
            found[item] = found.get(item, "") + text if delta else text
        return list(found.values())


class Bench:
    """A `Shell` on a workbench: nothing happens by itself, everything is looked at."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        conversation.shell = self
        self.cuts: list[str] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.is_open = self.is_primed = False
        self.error: ProviderError | None = None

    def wake(self) -> None:
        pass

    def cut(self, running: str) -> None:
        self.cuts.append(running)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self.timers.append((seconds, call))

    def opened(self) -> None:
        self.is_open = True

    def primed(self) -> None:
        self.is_primed = True

    def end(self, error: ProviderError) -> None:
        self.error = self.error or error

    def sent(self) -> list[ClientEvent]:
        """Return what was put into the outbox since the last look."""
        events = list(self.conversation.outbox)
        self.conversation.outbox.clear()
        return events

    def pass_time(self) -> None:
        """Let every timer be due."""
        timers, self.timers = self.timers, []
        for _, call in timers:
            call()


def request(
    parameters: Mapping[str, Value] | None = None,
    *,
    tools: tuple[ToolDeclaration, ...] = (),
    push_to_talk: bool = False,
    endpoint: str = "",
    key: str = "sk-test-0000",
) -> SessionRequest:
    """Return a request as the network process makes it."""
    return SessionRequest(
        agent="voice_agent",
        leg=1,
        parameters={**(parameters or {}), "endpoint": endpoint},
        tools=tools,
        push_to_talk=push_to_talk,
        api_key=key,
    )


def kinds(events: list[ClientEvent]) -> list[str]:
    """Return the types of client events."""
    return [str(event.__struct_config__.tag) for event in events]
