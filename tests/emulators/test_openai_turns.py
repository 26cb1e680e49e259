"""Whose turn it is with the emulated OpenAI Realtime: detection, interruption, the owed reply."""

from __future__ import annotations

import base64

import pytest

from tests.emulators.client import Client, run, silence, visitor
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Connection, Heard, Reply, Script

PATH = "/v1/realtime?model=gpt-realtime-2.1"
SLOW = Reply(says="One two three four five", gap_s=0.1)


def detecting(**fields: object) -> dict[str, object]:
    detection = {"type": "server_vad", **fields}
    return {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}


def speaking(*stretches: tuple[int, int], reply: Reply = SLOW) -> Script:
    return Script(connection=[Connection(speech=list(stretches), reply=[reply])])


async def opened(service: OpenAI, session: dict[str, object] | None = None) -> Client:
    client = await Client.open(service.url, PATH)
    await client.until("session.created")
    if session is not None:
        await client.send("session.update", session=session)
        await client.until("session.updated")
    return client


@pytest.mark.parametrize("name", ["lv_0880.wav", "lv_0930.wav", "jfk.wav"])
def test_recorded_visitors_are_heard_from_before_their_first_word(name: str) -> None:
    """The turn begins within the recording's first silence and ends behind its last word."""

    async def talk() -> None:
        async with OpenAI() as service:
            client = await opened(service, detecting(silence_duration_ms=700))
            pcm = visitor(name, silence_s=1.5)
            length_ms = len(pcm) // 48
            await client.append(pcm)
            started = await client.until("input_audio_buffer.speech_started")
            stopped = await client.until("input_audio_buffer.speech_stopped")
            assert started["audio_start_ms"] < 500
            assert stopped["item_id"] == started["item_id"]
            if name != "jfk.wav":  # who makes long pauses between his words
                # The silence that ends the turn is part of it.
                assert length_ms - 1500 <= stopped["audio_end_ms"] <= length_ms
            await client.done()

    run(talk)


def test_an_interruption_ends_the_reply_and_the_next_turn_is_answered() -> None:
    async def talk() -> None:
        async with OpenAI(speaking((100, 400), (600, 900))) as service:
            client = await opened(service)
            await client.append(silence(500))
            await client.until("response.output_audio.delta")
            await client.append(silence(600))
            first, second = await client.done(), await client.done()
            assert first["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
            assert first["output"][0]["status"] == "incomplete"
            assert first["usage"]["output_token_details"]["audio_tokens"] > 0, "it is paid for"
            assert second["status"] == "completed"

    run(talk)


def test_who_may_not_interrupt_is_answered_afterwards() -> None:
    async def talk() -> None:
        async with OpenAI(speaking((100, 400), (600, 900))) as service:
            client = await opened(service, detecting(interrupt_response=False))
            await client.append(silence(500))
            await client.until("response.output_audio.delta")
            await client.append(silence(600))
            assert (await client.done())["status"] == "completed"
            assert (await client.done())["status"] == "completed"

    run(talk)


def test_turns_without_answers() -> None:
    async def talk() -> None:
        async with OpenAI(speaking((100, 400))) as service:
            client = await opened(service, detecting(create_response=False))
            await client.append(silence(500))
            await client.until("conversation.item.done")
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
            assert "response.created" not in client.kinds()

    run(talk)


def test_a_cancelled_reply_frees_the_place() -> None:
    async def talk() -> None:
        async with OpenAI(speaking(reply=Reply(says="One two three", gap_s=60.0))) as service:
            client = await opened(service)
            await client.send("response.create", response={"metadata": {"k": "v"}})
            created = await client.until("response.created")
            assert created["response"]["metadata"] == {"k": "v"}
            await client.until("response.output_audio.delta")
            await client.send("response.cancel", response_id=created["response"]["id"])
            done = await client.done()
            assert done["status_details"]["reason"] == "client_cancelled"
            assert done["metadata"] == {"k": "v"}
            await client.send("response.create")
            assert (await client.done())["status"] == "completed"
            assert not service.violations

    run(talk)


def test_a_cancel_before_the_reply_began_cancels_nothing() -> None:
    row = Connection(reply=[Reply(says="Yes.")], options={"created_after_s": 0.2})

    async def talk() -> None:
        async with OpenAI(Script(connection=[row])) as service:
            client = await opened(service)
            await client.send("response.create")
            await client.send("response.cancel")
            error = (await client.until("error"))["error"]
            assert error["code"] == "response_cancel_not_active"
            assert (await client.done())["status"] == "completed"
            assert not service.violations

    run(talk)


def test_a_response_beside_the_conversation_leaves_no_item() -> None:
    async def talk() -> None:
        async with OpenAI(speaking(reply=Reply(says="Aside."))) as service:
            client = await opened(service)
            await client.send("response.create", response={"conversation": "none"})
            done = await client.done()
            assert (done["conversation_id"], done["status"]) == (None, "completed")
            assert "conversation.item.added" not in client.kinds()

    run(talk)


@pytest.mark.parametrize("encoding", ["audio/pcmu", "audio/pcma"])
def test_telephone_sound(encoding: str) -> None:
    async def talk() -> None:
        async with OpenAI(speaking((100, 400), reply=Reply(says="Hello"))) as service:
            formats = {"format": {"type": encoding}}
            audio = {"input": formats, "output": formats}
            client = await opened(service, {"type": "realtime", "audio": audio})
            await client.append(bytes([0xD5]) * 8 * 600, 800)
            await client.done()
            # Six characters of a tone, 55 ms each, eight bytes a millisecond.
            deltas = [e["delta"] for e in client.events if e["type"].endswith("audio.delta")]
            assert sum(len(base64.b64decode(delta)) for delta in deltas) == 6 * 55 * 8

    run(talk)


def test_what_a_turn_was_read_as_comes_when_it_comes() -> None:
    """A late reading arrives behind the reply that it belongs before."""
    late = Connection(
        speech=[(100, 400)], heard=[Heard(text="Hello", delay_s=0.3)], reply=[Reply(says="Yes")]
    )

    async def talk() -> None:
        async with OpenAI(Script(connection=[late])) as service:
            session = {
                "type": "realtime",
                "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
            }
            client = await opened(service, session)
            await client.append(silence(500))
            await client.done()
            told = "conversation.item.input_audio_transcription.completed"
            assert told not in client.kinds()
            assert (await client.until(told))["transcript"] == "Hello"

    run(talk)
