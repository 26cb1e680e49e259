"""Rows: stable ids, three streaming modes, words that were heard."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from voiced.messages.network import AssistantText, Heard, UserText, UserTurnDropped
from voiced.mind import effects
from voiced.mind.inputs import Instant
from voiced.mind.transcript import ROWS_KEPT, Style, Transcript
from voiced.mind.turns import OPEN_KEPT, TURNS_KEPT, Turn, Turns

NOW = Instant(mono_ns=1, wall=1_795_395_723.456)


def transcript(**style: object) -> Transcript:
    made = Transcript()
    made.begin("s")
    made.style = Style(**style)  # type: ignore[arg-type]
    return made


def said(text: str, item: str = "u", *, final: bool = False, delta: bool = False) -> UserText:
    return UserText(agent="a", leg=1, item=item, text=text, final=final, delta=delta)


def reply(text: str, item: str = "i", *, final: bool = False) -> AssistantText:
    return AssistantText(agent="a", leg=1, response="r", item=item, text=text, final=final)


def cut(chars: int, item: str = "i") -> Heard:
    return Heard(agent="a", leg=1, response="r", item=item, ms=10, chars=chars, cut=True)


def rows(t: Transcript) -> list[str]:
    return [row.message for row in t.rows]


def written(out: list[effects.AgentEffect]) -> list[str]:
    return [e.row.message for e in out if isinstance(e, effects.RowWritten)]


def callbacks(out: list[effects.AgentEffect]) -> list[tuple[int | float | str, ...]]:
    return [e.args for e in out if isinstance(e, effects.Callback)]


def test_a_row_has_the_seven_columns() -> None:
    t = transcript()
    t.user_text(said("hello", final=True), NOW)
    assert t.rows == [
        effects.Row(
            index=0, role="user", message="hello", id="1.1",
            timestamp="2026-11-23T01:02:03.456+00:00", type="text", metadata="{}", session_id="s",
        )
    ]  # fmt: skip


def test_live_rewrites_one_row() -> None:
    t = transcript(mode="live")
    assert written(t.user_text(said("I would"), NOW)) == ["I would"]
    assert written(t.user_text(said(" like", delta=True), NOW)) == ["I would like"]
    out = t.user_text(said("I would like tea", final=True), NOW)
    assert callbacks(out) == [("I would like tea", 1, "1.1")]
    assert rows(t) == ["I would like tea"]
    assert t.user_text(said("I would like tea", final=True), NOW) == []


def test_coalesce_writes_at_the_end_and_calls_back_all_the_way() -> None:
    t = transcript(mode="coalesce")
    out = t.assistant_text(reply("good "), NOW)
    assert (written(out), callbacks(out)) == ([], [("good ", 0, "1.1")])
    out = t.assistant_text(reply("day", final=True), NOW)
    assert (written(out), callbacks(out)) == (["good day"], [("good day", 1, "1.1")])


def test_append_writes_each_piece() -> None:
    t = transcript(mode="append")
    for piece in ("good ", "day ", "Ada"):
        t.assistant_text(reply(piece), NOW)
    assert rows(t) == ["good ", "day ", "Ada"]
    out = t.response_done(1, "r", "completed", NOW)
    assert callbacks(out) == [("good day Ada", 1, "1.1")]
    assert [row.metadata for row in t.rows] == [
        '{"turn":"1.1"}', '{"turn":"1.1"}', '{"final":true,"turn":"1.1"}'
    ]  # fmt: skip
    t.heard(cut(7), NOW)
    assert rows(t) == ["good ", "", ""]


def test_append_waits_with_revised_words() -> None:
    t = transcript(mode="append")
    t.user_text(said("I woud"), NOW)
    assert written(t.user_text(said("I would"), NOW)) == []
    assert written(t.user_text(said("I woud"), NOW)) == []
    t.user_text(said("I would like", final=True), NOW)
    assert "".join(rows(t)) == "I would like"


@given(
    st.sampled_from(["live", "coalesce", "append"]),
    st.lists(st.text(max_size=6), max_size=6), st.text(max_size=20),
    st.one_of(st.none(), st.integers(0, 30)),
)  # fmt: skip
def test_in_every_mode_the_rows_hold_the_words(
    mode: str, pieces: list[str], last: str, chars: int | None
) -> None:
    t = transcript(mode=mode)
    seen: dict[str, str] = {}

    def note(out: list[effects.AgentEffect]) -> None:
        seen.update({e.row.id: e.row.message for e in out if isinstance(e, effects.RowWritten)})

    for piece in pieces:
        note(t.user_text(said(piece), NOW))
    note(t.user_text(said(last, final=True), NOW))
    assert "".join(rows(t)) == "".join(seen.values()) == last
    before = len(t.rows)
    for piece in pieces:
        note(t.assistant_text(reply(piece), NOW))
    if chars is not None:
        note(t.heard(cut(chars), NOW))
    note(t.response_done(1, "r", "cancelled", NOW))
    whole, shown = "".join(pieces), "".join(rows(t)[before:])
    heard = whole[:chars]
    # What was heard, without the word that the cut went through.
    assert heard.startswith(shown)
    assert not any(letter.isspace() for letter in heard[len(shown) :])
    if len(heard) == len(whole) or not whole[len(heard)].isalnum():
        assert shown == heard
    assert rows(t) == list(seen.values())


def test_a_word_that_was_cut_through_is_not_among_the_words_heard() -> None:
    for chars, words in ((0, ""), (2, ""), (4, "once"), (5, "once "), (7, "once "), (99, None)):
        t = transcript()
        t.assistant_text(reply("once upon a time"), NOW)
        t.heard(cut(chars), NOW)
        assert rows(t) == ["once upon a time" if words is None else words]


def test_a_cut_at_the_end_of_a_line_takes_no_word() -> None:
    t = transcript()
    t.assistant_text(reply("once\nupon"), NOW)
    t.heard(cut(5), NOW)
    assert rows(t) == ["once\n"]


def test_late_words_of_a_cut_item_do_not_grow_it() -> None:
    t = transcript()
    t.assistant_text(reply("one two"), NOW)
    t.heard(cut(3), NOW)
    assert t.assistant_text(reply(" three", final=True), NOW) == []
    assert rows(t) == ["one"]


def test_hearing_more_than_came_waits_for_the_words() -> None:
    t = transcript()
    t.assistant_text(reply("one"), NOW)
    t.heard(cut(7), NOW)
    t.assistant_text(reply(" two three"), NOW)
    assert rows(t) == ["one two"]


def test_progress_and_unknown_items_change_nothing() -> None:
    t = transcript()
    t.assistant_text(reply("one"), NOW)
    progress = Heard(agent="a", leg=1, response="r", item="i", ms=10, chars=1, cut=False)
    assert t.heard(progress, NOW) == []
    assert t.heard(cut(1, "other"), NOW) == []


def test_a_dropped_turn_takes_its_row_back() -> None:
    t = transcript()
    t.speech_started(1, 100)
    t.user_text(said("hm"), NOW)
    dropped = UserTurnDropped(agent="a", leg=1, item="u")
    out = t.user_dropped(dropped, NOW)
    assert [e.row.message for e in out if isinstance(e, effects.RowRemoved)] == [""]
    assert callbacks(out) == [("", 1, "1.1")]
    assert t.rows == []
    assert t.turns.open == []
    assert t.user_dropped(dropped, NOW) == []
    t.speech_started(1, 900)
    assert t.user_dropped(dropped, NOW) == []
    assert t.turns.open == []
    t.user_text(said("yes", final=True), NOW)
    assert t.user_dropped(dropped, NOW) == []
    assert rows(t) == ["yes"]


def test_dropped_without_a_table() -> None:
    t = transcript(rows=False)
    t.user_text(said("hm"), NOW)
    out = t.user_dropped(UserTurnDropped(agent="a", leg=1, item="u"), NOW)
    assert not [e for e in out if isinstance(e, effects.RowRemoved)]


def test_the_toggles() -> None:
    silent = transcript(rows=False)
    out = silent.user_text(said("hello", final=True), NOW)
    assert (written(out), callbacks(out)) == ([], [("hello", 1, "1.1")])
    assert [type(e) for e in out] == [effects.Journal, effects.Callback]
    assert silent.rows == []
    deaf = transcript(user=False, assistant=False)
    assert deaf.user_text(said("hello", final=True), NOW) == []
    assert deaf.assistant_text(reply("good day", final=True), NOW) == []
    assert deaf.heard(cut(2), NOW) == []
    deaf.assistant_text(reply("more", "j"), NOW)
    assert deaf.leg_lost(1, "r", NOW) == []
    assert deaf.response_done(1, "r", "completed", NOW) == []
    assert deaf.rows == []


def test_without_transcription_an_answered_turn_is_over() -> None:
    t = transcript(user=False)
    t.speech_started(1, 100)
    t.speech_ended(1, 200)
    assert t.turns.oldest_open_frame() == 100
    t.response_done(1, "r", "completed", NOW)
    assert t.turns.oldest_open_frame() == -1


def test_the_end_keeps_what_there_is() -> None:
    t = transcript()
    t.speech_started(1, 5)
    t.user_text(said("half a sen"), NOW)
    t.speech_started(1, 9)
    t.assistant_text(reply("well"), NOW)
    t.end(NOW)
    assert rows(t) == ["half a sen", "well"]
    assert t.rows[0].metadata == '{"partial":"ended"}'
    assert all(turn.final for turn in t.turns.all)
    quiet = transcript(user=False, assistant=False)
    quiet.user_text(said("half"), NOW)
    quiet.assistant_text(reply("well"), NOW)
    assert quiet.end(NOW) == []


def test_rows_and_turns_are_bounded() -> None:
    t = transcript(journal=False)
    for n in range(ROWS_KEPT + 5):
        t.add(1, "system", "status", str(n), NOW)
    assert len(t.rows) == ROWS_KEPT
    assert t.rows[-1].index == ROWS_KEPT + 4
    turns = Turns()
    for n in range(TURNS_KEPT + 5):
        turns.add(Turn(role="user", leg=1, text=str(n), final=True))
    assert len(turns.all) == TURNS_KEPT
    for n in range(OPEN_KEPT + 5):
        t.speech_started(1, n * 1000)
    assert len(t.turns.open) == OPEN_KEPT


def test_words_find_the_turn_they_belong_to() -> None:
    t = transcript()
    for start in (1000, 50_000):
        t.speech_started(1, start)
        t.speech_ended(1, start + 900)
    t.speech_ended(1, 99)  # nothing runs
    late = UserText(agent="a", leg=1, item="b", text="two", final=True, start_frame=50_100,
                    end_frame=51_000)  # fmt: skip
    t.user_text(late, NOW)
    t.user_text(said("one", "a", final=True), NOW)
    history = [row.text for row in t.turns.history(10)]
    assert history == ["one", "two"]
    start = UserText(agent="a", leg=1, item="c", text="three", final=True, start_frame=90_000)
    t.user_text(start, NOW)
    assert t.turns.all[-1].start_frame == 90_000


def test_a_turn_named_without_a_frame_learns_it() -> None:
    t = transcript()
    t.user_text(said("one"), NOW)
    t.user_text(UserText(agent="a", leg=1, item="u", text="one", start_frame=7), NOW)
    assert t.turns.oldest_open_frame() == 7


def test_a_finished_older_turn_is_not_taken_for_a_later_one() -> None:
    t = transcript()
    t.speech_started(1, 1000)
    t.speech_ended(1, 2000)
    t.speech_started(2, 900_000)
    assert [turn.start_frame for turn in t.turns.open] == [1000, 900_000]
    t.user_text(UserText(agent="a", leg=2, item="u", text="new", start_frame=900_100), NOW)
    assert [turn.text for turn in t.turns.open] == ["", "new"]


def test_a_row_that_stands_in_the_table_is_kept_true_when_no_more_are_wanted() -> None:
    t = transcript()
    t.assistant_text(reply("good day to you", final=True), NOW)
    t.style = Style(rows=False)
    out = t.heard(cut(8), NOW)
    assert rows(t) == written(out) == ["good day"]
    t.typed(1, "hello", NOW, unsent=False)
    assert rows(t) == ["good day"]


def test_history_is_what_user_and_assistant_said() -> None:
    t = transcript()
    t.typed(1, "hello", NOW, unsent=False)
    t.turns.reply_began(1, "r", -1)
    t.assistant_text(reply("good day", final=True), NOW)
    t.add(1, "tool", "tool_call", "x()", NOW)
    t.typed(1, "later", NOW, unsent=True)
    t.user_text(said("  ", "e", final=True), NOW)
    assert [(r.role, r.text) for r in t.turns.history(9)] == [
        ("user", "hello"), ("assistant", "good day")
    ]  # fmt: skip
    assert not t.turns.unanswered()
    assert [turn.text for turn in t.take_unsent(2)] == ["later"]
    assert t.turns.unanswered()
    t.turns.reply_began(2, "r2", -1)
    t.response_done(2, "r2", "completed", NOW)
    assert not t.turns.unanswered()
    t.user_text(said("and", "f"), NOW)
    assert not t.turns.unanswered()  # the next leg hears it again


@pytest.mark.parametrize("heard", [True, False])
def test_a_lost_reply_is_marked_unless_it_was_cut_before(heard: bool) -> None:
    t = transcript()
    t.assistant_text(reply("one two"), NOW)
    if heard:
        t.heard(cut(3), NOW)
    t.leg_lost(1, "r", NOW)
    t.leg_lost(1, "", NOW)
    assert [r.text for r in t.turns.history(9)] == (["one"] if heard else [])
    assert ("lost" in t.rows[0].metadata) is not heard
