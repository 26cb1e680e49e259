"""What files of profiles and skills say, what is wrong with them, and how they lie in order."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.messages import network as wire
from voiced.mind.parameters import PAR, Parameters
from voiced.mind.profiles import (
    MOST_TOLD,
    Profile,
    Shelf,
    laid,
    names_in,
    parse,
    read_profile,
    read_skill,
)
from voiced.parameters import ROWS, Kind

from .hand import card

PAGE = [
    wire.ProviderParameter(name="speed", tag="f", default=1.0, minimum=0.5, maximum=2.0),
    wire.ProviderParameter(name="mood", tag="s", default="calm", options=["calm", "wild"]),
    wire.ProviderParameter(name="token", tag="s", default="", secret=True),
]


def table(*, learned: bool = True) -> Parameters:
    made = Parameters({}, {})
    if learned:
        cards = [card("local", parameters=PAGE), card("mine")]
        made.take_catalogue(wire.Catalogue(providers=cards))
    return made


def profile(content: object, **more: bool) -> tuple[Profile, list[str]]:
    return read_profile(parse("night.json", json.dumps(content)), table(**more))


def wrong(content: object, **more: bool) -> str:
    return "; ".join(profile(content, **more)[1])


def test_a_whole_profile() -> None:
    made, problems = profile(
        {
            "about": "the night",
            "Volume": 0.5,
            "Usetools": False,
            "Talktail": 300,
            "Systemprompt": "You watch.",
            "Provider": "mine",
            "Model": "anything at all",
            "Displaycolor": [0.1, 0.2, 1],
            "Skillscomp": ["short", "kind"],
            "local": {"speed": 2, "Voice": "anna"},
        }
    )
    assert problems == []
    assert made.name == "night"
    assert made.values == {
        (PAR, "Volume"): 0.5,
        (PAR, "Usetools"): False,
        (PAR, "Talktail"): 300,
        (PAR, "Systemprompt"): "You watch.",
        (PAR, "Provider"): "mine",
        (PAR, "Model"): "anything at all",
        (PAR, "Displaycolorr"): 0.1,
        (PAR, "Displaycolorg"): 0.2,
        (PAR, "Displaycolorb"): 1.0,
        (PAR, "Skillscomp"): "short,kind",
        ("local", "speed"): 2.0,
        ("local", "Voice"): "anna",
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"Volum": 1}, "Volum: there is no such parameter. Did you mean Volume?"),
        ({"Volume": 1.5}, "Volume = 1.5: must be from 0 to 1"),
        ({"Talktail": 0.5}, "Talktail = 0.5: must be a whole number from 0 to 2000 ms"),
        ({"Usetools": 2}, "Usetools = 2: must be true or false"),
        ({"Usetools": "maybe"}, "Usetools: Usetools takes a number"),
        ({"Volume": None}, "Volume: null is no value: leave the key out"),
        ({"Volume": [0.5]}, "Volume: this takes one value, not a list"),
        ({"Displaycolor": [1, 0]}, "three numbers"),
        ({"Sessionmode": "push to talk"}, "Did you mean push_to_talk?"),
        ({"Sessionmode": 1}, "Sessionmode: this takes a name in quotes"),
        ({"Provider": "locl"}, "Did you mean local?"),
        ({"locl": {"speed": 1}}, "locl: there is no such provider. Did you mean local?"),
        ({"Volume": {"a": 1}}, "Volume: a parameter takes a value, and no object of them"),
        ({"local": {"spee": 1}}, "local.spee: there is no such parameter. Did you mean speed?"),
        ({"local": {"speed": 5}}, "local.speed = 5: must be from 0.5 to 2"),
        ({"local": {"mood": "mad"}}, "calm wild"),
        ({"local": {"speed": {}}}, "local.speed: this is no value"),
        ({"Volume": 1e999}, "Infinity is no number"),
        ({"Systemprompt": "\ud800"}, "UTF-8"),
        ({"about": 3}, "about: this must be a text"),
        ([1], "it must be an object"),
    ],
)  # fmt: skip
def test_a_slip_is_told_with_what_would_do(content: object, said: str) -> None:
    assert said in wrong(content)


@pytest.mark.parametrize(
    "name",
    [row.name for row in ROWS.values()
     if row.kind in (Kind.FILE, Kind.FOLDER, Kind.PULSE)
     or row.secret or row.admin or row.money or row.config_only
     or (not row.writable and row.kind is not Kind.COLOR)]
    + ["Active", "Talk", "Profile", "Inputtext"],
)  # fmt: skip
def test_a_profile_cannot_set_what_is_the_operators(name: str) -> None:
    made, problems = profile({name: "sk-planted"})
    assert made.values == {}
    assert [p for p in problems if p.startswith(f"{name}: ")], problems
    assert "sk-planted" not in "".join(problems), "it may have been a key"


def test_a_provider_page_keeps_its_secrets_and_its_address() -> None:
    said = wrong({"local": {"token": "sk-planted", "endpoint": "ws://elsewhere"}})
    assert "local.token: a key never stands" in said
    assert "local.endpoint: the key goes there" in said
    assert "planted" not in said


def test_a_number_beyond_all_numbers() -> None:
    _, problems = read_profile(parse("a.json", '{"Volume": 1e999, "Talktail": 1e400}'), table())
    assert len(problems) == 2
    assert all("finite" in problem for problem in problems)


def test_everything_is_told_at_once() -> None:
    _, problems = profile({"Volum": 1, "Volume": 2, "local": {"spee": 1}, "Apikey": "x"})
    assert len(problems) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"Volume": 1', "line 1, column 13"),
        ('{"Volume": 1,\n}', "line 1, column 13: a comma too many"),
        ('{"Skillscomp": ["a", ]}', "line 1, column 20: a comma too many"),
        ('{"Volume": 1\n "Voice": ""}', "line 1, column 13: a comma is missing"),
        ('{"about": "a "whole" one"}', 'a " in a text'),
        ("{Volume: 1}", "column 2: a name in double quotes is missing"),
        ('{"Volume": NaN}', "NaN is no number"),
        ('{"Volume": 1, "Volume": 0}', "Volume stands there twice"),
        ("[" * 100_000, "deeply"),
        ('{"Volume": ' + "9" * 5000 + "}", "digits"),
        ('"words"', "an object"),
    ],
)
def test_what_is_no_json_says_where(text: str, said: str) -> None:
    assert any(said in problem for problem in parse("a.json", text).problems)


@pytest.mark.parametrize("name", ["a,b", " a", "a\n", "x" * 65, ""])
def test_names_that_cannot_be_chosen(name: str) -> None:
    assert parse(f"{name}.json", "{}").problems
    assert not parse("night watch ü.json", "{}").problems


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*ROWS, "local", "about", "speed"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_whatever_a_file_says_it_is_good_or_told(content: object, learned: bool) -> None:
    file = parse("any.json", json.dumps(content))
    parameters = table(learned=learned)
    made, problems = read_profile(file, parameters)
    assert all(problems)
    for (page, name), value in made.values.items():
        row = parameters.row(page, name) or ROWS[name]
        assert not any((row.secret, row.admin, row.money))
        if row.numeric:
            assert (row.minimum or 0) <= value <= (row.maximum or 0)  # type: ignore[operator]
    parameters.lay(laid([made], "local"))
    read_skill(file, parameters)


@given(st.text(max_size=60) | st.text(alphabet='{}[]":,0eE-NaN\\u', max_size=60))
def test_any_text_is_read_or_told(text: str) -> None:
    file = parse("any.json", text)
    assert file.problems or isinstance(json.loads(text), dict)


# --- skills


def test_a_skill_has_its_words_and_nothing_else() -> None:
    made, problems = read_skill(
        parse("kind.json", '{"about": "b", "Systemprompt": " Be kind. "}'), table()
    )
    assert (made.name, made.text, problems) == ("kind", "Be kind.", [])
    for text, said in [
        ('{"Volume": 1}', "a skill has a Systemprompt only"),
        ('{"systemprompt": "x"}', "Did you mean Systemprompt?"),
        ("{}", "Systemprompt is missing"),
        ('{"Systemprompt": ["a"]}', "must be a text"),
        ('{"Systemprompt": 1}', "must be a text"),
        (json.dumps({"Systemprompt": "x" * 70_000}), "at most 60000 bytes"),
        ("{", "line 1"),
    ]:
        assert any(said in p for p in read_skill(parse("a.json", text), table())[1]), text


# --- the shelf


def test_a_damaged_file_keeps_what_it_said_when_it_was_good() -> None:
    shelf = Shelf(read_profile)
    parameters = table()
    shelf.put([parse("a.json", '{"Volume": 0.1}'), parse("b.json", "{")], parameters)
    assert shelf.names == ("a",)
    assert list(shelf.damaged) == ["b"]
    shelf.put([parse("a.json", '{"Volume": 9}')], parameters)
    assert shelf.names == ("a",)
    assert shelf.good["a"].values == {(PAR, "Volume"): 0.1}
    assert "must be" in shelf.damaged["a"]
    shelf.put([parse("a.json", '{"Volume": 0.9}')], parameters)
    assert (shelf.good["a"].values, shelf.damaged) == ({(PAR, "Volume"): 0.9}, {})
    shelf.put([], parameters)
    assert shelf.names == ()
    assert "no a.json" in shelf.why_not("a")


def test_before_the_providers_are_known_their_pages_are_left_out_and_nothing_is_wrong() -> None:
    shelf, parameters = Shelf(read_profile), table(learned=False)
    files = [parse("a.json", '{"Provider": "dropin", "dropin": {"x": 1}, "Volume": 0.1}')]
    shelf.put(files, parameters)
    assert shelf.blind
    assert shelf.good["a"].values == {(PAR, "Provider"): "dropin", (PAR, "Volume"): 0.1}
    parameters.take_catalogue(wire.Catalogue(providers=[card()]))
    shelf.check_again(parameters)
    assert shelf.names == (), "what was good only because nobody could know is not good any more"
    assert "no such provider" in shelf.damaged["a"]


def test_a_file_with_a_hundred_slips_tells_some_and_how_many_more() -> None:
    shelf = Shelf(read_profile)
    shelf.put([parse("a.json", json.dumps({f"No{n}": n for n in range(100)}))], table())
    assert shelf.damaged["a"].endswith(f"and {100 - MOST_TOLD} more")
    assert shelf.why_not("a").startswith("a.json cannot be used")


def test_names_are_meant() -> None:
    shelf = Shelf(read_profile)
    shelf.put([parse("night.json", "{}")], table())
    assert shelf.why_not("night") == ""
    assert "Did you mean night?" in shelf.why_not("nihgt")


# --- in order


def made(**values: object) -> Profile:
    return Profile(name="p", values={(PAR, n): v for n, v in values.items()})  # type: ignore[misc]


def test_later_ones_lie_over_earlier_ones() -> None:
    both = [made(Volume=0.1, Talktail=1), made(Volume=0.2)]
    assert laid(both, "local") == {(PAR, "Volume"): 0.2, (PAR, "Talktail"): 1}


def test_a_model_is_for_the_provider_in_force_where_it_lies() -> None:
    stack = [made(Model="below"), made(Provider="mine", Model="of mine"), made(Voice="too")]
    assert laid(stack, "local") == {
        ("local", "Model"): "below",
        (PAR, "Provider"): "mine",
        ("mine", "Model"): "of mine",
        ("mine", "Voice"): "too",
    }


def test_names_in_a_list() -> None:
    assert names_in(" b, a,,b ,c") == ["b", "a", "c"]
    assert names_in("") == []
