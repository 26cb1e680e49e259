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

from voiced.messages.network import HistoryRow
from voiced.providers import prices
from voiced.providers import provider_openai_realtime as provider
from voiced.providers.contract import HeardItem
from voiced.providers.dial import Closing
from voiced.providers.realtime_dialect.client import SessionUpdate, encode

from . import openai_oracle as oracle
from .openai_hand import LIGHT, Bench, Recorder, request

RECORDED = Path(__file__).parents[1] / "wire" / "openai_conversation.jsonl"
LEFT_OUT = {"cancel_1", "ptt_3"}
"""What the recorded client need not have sent: a cancel of nothing, a commit of nothing."""


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
        page = {
            "Systemprompt": "You are the voice of the fountain.", "Languagecode": "en",
            "truncation": "retention_ratio", "token_limit": 8000,
        }  # fmt: skip
        self.live = provider.Live(request(page, tools=(LIGHT,)), self.recorder)
        self.talk = self.live.conversation
        self.bench = Bench(self.talk)
        self.sent: deque[dict[str, Any]] = deque()
        self.metadata: dict[str, Any] = {}
        """What the recorded client gave its requests -> what we gave ours."""
        self.names: dict[str, str] = {}
        """The same of the items that were created."""
        self.acts: deque[Callable[[], object]] = deque(
            [
                lambda: self.talk.send(SessionUpdate(event_id="su_0", session=self.live.sent)),
                self.remember,
                *[self.speak] * 6,
                lambda: self.talk.result("call_1", "set_light", True, '{"ok":true}'),
                self.speak,
                lambda: self.talk.heard(
                    [
                        HeardItem(
                            response="resp_2",
                            item="item_a2",
                            ms=620,
                            received_ms=2000,
                            complete=False,
                        )
                    ],
                    self.bench.cuts[-1],
                ),
                self.to_push_to_talk,
                lambda: self.talk.hearing.activity(True),
                *[self.speak] * 3,
                lambda: self.talk.hearing.activity(False),
                self.ask_about_a_picture,
            ]
        )

    def remember(self) -> None:
        rows = [
            HistoryRow(role="user", text="My name is Ada."),
            HistoryRow(role="assistant", text="Lovely to meet you, Ada."),
        ]
        self.talk.prime(rows, False)
        self.talk.release_answer()

    def speak(self) -> None:
        self.talk.hearing.hear(bytes(4800))

    def to_push_to_talk(self) -> None:
        self.talk.terms.manual = True
        update = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        self.talk.update(update)

    def ask_about_a_picture(self) -> None:
        with pytest.raises(StopIteration):
            provider.send_video_frame(self.live, b"\x89PNG\r\n\x1a\n").send(None)
        self.talk.text("What is on this picture?", self.live.frame)

    def client_says(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return what we send where the recorded client sent `event`."""
        if not self.sent:
            self.acts.popleft()()
            self.sent += [msgspec.json.decode(encode(each)) for each in self.bench.sent()]
        return self.sent.popleft()

    def run(self) -> None:
        for line in EVENTS:
            event = line.get("event", {})
            if line["dir"] == "s2c":
                self.talk.take(json.dumps(self.as_ours(event)))
                self.sent += [msgspec.json.decode(encode(each)) for each in self.bench.sent()]
                if event.get("response", {}).get("status") == "failed":
                    self.fail_again(event)
            elif line["dir"] == "c2s" and event.get("event_id") not in LEFT_OUT:
                ours = self.client_says(event)
                assert ours["type"] == event["type"], (ours, event)
                oracle.check_sent(ours)
                self.compare(ours, event)
                if "id" in event.get("item", {}):
                    self.names[event["item"]["id"]] = ours["item"]["id"]
                if ours["type"] == "response.create":
                    theirs = event["response"]["metadata"]
                    self.metadata[json.dumps(theirs)] = ours["response"]["metadata"]
        assert not self.sent
        assert not self.acts

    def fail_again(self, event: dict[str, Any]) -> None:
        """We ask once more for a reply that failed; the recorded client did not."""
        assert [each["type"] for each in self.sent] == ["response.create"]
        again = {
            **event["response"],
            "id": "resp_4b",
            "metadata": self.sent.pop()["response"]["metadata"],
        }
        for kind in ("response.created", "response.done"):
            self.talk.take(json.dumps({"type": kind, "response": again}))
        assert self.bench.sent() == []

    def as_ours(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event with the names and metadata that we gave."""
        item = event.get("item", {})
        if item.get("id") in self.names:
            event = {**event, "item": {**item, "id": self.names[item["id"]]}}
        reply = event.get("response", {})
        if reply.get("metadata") is None:
            return event
        ours = self.metadata[json.dumps(reply["metadata"])]
        return {**event, "response": {**reply, "metadata": ours}}

    def compare(self, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
        """Names and what goes with a reply are each client's own; the rest is the same."""
        for key in ("item_id", "content_index", "audio_end_ms", "audio"):
            if "silence" not in str(theirs.get(key)) and ours["type"] != "session.update":
                assert ours.get(key) == theirs.get(key) or key == "audio"
        item = theirs.get("item", {})
        for key in ("role", "call_id", "output"):
            assert ours.get("item", {}).get(key) == item.get(key)
        for part, other in zip(
            ours.get("item", {}).get("content", []), item.get("content", []), strict=True
        ):
            assert (part["type"], part.get("text")) == (other["type"], other.get("text"))


@pytest.mark.parametrize("number", range(len(EVENTS)))
def test_every_recorded_event_is_one_of_the_vendors(number: int) -> None:
    line = EVENTS[number]
    if line["dir"] == "s2c":
        oracle.check_received(line["event"])
    elif line["dir"] == "c2s":
        oracle.check_sent(line["event"])


def test_the_conversation_is_held() -> None:
    replay = Replay()
    replay.run()
    recorder = replay.recorder
    assert replay.bench.is_open
    assert replay.bench.is_primed
    assert replay.talk.session_id == "sess_A1"
    assert replay.talk.expires_at == 1795306000
    assert recorder.named("user_text")[-1][1:] == ("item_u1", "Turn the light blue.", False, True)
    assert recorder.named("tool_call") == [
        ("tool_call", "call_1", "set_light", '{"colour":"blue"}')
    ]
    # The second begins, by the service's count, behind the little that the recorded client sent;
    # the third is the press of Talk.
    assert [call[1] for call in recorder.named("speech_started")] == [2880, 16800, 16800]
    assert [call[1:] for call in recorder.named("response_done")] == [
        ("resp_1", "completed"),
        ("resp_2", "cancelled"),
        ("resp_3", "completed"),
        ("resp_4", "failed"),
        ("resp_4b", "failed"),
        ("resp_5", "completed"),
    ]
    assert recorder.named("user_turn_dropped")[0][1] == "item_u2"
    assert "Sorry, go on." in recorder.words()
    assert "A blue square." in recorder.words()
    assert recorder.troubles == ["transcription", "server_error", "server_error"]
    assert recorder.named("goaway") == [("goaway", "cap", 0.0)]
    error = replay.talk.troubles.over(Closing(1001, EVENTS[-1]["reason"], False))
    assert error.code == "session_expired"
    assert len(recorder.named("goaway")) == 1


def test_the_bill_is_the_sum_of_the_accounts() -> None:
    replay = Replay()
    replay.run()
    rate = {"text": (4.0, 0.4), "audio": (32.0, 0.4), "image": (5.0, 0.5)}
    usd = 1.5 / 60 * 0.0045
    for line in EVENTS:
        event = line.get("event", {})
        account = event.get("response", {}).get("usage")
        if event.get("type") == "response.done" and account:
            into, out = account["input_token_details"], account["output_token_details"]
            for kind, (fresh, cached) in rate.items():
                held = into["cached_tokens_details"][f"{kind}_tokens"]
                usd += (into[f"{kind}_tokens"] - held) * fresh / 1e6 + held * cached / 1e6
            usd += out["audio_tokens"] * 64 / 1e6
            usd += (account["output_tokens"] - out["audio_tokens"]) * 24 / 1e6
    told = replay.recorder.named("usage")
    assert sum(call[2] for call in told) == pytest.approx(usd, rel=1e-12)
    assert len(told) == 5
    assert prices.cost("openai_realtime", "gpt-realtime-2.1", prices.Tokens()) == 0.0
