"""Going on with a past conversation: which one, what the service is given, what is on show."""

from __future__ import annotations

from voiced.control import traces
from voiced.messages import network as wire
from voiced.mind import effects, inputs
from voiced.mind.effects import Row

from .hand import Hand, card

NATIVE = card("local", resumption="native")


def row(n: int, role: str, message: str, kind: str = "text") -> Row:
    return Row(
        index=n, role=role, message=message, id=f"1.{n + 1}", type=kind, metadata="{}",
        timestamp="2026-11-22T20:00:00.000+01:00", session_id="old",
    )  # fmt: skip


ROWS = (
    row(0, "user", "My name is Ada."),
    row(1, "tool", "lights({})", "tool_call"),
    row(2, "tool", "done", "tool_result"),
    row(3, "assistant", "Good evening, Ada."),
    row(4, "system", "refreshed", "status"),
)


def past(**fields: object) -> inputs.Past:
    given = {
        "session_id": "old",
        "provider": "local",
        "model": "small",
        "handle": "h",
        "rows": ROWS,
    }
    return inputs.Past(**{**given, **fields})  # type: ignore[arg-type]


def asked(hand: Hand) -> effects.Recall:
    (recall,) = [effect for effect in hand.last if isinstance(effect, effects.Recall)]
    return recall


def shown(hand: Hand) -> list[tuple[str, str, str]]:
    rows = [effect.row for effect in hand.all if isinstance(effect, effects.RowWritten)]
    return [(row.role, row.message, row.session_id) for row in rows]


def resuming(*cards: wire.ProviderCard) -> Hand:
    hand = Hand(*cards).start()
    hand.write("Resumelast", True)
    hand.press("Connect")
    return hand


def test_without_resumelast_nothing_is_looked_for():
    hand = Hand().start()
    hand.press("Connect")
    assert not [effect for effect in hand.all if isinstance(effect, effects.Recall)]


def test_the_first_leg_waits_for_the_past_and_is_primed_with_words_alone():
    hand = resuming()
    recall = asked(hand)
    assert (recall.provider, recall.model, recall.file) == ("local", "small", "")
    assert hand.dialled == []
    hand.give(inputs.Recalled(session_id=recall.session_id, past=past()))
    (leg,) = hand.dialled
    assert [(r.role, r.text) for r in leg.history] == [
        ("user", "My name is Ada."), ("assistant", "Good evening, Ada."),
    ]  # fmt: skip
    assert leg.handle == "", "a service without handles is given none"
    assert not leg.respond
    hand.opened("replay")
    assert shown(hand) == [(r.role, r.message, "old") for r in ROWS]
    words = "Replayed 2 messages (replay, cost grows with history)"
    assert hand.told["par", "Sessionresume"] == words


def test_old_rows_are_shown_before_new_ones_and_every_id_is_its_own():
    hand = resuming()
    hand.give(inputs.Recalled(session_id=asked(hand).session_id, past=past()))
    hand.opened("replay")
    hand.user("And what is yours?")
    rows = [effect.row for effect in hand.all if isinstance(effect, effects.RowWritten)]
    assert [row.message for row in rows][-1] == "And what is yours?"
    assert len({row.id for row in rows}) == len(ROWS) + 1
    assert [row.index for row in rows] == list(range(len(ROWS) + 1))


def test_a_native_service_gets_its_handle_and_the_rows_in_case_it_refuses_it():
    hand = resuming(NATIVE)
    hand.give(inputs.Recalled(session_id=asked(hand).session_id, past=past()))
    assert hand.dialled[0].handle == "h"
    assert len(hand.dialled[0].history) == 2
    hand.opened("native")
    assert hand.told["par", "Sessionresume"] == "Resumed via native handle (local)"


def test_the_handle_of_what_it_goes_on_with_is_in_its_own_journal():
    for resumed, kept in (("native", "h"), ("replay", "")):
        hand = resuming(NATIVE)
        hand.give(inputs.Recalled(session_id=asked(hand).session_id, past=past()))
        hand.opened(resumed)
        written = [e for e in hand.all if isinstance(e, effects.Journal)]
        trace = traces.trace_of("new", [e.line.encode() for e in written], "")
        assert trace.resume_handle == kept
        # From its leg's beginning on it is a whole conversation, at once on the disk.
        (whole,) = [n for n, e in enumerate(written) if '"kind":"leg"' in e.line]
        assert written[whole].sync
        assert sum('"kind":"row"' in e.line for e in written[:whole]) == len(ROWS)


def test_a_handle_is_never_given_to_another_service():
    hand = resuming(NATIVE)
    found = inputs.Recalled(session_id=asked(hand).session_id, past=past(provider="other"))
    hand.give(found)
    assert hand.dialled[0].handle == ""
    assert len(hand.dialled[0].history) == 2


def test_maxreplayrows_holds():
    hand = Hand().start()
    hand.write("Resumelast", True)
    hand.write("Maxreplayrows", 3)
    hand.press("Connect")
    rows = tuple(row(n, ("user", "assistant")[n % 2], f"line {n}") for n in range(50))
    hand.give(inputs.Recalled(session_id=asked(hand).session_id, past=past(rows=rows)))
    assert [r.text for r in hand.dialled[0].history] == ["line 47", "line 48", "line 49"]


def test_a_named_trace_comes_first_and_once():
    hand = Hand().start()
    hand.write("Resumelast", True)
    hand.write("Loadsessionfile", "/state/old.json")
    hand.press("Connect")
    assert asked(hand).file == "/state/old.json"
    assert hand.told["par", "Loadsessionfile"] == ""
    hand.give(inputs.Recalled(session_id=asked(hand).session_id, past=past()))
    hand.opened("replay")
    hand.press("Disconnect")
    hand.closed(asked=True)
    hand.press("Connect")
    assert asked(hand).file == ""


def test_a_trace_that_cannot_be_read_is_told_and_the_session_is_fresh():
    hand = Hand().start()
    hand.write("Loadsessionfile", "/state/old.json")
    hand.press("Connect")
    sentence = "old.json cannot be gone on with: it is no trace"
    hand.give(inputs.Recalled(session_id=asked(hand).session_id, sentence=sentence))
    assert ("session", "resume", sentence) in hand.callbacks("onError")
    assert hand.dialled[0].history == []
    hand.opened()
    assert hand.told["par", "Sessionresume"] == "Fresh session"


def test_a_disk_that_does_not_answer_holds_nothing_up():
    hand = resuming()
    hand.sleep(4.9)
    assert hand.dialled == []
    late = asked_first(hand)
    hand.sleep(0.2)
    assert len(hand.dialled) == 1
    hand.give(inputs.Recalled(session_id=late.session_id, past=past()))
    hand.opened()
    assert shown(hand) == [], "too late: the session has begun without it"


def asked_first(hand: Hand) -> effects.Recall:
    return next(effect for effect in hand.all if isinstance(effect, effects.Recall))


def test_an_answer_to_an_older_session_is_not_taken():
    hand = resuming()
    old = asked(hand)
    hand.press("Disconnect")
    hand.sleep(0.001)
    hand.press("Connect")
    hand.give(inputs.Recalled(session_id=old.session_id, past=past()))
    assert hand.dialled == []
    hand.give(inputs.Recalled(session_id=asked_last(hand).session_id, past=past()))
    assert len(hand.dialled) == 1


def asked_last(hand: Hand) -> effects.Recall:
    return [effect for effect in hand.all if isinstance(effect, effects.Recall)][-1]


def test_a_start_goes_on_with_what_broke_off():
    hand = Hand()
    hand.give(inputs.Started(connect=True, resume_within_s=120.0))
    assert not [effect for effect in hand.all if isinstance(effect, effects.Recall)]
    hand.network(up=True)
    recall = asked_first(hand)
    assert (recall.model, recall.file, recall.within_s) == ("small", "", 120.0)
    hand.give(inputs.Recalled(session_id=recall.session_id, past=past()))
    hand.opened("replay")
    hand.press("Disconnect")
    hand.closed(asked=True)
    hand.press("Connect")
    assert asked_last(hand) is recall, "only the session that the start asked for"


def test_a_talk_that_broke_off_goes_on_with_its_money():
    hand = Hand()
    hand.give(inputs.Started(connect=True, resume_within_s=120.0))
    hand.write("Costbudget", 1.0)
    hand.network(up=True)
    hand.give(inputs.Recalled(session_id=asked_first(hand).session_id, past=past(usd=0.75)))
    hand.opened("replay")
    assert hand.told["par", "Conversationcost"] == "$0.75000"
    assert hand.told["par", "Sessioncost"] == "$0.00000"
    written = [e.line.encode() for e in hand.all if isinstance(e, effects.Journal)]
    trace = traces.trace_of("new", written, "")
    assert (trace.before_usd, trace.cost_usd) == (0.75, 0.0)
    hand.write("Costbudget", 0.5)
    assert hand.told["par", "Active"] is False


def test_a_talk_that_broke_off_with_its_money_spent_is_not_dialled():
    hand = Hand()
    hand.give(inputs.Started(connect=True, resume_within_s=120.0))
    hand.write("Costbudget", 1.0)
    hand.network(up=True)
    hand.give(inputs.Recalled(session_id=asked_first(hand).session_id, past=past(usd=1.0)))
    assert not hand.dialled
    assert hand.told["par", "Active"] is False
    hand.press("Connect")
    assert hand.dialled, "another conversation has the whole budget"


def test_a_start_that_is_not_asked_for_a_session_leaves_the_next_one_fresh():
    hand = Hand()
    hand.give(inputs.Started(connect=False, resume_within_s=120.0))
    hand.network(up=True)
    hand.press("Connect")
    assert not [effect for effect in hand.all if isinstance(effect, effects.Recall)]
