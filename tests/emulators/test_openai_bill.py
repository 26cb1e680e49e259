"""The emulated OpenAI's account, held against its own usage objects by an independent sum."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.emulators.client import DEADLINE_S, Client, run, silence
from voiced.emulators.openai import OpenAI
from voiced.emulators.openai_usage import MODELS, Context
from voiced.emulators.realtime_items import Tokens
from voiced.emulators.script import Connection, Heard, Reply, Script

# USD per million tokens: the model pages, November 2026.
PRICES = {
    "gpt-realtime-2.1": {"text": (4.0, 0.4, 24.0), "audio": (32.0, 0.4, 64.0)},
    "gpt-realtime-mini": {"text": (0.6, 0.06, 2.4), "audio": (10.0, 0.3, 20.0)},
}


def cost(model: str, usage: dict[str, Any]) -> float:
    put_in, out = usage["input_token_details"], usage["output_token_details"]
    cached = put_in["cached_tokens_details"]
    total = 0.0
    for kind, (fresh, again, made) in PRICES[model].items():
        name = f"{kind}_tokens"
        total += (put_in[name] - cached[name]) * fresh + cached[name] * again + out[name] * made
    return total / 1e6


@pytest.mark.parametrize("model", PRICES)
def test_a_conversation_costs_what_its_usage_says(model: str) -> None:
    """Eight spoken turns, one of them cancelled; the readings by the minute."""
    turns = 8
    played = Connection(
        speech=[(n * 2000 + 100, n * 2000 + 1100) for n in range(turns)],
        heard=[Heard(text=f"Turn number {n}") for n in range(turns)],
        reply=[Reply(says="This is a rather long answer to it " * 3, gap_s=0.001)] * turns,
    )

    async def talk() -> None:
        async with OpenAI(Script(connection=[played])) as service:
            client = await Client.open(service.url, f"/v1/realtime?model={model}")
            session = {
                "type": "realtime",
                "instructions": "You are the voice of the fountain. " * 20,
                "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
            }
            await client.send("session.update", session=session)
            usages = []
            for turn in range(turns):
                await client.append(silence(2000))
                if turn == 3:
                    await client.until("response.output_audio.delta")
                    await client.send("response.cancel")
                usages.append((await client.done())["usage"])
            read_s = turns * 1.0
            expected = sum(cost(model, u) for u in usages) + read_s / 60 * 0.0045
            assert service.bill.usd == pytest.approx(expected)
            assert service.bill.of(1) == service.bill.usd
            inputs = [u["input_tokens"] for u in usages]
            assert inputs == sorted(inputs), "the context grows"
            assert len(set(inputs)) == turns
            # Ten tokens a second of a user's speech: each turn brings so many more.
            heard = [u["input_token_details"]["audio_tokens"] for u in usages]
            assert heard[0] == 10
            cached = [u["input_token_details"]["cached_tokens"] for u in usages]
            assert cached[0] == 0
            assert cached[-1] > cached[1] > 0
            assert all(u["total_tokens"] == u["input_tokens"] + u["output_tokens"] for u in usages)

    run(talk)


def test_what_does_not_fit_the_context_is_left_out_from_its_oldest() -> None:
    model = MODELS["gpt-realtime"]
    context = Context(model)
    room = model.context - model.max_output
    pieces = [("set-up", Tokens(text=100))] + [
        (f"item {n}", Tokens(audio=room // 4)) for n in range(6)
    ]
    put_in, _ = context.ask(pieces)
    assert put_in == Tokens(text=100, audio=room // 4 * 3)


def test_a_changed_beginning_is_cached_up_to_the_change() -> None:
    context = Context(MODELS["gpt-realtime"])
    first = [("set-up", Tokens(text=128)), ("a", Tokens(audio=640)), ("b", Tokens(audio=640))]
    context.ask(first)
    cut = [*first[:2], ("b", Tokens(audio=64)), ("c", Tokens(audio=64))]
    assert context.ask(cut) == (Tokens(text=128, audio=768), Tokens(text=128, audio=640))


@pytest.mark.parametrize("gap_ms", [1, 2, 3])
def test_what_was_made_is_paid_for_whoever_finds_out_that_the_client_is_gone(gap_ms: int) -> None:
    """Its next send, as it speaks, or the reading beside it."""
    rounds = 12
    played = Connection(reply=[Reply(says="A long story " * 40, gap_s=gap_ms / 1000)])

    async def talk() -> None:
        async with OpenAI(Script(connection=[played] * rounds)) as service:
            for number in range(rounds):
                client = await Client.open(service.url, "/v1/realtime?model=gpt-realtime-2.1")
                await client.send("response.create")
                await client.until("response.output_audio.delta")
                await asyncio.sleep(number * 0.0007)
                client.ws.transport.abort()
            async with asyncio.timeout(DEADLINE_S):
                while not all(each.closed for each in service.records):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            made = {line.connection for line in service.bill.lines if line.what == "audio_out"}
            assert made == set(range(1, rounds + 1))

    run(talk)
