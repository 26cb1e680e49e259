"""Server frames of every kind of wrong: nothing but a close ends the reader.

Frames are the recorded conversation's, cut, doubled, exchanged, with values of the wrong kind, of
4 MB, nested deep, and of types that nobody knows. `VOICED_FUZZ` sets how many.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from voiced.messages.network import HistoryRow
from voiced.providers import provider_openai_realtime as provider
from voiced.providers.realtime_dialect.client import encode

from .openai_hand import LIGHT, Bench, Recorder, request
from .test_openai_recorded import EVENTS

COUNT = int(os.environ.get("VOICED_FUZZ", "3000"))
FRAMES = [json.dumps(line["event"]) for line in EVENTS if line["dir"] == "s2c"]
FATAL = ("session_expired",)
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    "",
    "x",
    [],
    {},
    [[]],
    {"id": 3},
    "A" * 100,
    2**70,
    "\ud800",
    "\x00",
    -1e10,
    1e400,
]
LARGE = json.dumps({"type": "response.output_audio.delta", "response_id": "r", "item_id": "i",
                    "delta": "AAAA" * (1 << 20)})  # fmt: skip
DEEP = '{"type":"response.done","response":' + '{"a":' * 20_000 + "1" + "}" * 20_001


def mutated(frame: str, dice: random.Random) -> str | bytes:
    """Return a frame with something wrong in it, or as it is."""
    match dice.randrange(9):
        case 0:
            return frame[: dice.randrange(len(frame))]
        case 1:
            at = dice.randrange(len(frame))
            return frame[:at] + chr(dice.randrange(32, 0x2FFF)) + frame[at + 1 :]
        case 2:
            return bytes(dice.randrange(256) for _ in range(dice.randrange(1, 60)))
        case 3 | 4 | 5:
            event = json.loads(frame)
            _spoil(event, dice)
            return json.dumps(event)
        case 6 if dice.random() < 0.01:
            return dice.choice([LARGE, DEEP])
        case 7:
            return json.dumps({"type": f"new.event.{dice.randrange(500)}", "item": {}})
    return frame


def _spoil(value: Any, dice: random.Random) -> None:
    """Give one place in an event a value of another kind, or take it out."""
    places = []
    todo = [value]
    while todo:
        at = todo.pop()
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        places += [(at, key) for key in keys if key != "type" or dice.random() < 0.1]
        todo += [at[key] for key in keys if isinstance(at[key], dict | list)]
    if places:
        at, key = dice.choice(places)
        if isinstance(at, dict) and dice.random() < 0.3:
            del at[key]
        else:
            at[key] = dice.choice(ODD)


def act(live: provider.Live, recorder: Recorder, dice: random.Random) -> None:
    """Do something that only this side can do."""
    talk = live.conversation
    match dice.randrange(8):
        case 0:
            talk.hearing.activity(dice.random() < 0.5)
        case 1:
            talk.hearing.hear(bytes(960))
        case 2:
            talk.text("Hello?")
        case 3:
            talk.interrupted(recorder.cut())
        case 4:
            talk.result(f"call_{dice.randrange(3)}", "set_light", True, "{}")
        case 5:
            talk.say("We close in five minutes.")
        case 6:
            talk.prime([HistoryRow(role="user", text="Hello.")], dice.random() < 0.5)
            talk.release_answer()


def test_no_frame_ends_a_conversation() -> None:
    dice = random.Random(20261122)
    live, recorder, bench = _fresh(dice)
    for number in range(COUNT):
        if number % 5000 == 4999:
            live, recorder, bench = _fresh(dice)
        frame = mutated(dice.choice(FRAMES), dice)
        live.conversation.take(frame)
        if dice.random() < 0.05:
            act(live, recorder, dice)
        if dice.random() < 0.02:
            bench.pass_time()
        if dice.random() < 0.1:
            for running in bench.cuts:
                live.conversation.heard(recorder.cut(), running)
            bench.cuts.clear()
        for event in bench.sent():
            encode(event)
        assert bench.error is None
    # The next visitor is answered.
    live.conversation.take(
        json.dumps({"type": "response.created", "response": {"id": "resp_last"}})
    )
    assert ("response_started", "resp_last") in [call[:2] for call in recorder.calls]


def _fresh(dice: random.Random) -> tuple[provider.Live, Recorder, Bench]:
    recorder = Recorder()
    live = provider.Live(request(tools=(LIGHT,), push_to_talk=dice.random() < 0.5), recorder)
    bench = Bench(live.conversation)
    live.conversation.take(json.dumps({"type": "session.updated", "session": {"id": "s"}}))
    return live, recorder, bench


def test_no_frame_ends_the_reader() -> None:
    dice = random.Random(7)
    frames = [mutated(dice.choice(FRAMES), dice) for _ in range(max(300, COUNT // 100))]
    last = {"type": "response.created", "response": {"id": "resp_last"}}

    async def answer(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(json.dumps({"type": "session.updated", "session": {"id": "s"}}))
        for frame in [*frames, LARGE, DEEP, json.dumps(last)]:
            await socket.send(frame)
        await socket.wait_closed()

    async def scene() -> None:
        recorder = Recorder()
        async with serve(answer, "127.0.0.1", 0, max_size=None, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            conn = await provider.start_session(
                request(endpoint=f"ws://127.0.0.1:{port}"), recorder
            )
            await recorder.until(lambda: ("response_started", "resp_last") in recorder.calls)
            assert recorder.named("closed") == []
            await provider.end_session(conn)

    asyncio.run(asyncio.wait_for(scene(), 60 + COUNT / 1000))
