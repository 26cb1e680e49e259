"""Whose turn it is: orders that were met in the field, and any order at all."""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.gemini_rig import Callbacks, request
from tests.providers.test_gemini_codec import fuzzed
from voiced.providers import gemini_codec as wire
from voiced.providers import gemini_page
from voiced.providers import provider_gemini_live as gemini
from voiced.providers.gemini_turns import Turns

SOUND = wire.Audio(pcm=bytes(480))


class Scene:
    """A conversation of events, told to callbacks that write down."""

    def __init__(self, *, talk: bool = False) -> None:
        self.told, self.sent = Callbacks(), 0
        self.turns = Turns(self.told, push_to_talk=talk, sent=lambda: self.sent)

    def talk(self, samples: int = 1600) -> None:
        """Hold Talk for so long."""
        self.press(samples)
        self.turns.activity(False)

    def press(self, samples: int) -> None:
        self.turns.activity(True)
        self.sent += samples

    def heard(self, text: str, *, finished: bool = False, interim: bool = False) -> None:
        self.turns.user_words(wire.UserWords(text=text, finished=finished, interim=interim))

    def over(self, reason: str = "", *, in_progress: bool = False) -> None:
        self.turns.turn_complete(wire.TurnComplete(reason=reason, in_progress=in_progress))

    def reply(self, text: str = "Yes.", *, over: bool = True) -> None:
        self.turns.reply_words(text)
        self.turns.sound(SOUND.pcm)
        if over:
            self.turns.generation_complete()
            self.over()

    def names(self) -> list[str]:
        return [what[0] for what in self.told.told]

    def finals(self) -> list[tuple[str, str]]:
        return [(what[1], what[2]) for what in self.told.of("user_text") if what[3]]


def test_words_are_appended_guesses_replaced_and_the_whole_turn_told():
    scene = Scene()
    for text, interim in ((" What", False), (" thyme", True), (" time is", True), (" time", False)):
        scene.heard(text, interim=interim)
    assert [what[2] for what in scene.told.of("user_text")] == [
        "What",
        "What thyme",
        "What time is",
        "What time",
    ]
    scene.reply()
    assert scene.finals() == [("u1", "What time")]


def test_words_that_come_behind_the_reply_belong_to_what_was_answered():
    scene = Scene()
    scene.heard("What time")
    scene.turns.sound(SOUND.pcm)
    scene.heard(" is it?")
    scene.turns.generation_complete()
    assert scene.finals() == [("u1", "What time is it?")]
    scene.over()
    assert scene.names().count("speech_started") == 1


def test_words_later_still_are_a_row_of_their_own_but_nobody_speaks():
    scene = Scene()
    scene.heard("What time")
    scene.turns.sound(SOUND.pcm)
    scene.turns.generation_complete()
    scene.heard(" is it?")
    scene.over()
    assert scene.finals() == [("u1", "What time"), ("u2", "is it?")]
    assert scene.names().count("speech_started") == scene.names().count("speech_ended") == 1
    scene.heard("Thanks.")
    scene.reply()
    assert scene.finals()[-1] == ("u3", "Thanks.")
    assert scene.names().count("speech_started") == 2


def test_two_finished_stretches_under_one_press_are_one_turn():
    scene = Scene(talk=True)
    scene.press(1600)
    scene.heard("Turn it blue.", finished=True)
    scene.heard("Turn it blue.", finished=True)
    scene.heard("Or rather red.", finished=True)
    assert scene.finals() == []
    scene.turns.activity(False)
    scene.reply()
    assert scene.finals() == [("u1", "Turn it blue. Or rather red.")]
    assert scene.told.of("user_text")[-1][4:] == (0, 1600)


def test_a_final_that_comes_twice_is_one():
    for talk in (False, True):
        scene = Scene(talk=talk)
        if talk:
            scene.talk()
        scene.heard("No.", finished=True)
        scene.heard("No.", finished=True)
        scene.reply()
        scene.heard("No.", finished=True)
        assert [text for _, text in scene.finals()] == ["No.", "No."]


def test_the_whole_again_after_its_pieces_is_the_end_of_them():
    scene = Scene()
    scene.heard("What time")
    scene.heard(" is it?")
    scene.heard("What time is it?", finished=True)
    assert scene.finals() == [("u1", "What time is it?")]
    assert scene.names().count("speech_ended") == 1


def test_the_pair_of_an_old_reply_ends_no_new_turn():
    """activityStart behind generationComplete: interrupted and turnComplete of the reply before."""
    scene = Scene(talk=True)
    scene.talk()
    scene.heard("One.")
    scene.reply(over=False)
    scene.turns.generation_complete()
    scene.press(800)
    scene.turns.interrupted()
    scene.over()
    assert scene.told.of("response_done") == [("response_done", "r1", "cancelled")]
    scene.turns.activity(False)
    scene.heard("Two.")
    scene.reply()
    assert scene.finals() == [("u1", "One."), ("u2", "Two.")]
    assert scene.told.of("response_done")[-1] == ("response_done", "r2", "completed")
    assert "user_turn_dropped" not in scene.names()


@pytest.mark.parametrize("words_first", [True, False])
def test_the_same_pair_when_the_service_finds_the_turns(words_first):
    scene = Scene()
    scene.heard("One.")
    scene.reply()
    scene.turns.interrupted()
    if words_first:
        scene.heard("Two.")
    scene.over()
    if not words_first:
        scene.heard("Two.")
    assert [text for _, text in scene.finals()] == ["One."]
    scene.reply()
    assert [text for _, text in scene.finals()] == ["One.", "Two."]
    assert scene.names().count("speech_started") == scene.names().count("speech_ended") == 2


def test_a_barge_in_keeps_the_names_of_the_dead_reply_until_its_end():
    scene = Scene()
    scene.heard("One.")
    scene.reply(over=False)
    scene.turns.interrupted()
    scene.turns.sound(SOUND.pcm)  # late: it belongs to the dead one, which the network drops
    scene.over()
    scene.heard("Two.")
    scene.reply()
    assert [what[1] for what in scene.told.of("audio")] == ["r1", "r1", "r2"]
    assert [what[2] for what in scene.told.of("response_done")] == ["cancelled", "completed"]


def test_a_turn_complete_that_got_lost_is_made_up_for():
    scene = Scene(talk=True)
    scene.talk()
    scene.reply(over=False)
    scene.turns.generation_complete()
    scene.talk()
    scene.reply()
    assert scene.told.of("response_done") == [
        ("response_done", "r1", "completed"),
        ("response_done", "r2", "completed"),
    ]
    scene.press(800)
    scene.turns.activity(False)
    scene.turns.sound(SOUND.pcm)
    scene.turns.interrupted()
    scene.talk()
    scene.reply()
    assert [what[1:] for what in scene.told.of("response_done")[2:]] == [
        ("r3", "cancelled"),
        ("r4", "completed"),
    ]


def test_an_exchange_in_parts_is_one_reply():
    scene = Scene()
    scene.turns.typed()
    scene.over(in_progress=True)
    assert scene.names() == ["response_started"]
    scene.reply("One moment.", over=False)
    scene.turns.generation_complete()
    scene.over(in_progress=True)
    scene.reply("Forty-two.")
    assert scene.told.rows() == [("assistant", "One moment."), ("assistant", "Forty-two.")]
    assert [what[2] for what in scene.told.of("audio_done")] == ["a1", "a1.1"]
    assert scene.names().count("response_done") == 1


@pytest.mark.parametrize("reason", ["RESPONSE_REJECTED", "PROHIBITED_INPUT_CONTENT"])
def test_a_turn_that_is_refused_is_told_with_its_reason(reason):
    scene = Scene(talk=True)
    scene.talk()
    scene.heard("Something.")
    scene.over(reason)
    assert scene.told.of("trouble")[0][1] == reason.lower()
    assert scene.told.of("response_done") == [("response_done", "r1", "cancelled")]
    assert scene.finals() == [("u1", "Something.")]


def test_a_turn_left_unanswered_on_purpose_is_an_empty_reply():
    scene = Scene()
    scene.heard("Hello there, Bob.")
    scene.over()
    assert scene.names()[-3:] == ["response_started", "user_text", "response_done"]
    assert scene.finals() == [("u1", "Hello there, Bob.")]


def test_silence_where_an_answer_is_owed_is_left_to_the_watch():
    scene = Scene(talk=True)
    scene.talk()
    scene.heard("Hello?")
    scene.over()
    assert "response_started" not in scene.names()


def test_speech_without_words_leaves_nothing():
    scene = Scene(talk=True)
    scene.talk(0)
    scene.talk(1600)
    scene.reply()
    assert scene.told.of("user_turn_dropped") == [
        ("user_turn_dropped", "u1"),
        ("user_turn_dropped", "u2"),
    ]


def test_words_before_and_behind_a_call_are_kept_apart():
    scene = Scene()
    scene.turns.reply_words("One moment.")
    scene.turns.called()
    scene.turns.reply_words("The light")
    scene.turns.reply_words(" is blue.")
    scene.turns.called()
    scene.turns.reply_words(" Done.")
    assert scene.told.rows() == [("assistant", "One moment. The light is blue. Done.")]


def test_half_a_sample_waits_for_its_other_half():
    scene = Scene()
    for pcm in (b"\1", b"\1\2\2\3", b"\3"):
        scene.turns.sound(pcm)
    assert [what[3] for what in scene.told.of("audio")] == [2, 1]


def test_where_the_service_says_that_speech_lies():
    scene = Scene()
    scene.sent = 32_000
    scene.turns.activity_heard(wire.Activity(active=True, offset_s=1.0))
    scene.heard("Hi.")
    scene.turns.activity_heard(wire.Activity(active=False, offset_s=1.5))
    scene.reply()
    assert scene.told.of("speech_started", "speech_ended") == [
        ("speech_started", 16_000),
        ("speech_ended", 24_000),
    ]
    # One that lies in the future counts from elsewhere: it is told without a position.
    scene.turns.activity_heard(wire.Activity(active=True, offset_s=100.0))
    assert scene.told.of("speech_started")[-1] == ("speech_started", None)


# --- any order -------------------------------------------------------------------------------

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("press"), st.integers(0, 1600)),
        st.tuples(st.just("release")),
        st.tuples(st.just("typed")),
        st.tuples(st.just("heard"), st.sampled_from(["a", " b", ""]), st.booleans(), st.booleans()),
        st.tuples(st.just("words"), st.sampled_from(["x", " y"])),
        st.tuples(st.just("sound"), st.integers(1, 5)),
        st.tuples(st.just("called")),
        st.tuples(st.just("interrupted")),
        st.tuples(st.just("generated")),
        st.tuples(st.just("over"), st.sampled_from(["", "OTHER"]), st.booleans()),
        st.tuples(st.just("activity"), st.booleans(), st.sampled_from([None, 0.0, 9.0])),
    ),
    max_size=40,
)


def act(scene: Scene, talk: bool, action: tuple) -> None:
    turns = scene.turns
    match action:
        case ("press", samples) if talk:
            scene.press(samples)
        case ("release",) if talk:
            turns.activity(False)
        case ("typed",):
            turns.typed()
        case ("heard", text, finished, interim):
            scene.heard(text, finished=finished, interim=interim)
        case ("words", text):
            turns.reply_words(text)
        case ("sound", length):
            turns.sound(bytes(length))
        case ("called",):
            turns.called()
        case ("interrupted",):
            turns.interrupted()
        case ("generated",):
            turns.generation_complete()
        case ("over", reason, in_progress):
            scene.over(reason, in_progress=in_progress)
        case ("activity", active, offset):
            turns.activity_heard(wire.Activity(active=active, offset_s=offset))


def hold_true(told: Callbacks) -> None:
    """What no order may break; the names of replies are the callbacks' own affair."""
    finals = [what[1] for what in told.of("user_text") if what[3]]
    assert len(finals) == len(set(finals)), "a turn has one final"
    dropped = [what[1] for what in told.of("user_turn_dropped")]
    assert not set(finals) & set(dropped)
    for item in {what[1] for what in told.of("user_text")}:
        texts = [what for what in told.of("user_text") if what[1] == item]
        assert not any(what[3] for what in texts[:-1]), "nothing comes behind the final"
    speaking = 0
    for what in told.of("speech_started", "speech_ended"):
        speaking += 1 if what[0] == "speech_started" else -1
        assert speaking >= 0, "speech ends that never began"


@settings(max_examples=300)
@given(ACTIONS, st.booleans())
def test_any_order_keeps_turns_and_replies_apart(actions, talk):
    scene = Scene(talk=talk)
    for action in actions:
        act(scene, talk, action)
        hold_true(scene.told)
    # Whatever was: a plain turn is understood.
    scene.told.told.clear()
    if talk:
        scene.press(100)
        scene.turns.activity(False)
    else:
        scene.turns.interrupted()
        scene.over()
    scene.heard("the last word")
    scene.turns.sound(SOUND.pcm)
    scene.turns.generation_complete()
    scene.over()
    assert scene.told.of("audio")
    assert scene.told.of("response_done")[-1][2] == "completed"
    assert "the last word" in scene.finals()[-1][1]


def test_no_order_of_frames_ends_the_reader():
    """Frames of a conversation, mutated, doubled, in any order: all of it but the socket."""

    async def test() -> None:
        rng = random.Random(38)
        for _ in range(max(1, int(os.environ.get("VOICED_FUZZ", "3000")) // 100)):
            told = Callbacks()
            talk = rng.random() < 0.5
            page = gemini_page.page_of({})
            conn = gemini.Connection(request(push_to_talk=talk), page, told)
            for _ in range(100):
                if talk and rng.random() < 0.2:
                    conn.samples += rng.randrange(640)
                    conn.turns.activity(rng.random() < 0.5)
                for event in wire.decode(fuzzed(rng)):
                    await conn.take(event)
            hold_true(told)
            gemini.get_persistable_state(conn)

    asyncio.run(test())
