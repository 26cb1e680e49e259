"""Profiles laid over an agent's parameters and lifted off again; skills in its system prompt."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.messages import network as wire
from voiced.messages.network import Value
from voiced.mind import effects, inputs
from voiced.mind.inputs import FilesFound, Origin
from voiced.mind.parameters import PAR, Parameters, Place
from voiced.mind.profiles import Profile, laid, parse

from .hand import OSC, Hand, card

PAGE = [
    wire.ProviderParameter(name="speed", tag="f", default=1.0, minimum=0.5, maximum=2.0,
                           applies="turn"),
    wire.ProviderParameter(name="cast", tag="s", default="all"),
]  # fmt: skip
FOLDERS = {"values": {(PAR, "Profilesfolder"): "/p", (PAR, "Skillsfolder"): "/s"}}


def show(*cards: wire.ProviderCard, **setup: object) -> Hand:
    return Hand(*(cards or (card("local", parameters=PAGE), card("mine"))), **{**FOLDERS, **setup})


def files(hand: Hand, what: str = "profiles", *, asked: bool = False, **contents: object) -> Hand:
    read = tuple(
        parse(f"{name}.json", content if isinstance(content, str) else json.dumps(content))
        for name, content in contents.items()
    )
    hand.give(FilesFound(what=what, folder="/p", files=read, asked=asked))
    return hand


def told(hand: Hand) -> dict[str, tuple[Value, Origin]]:
    return {e.name: (e.value, e.origin) for e in hand.last if isinstance(e, effects.Told)}


def kept(hand: Hand) -> list[str]:
    return [e.name for e in hand.all if isinstance(e, effects.Keep)]


def status(hand: Hand) -> list[tuple[object, ...]]:
    return hand.callbacks("onStatus", hand.last)


NIGHT = {"Volume": 0.25, "Systemprompt": "You watch.", "local": {"speed": 0.5}}
LOUD = {"Volume": 0.75, "Displayname": "Loud"}


def test_a_profile_lies_on_connect_and_lifts_again() -> None:
    hand = files(show().start(), night=NIGHT)
    hand.write("Volume", 0.5)
    hand.write("Profile", "night")
    assert hand.agent.value(PAR, "Volume") == 0.5, "it waits for Connect"
    hand.press("Connect")
    night = Origin(kind="profile", id="night")
    assert told(hand)["Volume"] == (0.25, night)
    assert told(hand)["Systemprompt"] == ("You watch.", night)
    assert told(hand)["speed"] == (0.5, night)
    assert hand.dialled[-1].parameters["Systemprompt"] == "You watch."
    assert hand.dialled[-1].parameters["speed"] == 0.5
    assert kept(hand) == ["Volume", "Profile", "Active"], "a profile's values are nobody's own"
    hand.opened()
    hand.write("Profile", "")
    assert told(hand)["Volume"][0] == 0.5
    assert hand.agent.value(PAR, "Systemprompt") == ""
    assert ("pending", "Systemprompt") in status(hand)
    assert ("pending", "Profile") not in status(hand), "it is lifted, nothing of it waits"
    assert hand.sent_of(wire.UpdateLeg)[-1].parameters == {"speed": 1.0}
    hand.press("Restart")
    hand.closed(asked=True)
    assert hand.dialled[-1].parameters["Systemprompt"] == ""


def test_applyprofiles_lays_now_what_applies_now() -> None:
    hand = files(show().start().connected(), night=NIGHT)
    hand.write("Profile", "night")
    assert status(hand) == [("pending", "Profile")]
    hand.press("Applyprofiles")
    assert hand.agent.value(PAR, "Volume") == 0.25
    assert hand.sent_of(wire.UpdateLeg)[-1].parameters == {"speed": 0.5}
    assert ("pending", "Systemprompt") in status(hand)
    assert ("profiles", "night lies over the parameters, 3 changed") in status(hand)
    hand.press("Disconnect")
    hand.closed(asked=True)
    hand.connected()
    assert hand.dialled[-1].parameters["Systemprompt"] == "You watch."


def test_several_lie_in_order() -> None:
    hand = files(show().start(), night=NIGHT, loud=LOUD)
    for names, volume in [("night,loud", 0.75), ("loud,night", 0.25), ("loud", 0.75)]:
        hand.write("Profile", names)
        hand.press("Applyprofiles")
        assert hand.agent.value(PAR, "Volume") == volume
        assert hand.agent.value(PAR, "Displayname") == "Loud"
    assert hand.agent.value(PAR, "Systemprompt") == ""


def test_what_is_written_meanwhile_counts_and_comes_back() -> None:
    hand = files(show().start(), loud=LOUD)
    hand.write("Profile", "loud")
    hand.connected()
    hand.write("Volume", 0.1)
    assert told(hand)["Volume"] == (0.1, OSC), "a fader is never dead"
    assert kept(hand)[-1] == "Volume"
    hand.press("Applyprofiles")
    assert told(hand)["Volume"][0] == 0.75
    hand.write("Volume", 0.75)
    hand.write("Profile", "")
    assert hand.agent.value(PAR, "Volume") == 0.75, "written by hand, though it looked the same"


def test_an_edited_configuration_stays_below() -> None:
    hand = files(show().start(), loud=LOUD)
    hand.write("Profile", "loud")
    hand.press("Applyprofiles")
    hand.write("Volume", 0.3, Origin(kind="config"))
    assert hand.agent.value(PAR, "Volume") == 0.75
    assert told(hand) == {}
    hand.write("Profile", "")
    assert hand.agent.value(PAR, "Volume") == 0.3


def test_a_provider_of_a_profile_is_told_and_its_model_is_its_own() -> None:
    hand = files(show().start(), other={"Provider": "mine", "Model": "large"})
    hand.write("Model", "small")
    hand.write("Profile", "other")
    hand.press("Connect")
    assert hand.callbacks("onProviderChange") == [("local", "mine")]
    leg = hand.dialled[-1]
    assert (leg.provider, leg.parameters["Model"]) == ("mine", "large")
    hand.opened()
    hand.press("Disconnect")
    hand.closed(asked=True)
    hand.write("Profile", "")
    assert hand.callbacks("onProviderChange")[-1] == ("mine", "local")
    assert told(hand)["Model"][0] == hand.agent.value(PAR, "Model") == "small"


def test_unknown_and_damaged_ones_are_told_and_left_out() -> None:
    hand = files(show().start(), loud=LOUD, bad={"Volum": 1})
    assert hand.callbacks("onError", hand.last) == [
        ("profiles", "damaged",
         "bad.json cannot be used: Volum: there is no such parameter. Did you mean Volume?")
    ]  # fmt: skip
    assert status(hand) == [("profiles", "1 in /p: loud; damaged: bad")]
    hand.write("Profile", "luod,bad,loud")
    (refused,) = hand.refused()
    assert refused.code == "later"
    assert "Did you mean loud?" in refused.sentence
    assert "bad.json cannot be used" in refused.sentence
    assert hand.agent.value(PAR, "Profile") == "luod,bad,loud", "nothing is lost"
    hand.connected()
    assert len(hand.callbacks("onError")) == 3
    assert hand.agent.value(PAR, "Volume") == 0.75
    files(hand, loud={"Volume": "what"})
    assert hand.agent.value(PAR, "Volume") == 0.75, "a damaged file changes nothing"
    hand.press("Applyprofiles")
    assert hand.agent.value(PAR, "Volume") == 0.75, "what was last good still can be laid"


def test_damage_is_told_once_and_when_asked() -> None:
    hand = files(show().start(), bad="{")
    files(hand, bad="{", good="{}")
    assert hand.callbacks("onError", hand.last) == []
    files(hand, bad="{", good="{}", asked=True)
    assert len(hand.callbacks("onError", hand.last)) == 1


def test_a_folder_that_cannot_be_read_changes_nothing() -> None:
    hand = files(show().start(), loud=LOUD)
    hand.give(FilesFound(what="profiles", folder="/p", problem="/p cannot be read: gone"))
    assert hand.callbacks("onError", hand.last) == [
        ("profiles", "folder", "/p cannot be read: gone")
    ]
    assert hand.agent.options(PAR, "Profile") == ("loud",)


def test_what_is_left_out_of_a_folder_is_told() -> None:
    hand = show().start()
    hand.give(FilesFound(what="skills", folder="/s", left_out="/s: 3 more are not"))
    assert hand.callbacks("onError", hand.last) == [("skills", "folder", "/s: 3 more are not")]


def test_pulses_ask_for_the_folders() -> None:
    hand = show().start()
    for pulse, what in (("Scanprofiles", "profiles"), ("Scanskills", "skills")):
        hand.press(pulse)
        assert hand.last == [effects.ScanFolder(what=what, asked=True)]
    hand.write("Profilesfolder", "/elsewhere")
    assert effects.ScanFolder(what="profiles", asked=False) in hand.last
    hand.write("Skillsfolder", "")
    hand.press("Scanskills")
    assert hand.refused()[0].code == "no_effect"
    hand.write("Skillscomp", "short")
    assert "Skillsfolder names no folder" in hand.refused()[0].sentence
    hand.press("Applyprofiles")
    assert hand.refused()[0].code == "no_effect"


def test_connect_before_the_providers_are_known() -> None:
    values = {**FOLDERS["values"], (PAR, "Profile"): "night", (PAR, "Provider"): "local"}
    hand = show(values=values)
    files(hand, night={**NIGHT, "Provider": "mine", "mine": {}})
    hand.give(inputs.Started(connect=True))
    assert hand.agent.value(PAR, "Volume") == 0.25
    hand.give(inputs.AudioReady(device="virtual", samplerate=48_000, echo_free=True))
    hand.network(up=True)
    assert hand.dialled[-1].provider == "mine"

    hand = show(values=values)
    files(hand, night=NIGHT)
    hand.give(inputs.Started(connect=True))
    hand.network(up=True)
    assert hand.dialled[-1].parameters["speed"] == 0.5, "its page counts in the very first leg"

    hand = show(values=values)
    files(hand, night={"Provider": "mine", "local": {"spee": 1}})
    hand.give(inputs.Started(connect=True))
    assert hand.callbacks("onError") == []
    hand.network(up=True)
    assert hand.dialled[-1].provider == "local", "it turned out to be damaged: it changes nothing"
    assert hand.callbacks("onError")[0][1] == "damaged"
    assert "_local_" in hand.agent.session_id


# --- skills


def test_skills_append_their_words_in_order() -> None:
    hand = show().start()
    files(hand, "skills", short={"Systemprompt": "Be short."}, kind={"Systemprompt": "Be kind."})
    assert hand.agent.options(PAR, "Skillscomp") == ("short", "kind")
    assert hand.told[PAR, "Skillscount"] == "0 of 2"
    hand.write("Systemprompt", "You are a lamp.\n")
    hand.write("Skillscomp", "kind, short")
    assert hand.told[PAR, "Skillscount"] == "2 of 2"
    hand.connected()
    whole = "You are a lamp.\n\nBe kind.\n\nBe short."
    assert hand.dialled[-1].parameters["Systemprompt"] == whole
    assert hand.agent.value(PAR, "Systemprompt") == "You are a lamp.\n", "the operator's own stays"
    files(hand, "skills", short={"Systemprompt": "Be long."})
    hand.write("Skillscomp", "short")
    assert ("pending", "Skillscomp") in status(hand)
    hand.closed()
    hand.sleep(1.0)
    assert hand.dialled[-1].parameters["Systemprompt"] == whole, "one session, one prompt"
    hand.opened()
    hand.press("Restart")
    hand.closed(asked=True)
    assert hand.dialled[-1].parameters["Systemprompt"] == "You are a lamp.\n\nBe long."


def test_a_skill_that_is_not_there_is_told_and_left_out() -> None:
    hand = files(show().start(), "skills", short={"Systemprompt": "Be short."})
    hand.write("Skillscomp", "shrot,short")
    assert "Did you mean short?" in hand.refused()[0].sentence
    assert hand.told[PAR, "Skillscount"] == "1 of 1"
    hand.press("Connect")
    assert hand.callbacks("onError")[0][:2] == ("skills", "unknown")
    assert hand.dialled[-1].parameters["Systemprompt"] == "Be short."


def test_a_profile_brings_its_skills() -> None:
    hand = files(show().start(), night={"Skillscomp": ["short"], "Systemprompt": "You watch."})
    files(hand, "skills", short={"Systemprompt": "Be short."})
    hand.write("Profile", "night")
    hand.press("Connect")
    assert hand.dialled[-1].parameters["Systemprompt"] == "You watch.\n\nBe short."


# --- in any order

NAMES: dict[Place, st.SearchStrategy[Value]] = {
    (PAR, "Volume"): st.sampled_from([0.0, 0.25, 1.0]),
    (PAR, "Talktail"): st.sampled_from([0, 200, 300]),
    (PAR, "Provider"): st.sampled_from(["local", "mine"]),
    (PAR, "Model"): st.sampled_from(["", "small", "large"]),
    ("local", "speed"): st.sampled_from([0.5, 1.0]),
}
VALUES = st.fixed_dictionaries({}, optional=NAMES)
ONE = st.one_of([st.tuples(st.just(place), values) for place, values in NAMES.items()])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), ONE),
        st.tuples(st.just("config"), ONE),
        st.tuples(st.just("lay"), st.lists(VALUES, max_size=3)),
    ),
    max_size=12,
)


def made(config: dict[Place, Value]) -> Parameters:
    parameters = Parameters(config, {})
    cards = [card("local", parameters=PAGE), card("mine")]
    parameters.take_catalogue(wire.Catalogue(providers=cards))
    return parameters


def seen(parameters: Parameters) -> dict[Place, Value]:
    return {place: parameters.value(*place) for place in NAMES}


@given(VALUES, STEPS)
def test_what_was_written_is_there_when_the_profiles_are_lifted(
    config: dict[Place, Value], steps: list[tuple[str, object]]
) -> None:
    """Against an agent that never heard of profiles, but for Model: that is its provider's."""
    over, plain = made(config), made(config)
    for what, given_ in steps:
        match what, given_:
            case "lay", list() as stack:
                profiles = [Profile(name="p", values=v) for v in stack]
                before = seen(over)
                changed = over.lay(laid(profiles, over.provider_below))
                after = seen(over)
                moved = {place for place in NAMES if before[place] != after[place]}
                assert moved <= set(changed)
                assert {p for p in changed if p in NAMES} == moved
                for values in profiles[-1:]:
                    assert all(over.value(*p) == v for p, v in values.values.items())
            case _, (place, value):
                (page, name) = place
                provider = over.provider
                if what == "write":
                    over.write(page, name, value)
                    assert over.value(page, name) == value, "whoever writes is heard"
                else:
                    over.write_below(page, name, value)
                if place == (PAR, "Model"):
                    # Stored for the provider that is in force, the profile's if it has one.
                    page = provider
                plain.write(page, name, value) if page == PAR else plain._written.__setitem__(
                    (page, name), value
                )
    over.lay({})
    assert seen(over) == seen(plain)
    assert over.lay({}) == []


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_lifting_tells_what_comes_back_and_nothing_else(stop: int) -> None:
    hand = files(show().start(), night=NIGHT, loud=LOUD)
    names = ["night", "loud"][:stop]
    hand.write("Profile", ",".join(names))
    hand.press("Applyprofiles")
    before = dict(hand.told)
    hand.write("Profile", "")
    changed = {e.name for e in hand.last if isinstance(e, effects.Told)} - {"Profile"}
    assert changed == {n for n in ("Volume", "Systemprompt", "speed", "Displayname")
                       if any(n in str(p) for p in ([NIGHT, LOUD][:stop]))}  # fmt: skip
    assert before.keys() <= hand.told.keys()
