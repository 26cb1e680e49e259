"""A recorded conversation, both directions: what the service said there, and what we say to it.

The recording holds silence in place of sound: `silence:4800` is so many bytes of it.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from voiced.messages.network import ToolDeclaration
from voiced.providers.contract import HeardItem
from voiced.providers.dial import Closing
from voiced.providers.realtime_dialect import server
from voiced.providers.realtime_dialect.client import SessionUpdate, encode
from voiced.providers.realtime_dialect.hearing import SPEECH_HOLDS_S

from .openai_hand import Recorder
from .xai_hand import Bench, check_sent, provider, request

RECORDED = Path(__file__).parents[1] / "wire" / "xai_conversation.jsonl"
LIGHT = ToolDeclaration(
    name="set_light",
    description="Set the colour of the room light.",
    schema='{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"]}',
)
PAGE = {
    "Systemprompt": "You are the voice of the fountain.", "Languagecode": "en",
    "Enablegrounding": 1, "keyterms": "fountain", "reasoning_effort": "none",
    "resumption": "native",
}  # fmt: skip


def lines() -> Iterator[dict[str, Any]]:
    for text in RECORDED.read_text().splitlines():
        line = json.loads(text)
        for key in ("audio", "delta"):
            value = line.get("event", {}).get(key, "")
            if isinstance(value, str) and value.startswith("silence:"):
                size = int(value.removeprefix("silence:"))
                line["event"][key] = base64.b64encode(bytes(size)).decode()
        yield line


EVENTS = [line for line in lines() if "dir" in line]


class Replay:
    """Our side of the recorded conversation."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.live = provider.Live(request(PAGE, tools=(LIGHT,)), self.recorder)
        self.talk = self.live.conversation
        self.bench = Bench(self.talk)
        self.sent: deque[dict[str, Any]] = deque()
        self.metadata: dict[str, Any] = {}
        self.acts: deque[Callable[[], object]] = deque(
            [
                lambda: self.talk.send(SessionUpdate(event_id="su_0", session=self.live.sent)),
                *[lambda: self.talk.hearing.hear(bytes(4800))] * 3,
                lambda: self.talk.result("call_x1", "set_light", True, '{"ok":true}'),
                self.wait_for_playback,
                self.tell_what_was_heard,
                self.announce,
            ]
        )

    def wait_for_playback(self) -> None:
        """0.4 s have come of what was said before the call."""
        assert self.bench.timers[-1][0] == pytest.approx(0.1)
        self.bench.timers.pop()[1]()

    def tell_what_was_heard(self) -> None:
        item = HeardItem(
            response="resp_2", item="item_a2", ms=620, received_ms=2000, complete=False
        )
        self.talk.heard([item], self.bench.cuts[-1])

    def announce(self) -> None:
        """The visitor of the recording speaks on and on; it is not waited for for ever."""
        self.talk.say("The installation closes in five minutes.")
        assert not self.bench.conversation.outbox
        self.bench.due(SPEECH_HOLDS_S)

    def run(self) -> None:
        pending: list[dict[str, Any]] = []
        for line in EVENTS:
            event = line.get("event", {})
            if line["dir"] == "s2c":
                self.talk.take(json.dumps(self.as_ours(event)))
                self.collect()
                # We truncate when the reply is over, the recorded client before.
                while pending and self.sent:
                    self.compare(self.sent.popleft(), pending.pop(0))
            elif line["dir"] == "c2s":
                if not self.sent and self.acts:
                    self.acts.popleft()()
                    self.collect()
                if event["type"] == "conversation.item.truncate":
                    assert not self.sent
                    pending.append(event)
                else:
                    self.compare(self.sent.popleft(), event)
        assert not pending
        assert not self.sent
        assert not self.acts

    def collect(self) -> None:
        self.sent += [msgspec.json.decode(encode(each)) for each in self.bench.sent()]

    def as_ours(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event with the metadata that we gave."""
        reply = event.get("response", {})
        if reply.get("metadata") is None:
            return event
        return {**event, "response": {**reply, "metadata": self.metadata}}

    def compare(self, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
        """Names and what goes with a reply are each client's own; the rest is the same."""
        check_sent(ours)
        assert ours["type"] == theirs["type"], (ours, theirs)
        for key in ("item_id", "content_index", "audio_end_ms", "audio", "response_id"):
            assert ours.get(key) == theirs.get(key)
        if ours["type"] == "response.create":
            self.metadata = ours["response"]["metadata"]
        if "item" in theirs:
            for key in ("type", "role", "call_id", "output", "content"):
                assert ours["item"].get(key) == theirs["item"].get(key)
        if "session" in theirs:
            assert subset(theirs["session"], ours["session"])


def subset(part: Any, whole: Any) -> bool:
    """Whether all of a session object stands in another, which says more of it."""
    if isinstance(part, dict):
        return all(key in whole and subset(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(subset, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize("number", range(len(EVENTS)))
def test_every_recorded_event_is_known(number: int) -> None:
    line = EVENTS[number]
    if line["dir"] == "s2c":
        read = server.decode(json.dumps(line["event"]))
        assert not isinstance(read, server.Unknown | server.Malformed)
    elif line["dir"] == "c2s":
        check_sent(line["event"])


def test_the_conversation_is_held() -> None:
    replay = Replay()
    replay.run()
    recorder = replay.recorder
    assert replay.bench.is_open
    assert replay.talk.session_id == "sess_x1"
    assert provider.get_persistable_state(replay.live) == '["conv_x1",6.0]'
    words = [(call[1], call[2], call[4]) for call in recorder.named("user_text")]
    assert words == [
        ("item_u1", "Hello?", False),
        ("item_u1", "Hello, make the light blue", False),
        ("item_u1", "Hello, make the light blue please.", False),
        ("item_u1", "Hello, make the light blue please.", True),
    ]
    assert recorder.named("tool_call") == [
        ("tool_call", "call_x1", "set_light", '{"colour":"blue"}')
    ]
    assert [call[1:] for call in recorder.named("response_done")] == [
        ("resp_0", "cancelled"),
        ("resp_1", "completed"),
        ("resp_2", "cancelled"),
        ("resp_3", "completed"),
    ]
    assert [call[1] for call in recorder.named("response_started")] == [
        "resp_0", "resp_1", "resp_2", "resp_3",
    ]  # fmt: skip
    assert recorder.troubles == []
    assert recorder.named("goaway") == [("goaway", "goaway", 0.0)]
    error = replay.talk.troubles.over(Closing(1000, EVENTS[-1]["reason"], False))
    assert str(error) == "xAI ended a session in which nobody spoke"
    assert len(recorder.named("goaway")) == 1


def test_the_bill_is_the_highest_total_and_the_texts() -> None:
    replay = Replay()
    replay.run()
    events = [line.get("event", {}) for line in EVENTS]
    seconds = max(
        event["usage"]["billable_audio_seconds"]
        for event in events
        if event.get("type") == "response.done"
    )
    texts = sum(
        event["type"] == "conversation.item.create"
        and event["item"]["type"] != "function_call_output"
        for line in EVENTS
        if line["dir"] == "c2s"
        for event in [line["event"]]
    )
    told = sum(call[2] for call in replay.recorder.named("usage"))
    assert (seconds, texts) == (6, 1)
    assert told == pytest.approx(6 / 60 * 0.08 + 0.004, rel=1e-12)
