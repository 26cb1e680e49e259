"""Whose turn it is: xAI's own rules of voice detection, of push-to-talk, of tools and of words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voiced.messages.network import HistoryRow
from voiced.providers import provider_xai_grok as provider
from voiced.providers.contract import HeardItem
from voiced.providers.realtime_dialect.client import ItemCreate, ItemTruncate
from voiced.providers.xai_turns import ANSWERS_WITHIN_S, STOPS_WITHIN_S

from .openai_hand import LIGHT
from .xai_hand import Scene, check_sent, request

HEARD = "conversation.item.input_audio_transcription"
CHUNK = bytes(4800)
"""100 ms."""


def talk() -> Scene:
    return Scene(request(push_to_talk=True, tools=(LIGHT,)))


def speak(scene: Scene, chunks: int = 4) -> None:
    for _ in range(chunks):
        scene.talk.hearing.hear(CHUNK)


def user(scene: Scene) -> list[tuple[Any, ...]]:
    """What was told of the user's words: (item, text, final)."""
    return [(c[1], c[2], c[4]) for c in scene.recorder.named("user_text")]


# --- voice detection ----------------------------------------------------------------------------


def test_a_reply_that_is_dropped_without_a_word_is_over_when_the_user_speaks_on() -> None:
    scene = Scene()
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    scene.says(f"{HEARD}.updated", item_id="u1", transcript="Make")
    scene.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=100)
    scene.begins("resp_0")
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=150)
    assert scene.recorder.ended == {"resp_0": "cancelled"}
    assert scene.sent() == []
    # The same, but heard: what sounded is cut too.
    assert scene.bench.cuts == ["", ""]
    scene.says(f"{HEARD}.updated", item_id="u1", transcript="Make it blue")
    scene.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=300)
    scene.begins("resp_1")
    scene.says("input_audio_buffer.committed", item_id="u1", previous_item_id=None)
    scene.says(f"{HEARD}.completed", item_id="u1", transcript="Make it", status="in_progress")
    scene.says(f"{HEARD}.completed", item_id="u1", transcript="Make it blue.", status="completed")
    scene.speaks("resp_1", "a1")
    scene.done("resp_1")
    assert [c[1] for c in scene.recorder.named("speech_started")] == [0]
    assert user(scene) == [
        ("u1", "Make", False), ("u1", "Make it blue", False), ("u1", "Make it", False),
        ("u1", "Make it blue.", False), ("u1", "Make it blue.", True),
    ]  # fmt: skip
    assert scene.recorder.ended["resp_1"] == "completed"
    assert scene.bench.error is None


def test_a_new_reply_closes_the_one_whose_end_was_never_told() -> None:
    scene = Scene()
    scene.begins("resp_1")
    scene.speaks("resp_1", "a1")
    scene.begins("resp_2")
    assert scene.recorder.ended == {"resp_1": "cancelled"}
    scene.speaks("resp_1", "a1")
    assert len(scene.recorder.named("audio")) == 1


def test_barge_in_stops_cuts_and_truncates_when_it_is_over() -> None:
    scene = Scene()
    scene.begins("resp_1")
    scene.speaks("resp_1", "a1", 500)
    scene.says("input_audio_buffer.speech_started", item_id="u2", audio_start_ms=0)
    assert scene.sent() == ["response.cancel"]
    assert scene.bench.cuts == ["resp_1"]
    heard = HeardItem(response="resp_1", item="a1", ms=240, received_ms=500, complete=False)
    scene.talk.heard([heard], "resp_1")
    assert scene.sent() == []
    # Late sound does not make the new turn's first words its last.
    scene.says(f"{HEARD}.updated", item_id="u2", transcript="Stop")
    scene.speaks("resp_1", "a1")
    assert user(scene) == [("u2", "Stop", False)]
    scene.done("resp_1", "cancelled")
    (event,) = scene.bench.sent()
    assert isinstance(event, ItemTruncate)
    assert (event.item_id, event.audio_end_ms) == ("a1", 240)
    assert user(scene) == [("u2", "Stop", False)]


@pytest.mark.parametrize("told", ["error", "nothing"])
def test_a_reply_that_was_stopped_is_over_whatever_is_told_of_it(told: str) -> None:
    scene = Scene()
    scene.begins("resp_1")
    scene.says("input_audio_buffer.speech_started", item_id="u2", audio_start_ms=0)
    scene.bench.sent()
    if told == "error":
        scene.objects("invalid_request_error", "no active response found", asked="cancel_resp_1")
    else:
        scene.bench.due(1.0)
    assert scene.recorder.ended == {"resp_1": "cancelled"}


def test_words_after_a_final_are_told_under_a_name_of_their_own() -> None:
    scene = Scene()
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    scene.says(f"{HEARD}.updated", item_id="u1", transcript="Make it")
    scene.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=100)
    scene.begins("resp_0")
    scene.speaks("resp_0", "a0")
    assert user(scene)[-1] == ("u1", "Make it", True)
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=150)
    scene.says(f"{HEARD}.updated", item_id="u1", transcript="Make it blue")
    scene.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=200)
    scene.begins("resp_1")
    scene.speaks("resp_1", "a1")
    assert user(scene)[-1] == ("u1+", " blue", True)


def test_words_that_come_behind_the_reply_are_final_when_they_are_complete() -> None:
    scene = Scene()
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    scene.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=100)
    scene.begins("resp_1")
    scene.speaks("resp_1", "a1")
    scene.done("resp_1")
    scene.says(f"{HEARD}.completed", item_id="u1", transcript="Hello", status="in_progress")
    assert user(scene) == [("u1", "Hello", False)]
    scene.says(f"{HEARD}.completed", item_id="u1", transcript="Hello.", status="completed")
    assert user(scene)[-1] == ("u1", "Hello.", True)


def test_a_turn_that_held_no_words_is_dropped() -> None:
    scene = Scene()
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    scene.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=100)
    scene.says(f"{HEARD}.completed", item_id="u1", transcript="", status="completed")
    scene.begins("resp_1")
    scene.speaks("resp_1", "a1")
    assert scene.recorder.named("user_turn_dropped")[0][1] == "u1"


# --- push-to-talk -------------------------------------------------------------------------------


def test_a_commit_alone_is_sent_and_answered() -> None:
    scene = talk()
    scene.talk.hearing.activity(True)
    speak(scene)
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    scene.talk.hearing.activity(False)
    assert scene.sent() == [*["input_audio_buffer.append"] * 4, "input_audio_buffer.commit"]
    scene.says("input_audio_buffer.committed", item_id="u1", previous_item_id=None)
    scene.says(f"{HEARD}.completed", item_id="u1", transcript="Hello.", status="completed")
    scene.begins("resp_1")
    scene.speaks("resp_1", "a1")
    scene.bench.due(ANSWERS_WITHIN_S)
    scene.done("resp_1")
    assert scene.sent() == []
    assert user(scene)[-1] == ("u1", "Hello.", True)


def test_what_is_owed_is_not_asked_for_beside_a_commit() -> None:
    scene = talk()
    scene.talk.hearing.activity(True)
    speak(scene)
    scene.talk.text("Also this.")
    scene.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    scene.talk.hearing.activity(False)
    assert "response.create" not in scene.sent()
    scene.says("conversation.item.added", item={"id": "it_1", "type": "message"})
    scene.begins("resp_1")
    scene.done("resp_1")
    assert scene.sent() == [], "the reply to the turn has answered it"


@pytest.mark.parametrize("sign", ["speech_started", "committed"])
def test_a_turn_that_nobody_answers_is_asked_about(sign: str) -> None:
    scene = talk()
    scene.talk.hearing.activity(True)
    speak(scene)
    scene.talk.hearing.activity(False)
    scene.bench.sent()
    scene.says(f"input_audio_buffer.{sign}", item_id="u1")
    scene.bench.due(ANSWERS_WITHIN_S)
    assert scene.sent() == ["response.create"]
    assert scene.recorder.named("user_turn_dropped") == []
    # That it is dropped without a word in turn is survived; the next turn works.
    scene.bench.due(3.0)
    assert scene.sent() == ["response.create"]
    scene.bench.due(3.0)
    assert scene.sent() == []
    assert not scene.talk.responses.busy


def test_a_turn_of_silence_is_dropped_and_cleared_with_the_next() -> None:
    scene = talk()
    scene.talk.hearing.activity(True)
    speak(scene)
    scene.talk.hearing.activity(False)
    scene.bench.sent()
    scene.bench.due(ANSWERS_WITHIN_S)
    assert scene.sent() == []
    assert len(scene.recorder.named("user_turn_dropped")) == 1
    scene.talk.hearing.activity(True)
    assert scene.sent() == []
    speak(scene, 2)
    assert scene.sent() == ["input_audio_buffer.clear", *["input_audio_buffer.append"] * 2]


def test_a_press_too_short_is_never_cleared_at_its_end() -> None:
    scene = talk()
    scene.talk.hearing.activity(True)
    scene.talk.hearing.hear(bytes(960))
    scene.talk.hearing.activity(False)
    assert scene.sent() == ["input_audio_buffer.append"]
    assert len(scene.recorder.named("user_turn_dropped")) == 1
    scene.talk.hearing.activity(True)
    scene.talk.hearing.activity(False)
    assert scene.sent() == [], "nothing came, nothing is cleared"
    scene.talk.hearing.activity(True)
    speak(scene, 1)
    assert scene.sent() == ["input_audio_buffer.clear", "input_audio_buffer.append"]


def test_a_press_into_a_reply_stops_it_and_waits_until_it_is_over() -> None:
    scene = talk()
    scene.begins("resp_1")
    scene.speaks("resp_1", "a1")
    scene.talk.hearing.activity(True)
    assert scene.sent() == ["response.cancel"]
    assert scene.bench.cuts == ["resp_1"]
    assert scene.talk.hearing.blocked
    scene.done("resp_1", "cancelled")
    assert not scene.talk.hearing.blocked


def test_it_waits_no_longer_than_a_moment() -> None:
    scene = talk()
    scene.begins("resp_1")
    scene.talk.hearing.activity(True)
    scene.bench.due(1.0)
    assert scene.recorder.ended == {"resp_1": "cancelled"}
    assert not scene.talk.hearing.blocked
    # A request that no reply ever takes up.
    scene = talk()
    scene.talk.text("Hello?")
    scene.talk.hearing.activity(True)
    assert scene.talk.hearing.blocked
    scene.bench.due(STOPS_WITHIN_S)
    assert not scene.talk.hearing.blocked


def test_the_reply_to_the_turn_before_is_stopped_as_soon_as_it_begins() -> None:
    scene = talk()
    scene.talk.hearing.activity(True)
    speak(scene)
    scene.talk.hearing.activity(False)
    scene.bench.sent()
    scene.talk.hearing.activity(True)
    assert scene.talk.hearing.blocked, "its reply is about to begin"
    scene.begins("resp_1")
    assert scene.sent() == ["response.cancel"]
    assert scene.talk.hearing.blocked
    scene.done("resp_1", "cancelled")
    assert not scene.talk.hearing.blocked


def test_only_push_to_talk_ever_waits() -> None:
    scene = Scene()
    scene.begins("resp_1")
    scene.talk.hearing.activity(True)
    assert not scene.talk.hearing.blocked


# --- tools, words to be said, history -----------------------------------------------------------


def called(scene: Scene, *names: str, ms: int = 0) -> None:
    """Let a reply call tools, and be over."""
    scene.begins("resp_1")
    if ms:
        scene.speaks("resp_1", "a1", ms)
    for number, name in enumerate(names):
        item = {
            "id": f"f{number}", "type": "function_call", "status": "completed",
            "call_id": f"call_{number}", "name": name, "arguments": "{}",
        }  # fmt: skip
        for _ in range(2):  # calls are told twice
            scene.says("response.output_item.added", response_id="resp_1", item=item)
            scene.says("response.output_item.done", response_id="resp_1", item=item)
    scene.done("resp_1")


def test_results_go_together_and_one_reply_is_asked_for() -> None:
    scene = talk()
    called(scene, "set_light", "set_light")
    assert len(scene.recorder.named("tool_call")) == 2
    scene.talk.result("call_1", "set_light", True, "{}")
    assert scene.sent() == ["conversation.item.create"]
    scene.talk.result("call_0", "set_light", False, "no")
    assert scene.sent() == ["conversation.item.create", "response.create"]
    assert scene.recorder.named("usage") == [], "results are free"


def test_the_reply_to_a_result_is_asked_for_when_what_was_said_has_sounded() -> None:
    scene = Scene(request(tools=(LIGHT,)))
    called(scene, "set_light", ms=2000)
    scene.bench.clock += 0.5
    scene.talk.result("call_0", "set_light", True, "{}")
    assert scene.sent() == ["conversation.item.create"]
    seconds, release = scene.bench.timers[-1]
    assert seconds == pytest.approx(1.2)
    release()
    assert scene.sent() == ["response.create"]


def test_what_is_cut_is_not_waited_for() -> None:
    scene = Scene(request(tools=(LIGHT,)))
    called(scene, "set_light", ms=2000)
    scene.talk.result("call_0", "set_light", True, "{}")
    scene.bench.sent()
    scene.talk.interrupted([])
    assert scene.sent() == ["response.create"]


def test_the_services_own_calls_are_its_own_and_cost() -> None:
    scene = Scene(request({"Enablegrounding": 1, "x_search": 1, "file_collections": "c"},
                          tools=(LIGHT,)))  # fmt: skip
    called(scene, "web_search", "collections_search", "set_light", "some_mcp_tool")
    assert [call[2] for call in scene.recorder.named("tool_call")] == ["set_light"]
    asides = [call[2] for call in scene.recorder.named("usage")]
    assert asides == [0.005, 0.0025]
    scene.talk.result("call_2", "set_light", True, "{}")
    assert scene.sent() == ["conversation.item.create", "response.create"]


def test_without_its_own_tools_every_call_is_ours() -> None:
    scene = Scene(request(tools=(LIGHT,)))
    called(scene, "set_lihgt")
    assert [call[2] for call in scene.recorder.named("tool_call")] == ["set_lihgt"]


def test_words_to_be_said_wait_for_the_reply_that_runs_and_need_no_request() -> None:
    scene = Scene()
    scene.begins("resp_1")
    scene.talk.say("We close.")
    assert scene.sent() == []
    scene.done("resp_1")
    (event,) = scene.bench.sent()
    raw = check_sent(event)
    assert raw["item"] == {
        "type": "force_message", "role": "assistant", "interruptible": True,
        "content": [{"type": "output_text", "text": "We close."}],
    }  # fmt: skip
    scene.talk.text("And then?")
    assert scene.sent() == ["conversation.item.create"]
    scene.begins("resp_2")
    scene.done("resp_2")
    assert scene.sent() == ["response.create"]


def test_words_to_be_said_that_meet_a_reply_are_sent_behind_it() -> None:
    scene = Scene()
    scene.talk.say("We close.")
    name = str(scene.bench.sent()[0].event_id)
    scene.talk.hearing.awaits_answer = True
    scene.begins("resp_1")
    scene.objects("invalid_request_error", "already has an active response", asked=name)
    scene.done("resp_1")
    assert scene.sent() == ["conversation.item.create"]


def test_words_to_be_said_are_never_said_twice() -> None:
    scene = Scene()
    scene.talk.say("We close.")
    scene.bench.sent()
    scene.bench.due(3.0)
    assert scene.sent() == []
    assert not scene.talk.responses.busy


ROWS = [
    HistoryRow(role="user", text="My name is\nAda."),
    HistoryRow(role="assistant", text="Hello Ada."),
    HistoryRow(role="user", text="What is my name?"),
]


async def prime(scene: Scene, rows: list[HistoryRow], respond: bool) -> None:
    class Link:
        async def prime(self, rows: list[HistoryRow], respond: bool) -> None:
            scene.talk.prime(rows, respond)
            scene.talk.release_answer()

    scene.live.link = Link()  # type: ignore[assignment]
    await provider.prime_history(scene.live, rows, respond)


@pytest.mark.parametrize("respond", [False, True])
def test_history_costs_nothing_but_what_waits_for_an_answer(respond: bool) -> None:
    scene = Scene(Systemprompt="You are a fountain.")
    asyncio.run(prime(scene, ROWS, respond))
    update, *others = scene.bench.sent()
    told = check_sent(update)["session"]
    assert list(told) == ["instructions"]
    lines = told["instructions"].splitlines()
    assert lines[0] == "You are a fountain."
    assert lines[3:] == ["Visitor: My name is Ada.", "You: Hello Ada."] + (
        [] if respond else ["Visitor: What is my name?"]
    )
    assert [u[2] for u in scene.recorder.named("usage")] == [0.004] * respond
    if respond:
        create, answer = others
        assert isinstance(create, ItemCreate)
        assert check_sent(create)["item"]["content"][0]["text"] == "What is my name?"
        assert check_sent(answer)["type"] == "response.create"
    assert scene.bench.is_primed is not respond
    # It stays when something else is changed later.
    scene.live.values = provider.xai_page.read({"Systemprompt": "You are a well."})
    scene.live.update()
    again = check_sent(scene.bench.sent()[0])["session"]["instructions"]
    assert again.splitlines()[0] == "You are a well."
    assert "Hello Ada." in again


def test_a_resumed_conversation_is_told_only_what_waits_for_an_answer() -> None:
    scene = Scene(request({"resumption": "native"}, handle='["conv_1",0.0]', history=tuple(ROWS)))
    asyncio.run(prime(scene, [], True))
    create, answer = scene.bench.sent()
    assert check_sent(create)["item"]["content"][0]["text"] == "What is my name?"
    assert check_sent(answer)["type"] == "response.create"


def test_a_handle_is_told_only_where_the_service_keeps_the_conversation() -> None:
    assert provider.get_persistable_state(Scene().live) == ""
    scene = Scene(resumption="native")
    assert provider.get_persistable_state(scene.live) == '["conv_1",0.0]'


def test_the_voice_stays_until_the_next_session() -> None:
    scene = Scene()

    class Link:
        async def flush(self) -> None:
            pass

    scene.live.link = Link()  # type: ignore[assignment]
    asyncio.run(provider.update_session(scene.live, {"Voice": "rex", "speed": 1.2}, None))
    (update,) = scene.bench.sent()
    session = check_sent(update)["session"]
    assert "voice" not in session
    assert session["audio"]["output"]["speed"] == 1.2
    assert scene.recorder.troubles == ["voice"]
