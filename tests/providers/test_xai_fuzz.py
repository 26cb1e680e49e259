"""Server frames of every kind of wrong: nothing but a close ends the reader.

Frames are the recorded conversation's, spoilt as those of OpenAI's are. `VOICED_FUZZ` sets how
many.
"""

from __future__ import annotations

import asyncio
import json
import random

from websockets.asyncio.server import ServerConnection, serve

from voiced.messages.network import HistoryRow
from voiced.providers import provider_xai_grok as provider

from .openai_hand import LIGHT, Recorder
from .test_realtime_dialect_fuzz import COUNT, DEEP, LARGE, mutated
from .test_xai_recorded import EVENTS
from .xai_hand import Bench, check_sent, request

FRAMES = [json.dumps(line["event"]) for line in EVENTS if line["dir"] == "s2c"]


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


def fresh(dice: random.Random) -> tuple[provider.Live, Recorder, Bench]:
    recorder = Recorder()
    asked = request(
        {"Enablegrounding": dice.random() < 0.5}, tools=(LIGHT,), push_to_talk=dice.random() < 0.5
    )
    live = provider.Live(asked, recorder)
    bench = Bench(live.conversation)
    live.conversation.take(json.dumps({"type": "session.updated", "session": {"id": "s"}}))
    return live, recorder, bench


def test_no_frame_ends_a_conversation() -> None:
    dice = random.Random(20261122)
    live, recorder, bench = fresh(dice)
    for number in range(COUNT):
        if number % 5000 == 4999:
            live, recorder, bench = fresh(dice)
        live.conversation.take(mutated(dice.choice(FRAMES), dice))
        bench.clock += dice.random()
        if dice.random() < 0.05:
            act(live, recorder, dice)
        if dice.random() < 0.02:
            bench.pass_time()
            # Whatever came: a visitor who presses Talk is heard at last.
            assert not live.conversation.hearing.blocked
        if dice.random() < 0.1:
            for running in bench.cuts:
                live.conversation.heard(recorder.cut(), running)
            bench.cuts.clear()
        for event in bench.sent():
            check_sent(event)
        assert bench.error is None
    paid = [call[2] for call in recorder.named("usage")]
    assert all(0 <= usd < 1e5 for usd in paid)
    live.conversation.take(
        json.dumps({"type": "response.created", "response": {"id": "resp_last"}})
    )
    assert ("response_started", "resp_last") in recorder.calls


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
