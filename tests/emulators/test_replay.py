"""The recorded clients talk to the emulators as they once did, and hear what they once heard.

The recordings leave out most of the microphone's audio, so silence is put in where the recorded
service noticed something; the script says that this silence is speech. What the recordings have
and the emulator sends besides is allowed between the recorded events, in the field it would come
too.
"""

from __future__ import annotations

import base64
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.emulators.client import Client, recorded, run, silence
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script
from voiced.emulators.xai import XAI

ASYNCHRONOUS = ("conversation.item.input_audio_transcription.",)
"""Of these the services promise no place among the others."""


def sound(text: str) -> str:
    """Return the audio that a recording's `silence:<bytes>` stands for."""
    kind, _, size = text.partition(":")
    return base64.b64encode(bytes(int(size))).decode() if kind == "silence" else text


def shape(value: Any) -> Any:
    """Return what a value is made of."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


def lacks(sent: Any, was: Any, path: str, missing: list[str]) -> None:
    """Note what a recorded event has and the emulator's does not."""
    if isinstance(was, dict) and isinstance(sent, dict):
        for key, inner in was.items():
            if key not in sent:
                missing.append(f"{path}.{key} is missing")
            else:
                lacks(sent[key], inner, f"{path}.{key}", missing)
    elif isinstance(was, list) and isinstance(sent, list):
        for number, (inner, now) in enumerate(zip(was, sent, strict=False)):
            lacks(now, inner, f"{path}[{number}]", missing)
    elif was != "NoneType" and sent not in (was, "NoneType"):
        missing.append(f"{path} is {sent}, was {was}")


class Replay:
    """One recorded conversation against an emulator.

    Args:
        client: the connection.
        ids: from the recording's ids of items, responses and calls to the emulator's.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ids: dict[str, str] = {}
        self.missing: list[str] = []
        self._taken: set[int] = set()

    def renamed(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.renamed(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.renamed(inner) for inner in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    def learn(self, was: Any, now: Any) -> None:
        """Take the emulator's names for what the recording calls otherwise."""
        if isinstance(was, dict) and isinstance(now, dict):
            for key in was.keys() & now.keys():
                if key in ("id", "item_id", "call_id", "response_id") and isinstance(was[key], str):
                    self.ids.setdefault(was[key], now[key])
                self.learn(was[key], now[key])
        elif isinstance(was, list) and isinstance(now, list):
            for one, other in zip(was, now, strict=False):
                self.learn(one, other)

    async def hears(self, was: dict[str, Any]) -> None:
        """Wait for the recorded event among what came since the last one."""
        kind = was["type"]
        start = 0 if kind.startswith(ASYNCHRONOUS) or kind == "error" else self.client.taken
        while True:
            for event in self.client.events[start:]:
                if event["type"] == kind and id(event) not in self._taken:
                    self._taken.add(id(event))
                    self.learn(was, event)
                    lacks(shape(event), shape(was), kind, self.missing)
                    return
            start = len(self.client.events)
            try:
                await self.client.next()
            except ConnectionClosed as closed:
                told = "\n".join(self.client.kinds())
                raise AssertionError(f"never told {kind}; told:\n{told}") from closed

    def received(self, truncation: dict[str, Any]) -> int:
        """Return how much of an item's audio came, ms at 24 kHz."""
        return sum(
            len(base64.b64decode(event["delta"])) // 48
            for event in self.client.events
            if event["type"] == "response.output_audio.delta"
            and event["item_id"] == truncation["item_id"]
        )

    async def play(self, rows: list[dict[str, Any]], microphone: dict[int, int]) -> None:
        """Play a recording.

        Args:
            rows: its lines.
            microphone: ms of silence that the client sends before a line, by its number.
        """
        for number, row in enumerate(rows):
            if number in microphone:
                await self.client.append(silence(microphone[number]))
            match row["dir"]:
                case "s2c":
                    await self.hears(row["event"])
                case "c2s":
                    event = self.renamed(row["event"])
                    if "audio" in event:
                        event["audio"] = sound(event["audio"])
                    if "audio_end_ms" in event:  # no client cuts behind what it received
                        event["audio_end_ms"] = min(event["audio_end_ms"], self.received(event))
                    await self.client.send(**{"kind": event.pop("type")}, **event)
                case "close":
                    assert await self.client.closed() == (row["code"], row["reason"])


def before(rows: list[dict[str, Any]], kind: str, nth: int) -> int:
    """Return the number of the line with the n-th recorded event of a type, counted from 0."""
    lines = [n for n, r in enumerate(rows) if r.get("event", {}).get("type") == kind]
    return lines[nth]


OPENAI = Script(
    connection=[
        Connection(
            speech=[(120, 1600), (4100, 5000)],
            heard=[Heard(text="Turn the light blue."), Heard(failed=True, delay_s=0.2)],
            reply=[
                Reply(
                    says="One moment, Ada.",
                    calls=[Call(name="set_light", arguments={"colour": "blue"})],
                ),
                # Slow enough to be interrupted.
                Reply(says="The light is blue now, like the deep sea at noon.", gap_s=0.05),
                Reply(says="Sorry, go on.", delay_s=0.05),
                Reply(fails="server_error"),
                Reply(says="A blue square."),
            ],
            fault=[Fault(what="cap", reply=5)],
        )
    ]
)


def test_the_recorded_openai_client() -> None:
    rows = recorded("openai_conversation.jsonl")

    async def talk() -> None:
        async with OpenAI(OPENAI) as service:
            client = await Client.open(service.url, "/v1/realtime?model=gpt-realtime-2.1")
            replay = Replay(client)
            started = before(rows, "input_audio_buffer.speech_started", 1)
            appended = sum(
                100 for row in rows[:started]
                if row.get("event", {}).get("type") == "input_audio_buffer.append"
            )  # fmt: skip
            stopped = before(rows, "input_audio_buffer.speech_stopped", 0)
            await replay.play(
                rows,
                {
                    stopped: 1600 - 600,
                    started: 4200 - 1000 - appended,
                    before(rows, "input_audio_buffer.speech_stopped", 1): 800,
                },
            )
            assert not replay.missing, "\n".join(replay.missing)
            assert not service.violations, service.violations

    run(talk)


XAI_SCRIPT = Script(
    connection=[
        Connection(
            speech=[(100, 400), (500, 700), (1000, 1300)],
            heard=[
                Heard(
                    text="Hello, make the light blue please.",
                    revisions=["Hello?", "Hello, make the light blue"],
                ),
            ],
            reply=[
                Reply(says=""),  # dropped before it says anything
                Reply(
                    says="Of course.",
                    calls=[Call(name="set_light", arguments={"colour": "blue"})],
                ),
                Reply(says="The light is blue now, like the deep sea.", gap_s=0.1),
                Reply(says="The installation closes in five minutes."),
            ],
        )
    ]
)


def test_the_recorded_xai_client() -> None:
    rows = recorded("xai_conversation.jsonl")

    async def talk() -> None:
        async with XAI(XAI_SCRIPT) as service:
            service.idle_s = 2.0
            client = await Client.open(service.url, "/v1/realtime?model=grok-voice-3.0")
            replay = Replay(client)
            stopped = "input_audio_buffer.speech_stopped"
            started = "input_audio_buffer.speech_started"
            rows[-1]["reason"] = rows[-2]["event"]["error"]["message"] = (
                "Conversation timed out after 2.0 seconds due to inactivity"
            )
            await replay.play(
                rows,
                {
                    before(rows, stopped, 0): 150,
                    before(rows, started, 1): 100,
                    before(rows, stopped, 1): 200,
                    before(rows, started, 2): 300,
                },
            )
            assert not replay.missing, "\n".join(replay.missing)
            assert not service.violations, service.violations

    run(talk)
