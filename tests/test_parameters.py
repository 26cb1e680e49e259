from __future__ import annotations

import math
import re
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.messages.network import ProviderParameter
from voiced.parameters import (
    ROWS,
    Access,
    Applies,
    Coerced,
    Kind,
    PulseEdge,
    Refusal,
    Row,
    coerce,
    expand,
    from_norm,
    press,
    row_of,
    spread,
    to_norm,
    toggled,
)

# The operator's contract, typed by hand from its table: name, tag, access, range, default.
CONTRACT = """
Connect P; Disconnect P; Restart P; Scanproviders P; Sendtext P; Resetcostmeter P; Resetplayback P
Play P; Pause P; Stop P; Replay P; Approvetools P; Denytools P; Scanskills P; Scanprofiles P
Applyprofiles P; Initialize P; Forget P; Installdependencies PA; Shutdown PA
Provider s RW local; Model s RW; Voice s RW; Sessionmode s RW continuous; Streamingmode s RW live
Talk i RW 0..1 0; Talkmax i RW 0..600 120; Talktail i RW 0..2000 200; Talkconnects i RW 0..1 0
Bargein s RW auto; Active i RW 0..1 0; Autosessionrefresh i RW 0..1 1
Refreshwarning i RW 0..300 30; Refreshkeep i RW 0..60 20; Micin s RW; Micgain f RW 0..4 1.0
Inputtext s RW; Endpointurl s RW; Apikey s WA; Languagecode s RW; Systemprompt s RW
Displayname s RW; Enableusertranscription i RW 0..1 1; Enableoutputtranscription i RW 0..1 1
Enablesessionresumption i RW 0..1 1; Playbackactive i RW 0..1 1; Sessiontracing i RW 0..1 1
Enableconvdat i RW 0..1 1; Usetools i RW 0..1 1; Allowendconversation i RW 0..1 1
Enablegrounding i RW 0..1 0; Resumelast i RW 0..1 0; Outputtext i RW 0..1 0
Printcallbacks i RW 0..1 0; Audioevents i RW 0..1 0; Thinkingbudget i RW 0..8192 0
Volume f RW 0..1 1.0; Maxreplayrows i RW 1..200 20; Approvaltimeout i RW 0..600 0
Costbudget f RW 0..10 0.0; Signalrate i RW 1..120 30; Displaycolorr f RW 0..1 0.98
Displaycolorg f RW 0..1 0.52; Displaycolorb f RW 0..1 0.02; Displaycolor fff RW 0..1
Tool i RW 0..16 0; Profile s... RW; Skillscomp s RW; Videoin s RW; Videointerval i RW 1..3600 1
Sessiontracedir s RWA
Skillsfolder s RWA; Profilesfolder s RWA; Loadsessionfile s RWA; Providersfolder s R
Recording s RW off; Recordingformat s RW wav
Affect s RW off; Affectinterval i RW 3000..10000 3000; Affectendpoint s R
Callbackdat s R; Sessionstate s R; Enginestatus s R; Pricing s R; Conversationcost s R
Sessioncost s R; Sessionresume s R; Sessionid s R; Pendingtools s R; Skillscount s R
"""
LINES = [line.split() for line in re.split(r"[;\n]", CONTRACT) if line.strip()]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_the_table_keeps_the_contract(line: list[str]) -> None:
    row = ROWS[line[0]]
    if line[1].startswith("P"):
        assert row.kind is Kind.PULSE
        assert row.access is Access.PULSE
        assert row.admin == (line[1] == "PA")
        return
    tag, access, *rest = line[1:]
    assert row.tag == tag
    assert row.access.value == access.removesuffix("A")
    assert row.admin == access.endswith("A")
    if rest and ".." in rest[0]:
        low, high = rest.pop(0).split("..")
        assert (row.minimum, row.maximum) == (float(low), float(high))
    default = spread(row, row.default)[0]
    if row.kind is not Kind.COLOR:
        assert str(default) == (rest[0] if rest else "")


def test_nothing_is_missing_from_the_contract_and_nothing_beside_it() -> None:
    slots = {f"Tool{n}{part}" for n in range(16) for part in ("toolop", "mode")}
    assert set(ROWS) == {line[0] for line in LINES} | slots
    own = {"Restart", "Talkmax", "Talktail", "Talkconnects", "Bargein", "Refreshkeep", "Micgain",
           "Audioevents", "Signalrate", "Forget", "Videoin", "Videointerval", "Affect",
           "Affectinterval", "Affectendpoint", "Recording", "Recordingformat"}  # fmt: skip
    assert {n for n, row in ROWS.items() if row.own} - slots == own


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_each_row_agrees_with_itself(row: Row) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", row.doc), "one sentence"
    assert row.later == "" or re.fullmatch(r"this [^.]*", row.later)
    assert row.name[0].isupper()
    assert row.persists == (
        row.stored and row.access is not Access.READ and row.name not in
        ("Talk", "Inputtext", "Loadsessionfile", "Apikey")
    ) or row.config_only  # fmt: skip
    if row.stored:
        (first, *_) = spread(row, row.default)
        back = coerce(row, spread(row, row.default))
        assert isinstance(back, Coerced)
        assert back == Coerced(row.default) or row.default == ""
        assert type(first) is {"i": int, "f": float}.get(row.tag, str)


OPEN = [row for row in ROWS.values() if row.stored]
arguments: st.SearchStrategy[Any] = (
    st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(max_size=20)
    | st.booleans()
    | st.none()
    | st.binary(max_size=4)
    | st.sampled_from(["on", "1", "0.5", "nan", "-0", "1e999", "auto", "3,4", "٣"])
)


@given(st.sampled_from(OPEN), st.lists(arguments, max_size=3))
def test_whatever_comes_is_a_value_of_the_row_or_a_refusal(row: Row, args: list[Any]) -> None:
    outcome = coerce(row, args)
    if isinstance(outcome, Refusal):
        assert outcome.sentence.startswith(row.name)
        assert len(outcome.sentence) < 400
        return
    value = outcome.value
    assert type(value) is {Kind.TOGGLE: bool, Kind.INT: int, Kind.FLOAT: float}.get(row.kind, str)
    if row.numeric:
        assert math.isfinite(float(value))
        assert row.minimum is not None
        assert row.maximum is not None
        assert row.minimum <= float(value) <= row.maximum
        assert str(value) != "-0.0"
    if row.kind is Kind.MENU and not row.open_menu:
        assert value in row.options
    # What is told is taken back as it is: no loop between two that echo each other.
    assert coerce(row, spread(row, value)) == Coerced(value) or row.name in ("Model", "Voice")


@given(st.sampled_from([r for r in OPEN if r.kind in (Kind.INT, Kind.TOGGLE)]), st.data())
def test_every_number_type_means_the_same(row: Row, data: st.DataObject) -> None:
    assert row.minimum is not None
    assert row.maximum is not None
    number = data.draw(st.integers(int(row.minimum), int(row.maximum)))
    for sent in (number, float(number), str(number)):
        assert coerce(row, [sent]) == Coerced(number)


@given(st.floats(0, 1, width=32))
def test_a_32_bit_float_is_stored_with_its_shortest_digits(number: float) -> None:
    outcome = coerce(ROWS["Volume"], [number])
    assert isinstance(outcome, Coerced)
    assert not outcome.adjusted
    assert struct.pack("f", outcome.value) == struct.pack("f", number)
    assert len(repr(outcome.value)) <= len(repr(number))


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("Volume", 2, Coerced(1.0, adjusted=True)),
        ("Volume", 1e38, Coerced(1.0, adjusted=True)),
        ("Volume", -0.0, Coerced(0.0)),
        ("Volume", True, Coerced(1.0)),
        ("Volume", 0.30000001192092896, Coerced(0.3)),
        ("Talkmax", 30.0, Coerced(30)),
        ("Talkmax", 30.7, Coerced(31, adjusted=True)),
        ("Talkmax", "1_0", "bad_type"),
        ("Talk", 7, Coerced(True, adjusted=True)),
        ("Talk", "off", Coerced(False)),
        ("Talk", None, "bad_type"),
        ("Bargein", 1, Coerced("on", adjusted=True)),
        ("Bargein", 1.5, "bad_value"),
        ("Bargein", -1, "bad_value"),
        ("Bargein", "AUTO", Coerced("auto", adjusted=True)),
        ("Bargein", "", "bad_value"),
        ("Model", "any-thing", Coerced("any-thing")),
        ("Micin", 3.0, Coerced("3")),
        ("Micin", "3, 4", Coerced("3,4", adjusted=True)),
        ("Micin", "0", "bad_value"),
        ("Videoin", "camera: 0 ", Coerced("camera:0", adjusted=True)),
        ("Videoin", "camera:stage", Coerced("camera:stage")),
        ("Videoin", "camera:", "bad_value"),
        ("Videoin", "camera:/etc/passwd", "bad_value"),
        ("Videoin", " a picture.jpg", Coerced(" a picture.jpg")),
        ("Micin", "three", "bad_value"),
        ("Endpointurl", "http://127.0.0.1:8080/v1", Coerced("http://127.0.0.1:8080/v1")),
        ("Endpointurl", "file:///etc/passwd", "bad_value"),
        ("Endpointurl", "http://127.0.0.1:99999/", "bad_value"),
        ("Endpointurl", "http://[::1", "bad_value"),
        ("Endpointurl", "http://:8080/v1", "bad_value"),
        ("Endpointurl", "http://[::1]:8080/v1", Coerced("http://[::1]:8080/v1")),
        ("Systemprompt", "x" * 60_001, "too_long"),
        ("Systemprompt", "a\0b", "bad_value"),
        ("Systemprompt", 0.1, Coerced("0.1")),
        ("Systemprompt", math.inf, "bad_value"),
        ("Costbudget", 10.5, "out_of_range"),
        ("Costbudget", "2.5", Coerced(2.5)),
        ("Connect", 1, "no_effect"),
    ],
)
def test_single_values(name: str, argument: Any, expected: Coerced | str) -> None:
    outcome = coerce(ROWS[name], [argument])
    assert (outcome.code if isinstance(outcome, Refusal) else outcome) == expected


def test_money_can_have_a_ceiling_and_no_way_under_it() -> None:
    row = msgspec.structs.replace(ROWS["Costbudget"], maximum=2.0, above_minimum=True)
    assert coerce(row, [2.0]) == Coerced(2.0)
    for sum_ in (0.0, -1.0, 2.01, math.inf):
        assert isinstance(coerce(row, [sum_]), Refusal)


def test_menus_say_what_may_have_been_meant() -> None:
    outcome = coerce(ROWS["Sessionmode"], ["push to talk"])
    assert isinstance(outcome, Refusal)
    assert "Did you mean push_to_talk?" in outcome.sentence
    assert coerce(ROWS["Provider"], ["mine"], ("local", "mine")) == Coerced("mine")


def test_names_and_colours_take_several() -> None:
    row = ROWS["Profile"]
    assert coerce(row, ["a", "b"]) == Coerced("a,b")
    assert spread(row, "a,b") == ("a", "b")
    assert coerce(row, [""]) == Coerced("")
    assert spread(row, "") == ("",)
    assert isinstance(coerce(row, ["x"] * 9), Refusal)
    assert coerce(row, [1, 0.0], ("day", "night")) == Coerced("night,day")
    for index in (2, -1, 0.5, math.nan, math.inf):
        assert isinstance(coerce(row, [index], ("day", "night")), Refusal)
    assert isinstance(coerce(row, [0]), Refusal)
    parts = expand(ROWS["Displaycolor"], [0.1, 0.2, 0.3], ROWS)
    assert not isinstance(parts, Refusal)
    assert [(part.name, list(args)) for part, args in parts] == [
        ("Displaycolorr", [0.1]), ("Displaycolorg", [0.2]), ("Displaycolorb", [0.3]),
    ]  # fmt: skip
    assert isinstance(expand(ROWS["Displaycolor"], [0.1], ROWS), Refusal)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], PulseEdge.FIRE), ([None], PulseEdge.FIRE), ([1], PulseEdge.HIGH),
        ([-1], PulseEdge.HIGH), ([0], PulseEdge.LOW), ([0.5], PulseEdge.HIGH),
        ([0.49], PulseEdge.LOW), ([0.0], PulseEdge.LOW), ([True], PulseEdge.HIGH),
        ([False], PulseEdge.LOW), (["1"], PulseEdge.HIGH), (["0"], PulseEdge.LOW),
    ],
)  # fmt: skip
def test_what_fires_a_pulse(args: list[Any], expected: PulseEdge) -> None:
    assert press(ROWS["Stop"], args) == (expected, None)


def test_what_does_not_fire_a_pulse() -> None:
    for args in ([math.nan], ["go"], [1, 1], [b"x"]):
        assert isinstance(press(ROWS["Stop"], args), Refusal)
    assert press(ROWS["Sendtext"], ["hello"]) == (PulseEdge.FIRE, "hello")
    assert isinstance(press(ROWS["Sendtext"], ["x" * 60_001]), Refusal)


@given(st.sampled_from([r for r in OPEN if r.has_norm]), st.floats(0, 1))
def test_norms_go_and_come_back(row: Row, part: float) -> None:
    outcome = from_norm(row, [part])
    assert isinstance(outcome, Coerced)
    step = 1.0 / (row.maximum - row.minimum) if row.kind is Kind.INT else 1e-6  # type: ignore[operator]
    assert to_norm(row, outcome.value) == pytest.approx(part, abs=step / 2 + 1e-9)
    assert not row.money


def test_norms_are_clamped_and_checked() -> None:
    assert from_norm(ROWS["Talkmax"], [2.0]) == Coerced(600, adjusted=True)
    for args in ([math.nan], ["x"], []):
        assert isinstance(from_norm(ROWS["Talkmax"], args), Refusal)
    assert not ROWS["Costbudget"].has_norm
    assert not ROWS["Talk"].has_norm


def test_toggles_toggle() -> None:
    assert toggled(ROWS["Talk"], False) is True
    assert isinstance(toggled(ROWS["Volume"], 1.0), Refusal)


def provided(tag: str, default: Any, **more: Any) -> ProviderParameter:
    return ProviderParameter(name="A", tag=tag, default=default, **more)


@pytest.mark.parametrize(
    ("parameter", "kind", "tag", "default"),
    [
        (provided("f", 1.0, minimum=0, maximum=2), Kind.FLOAT, "f", 1.0),
        (provided("i", 3), Kind.INT, "i", 3),
        (provided("i", 1, minimum=0, maximum=1), Kind.TOGGLE, "i", True),
        (provided("i", False), Kind.TOGGLE, "i", False),
        (provided("s", "x", options=["x"]), Kind.MENU, "s", "x"),
        (provided("?", ""), Kind.STRING, "s", ""),
    ],
)  # fmt: skip
def test_a_providers_own_rows(
    parameter: ProviderParameter, kind: Kind, tag: str, default: Any
) -> None:
    row = row_of(parameter, "Local")
    assert (row.kind, row.tag, row.default, row.page) == (kind, tag, default, "Local")
    assert row.applies is Applies.SESSION


def test_a_providers_secret_is_one_here_too() -> None:
    row = row_of(ProviderParameter(name="Key", tag="s", default="leak", secret=True))
    assert row.secret
    assert row.admin
    assert not row.readable
    assert row.default == ""
    assert not row.persists


def test_numbers_without_a_range_stay_readable() -> None:
    whole = row_of(ProviderParameter(name="N", tag="i", default=0))
    number = row_of(ProviderParameter(name="X", tag="f", default=0.0))
    assert coerce(whole, [2**40]) == Coerced(2**31 - 1, adjusted=True)
    assert coerce(number, [-1e300]) == Coerced(-3.4e38, adjusted=True)
