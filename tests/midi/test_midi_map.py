"""What pedals mean: every expectation here is worked out by hand or by a second, simpler model."""

from __future__ import annotations

import mido
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voiced.control.midi_map import (
    Aimed,
    Binding,
    MidiMap,
    is_loop_back,
    matches,
    port_name,
    problems,
    read_message,
    resolver,
)
from voiced.mind.inputs import HolderGone, Origin, Press, SetMute, Write
from voiced.parameters import ROWS

TALK = "/voice_agent/par/Talk"
PORT = "FS-1 Pedal:FS-1 Pedal MIDI 1 20:0"
RESOLVE = resolver(
    ["voice_agent", "oracle"], lambda agent, page, name: ROWS.get(name) if page == "par" else None
)


class Values:
    """The parameters as they are now."""

    def __init__(self, **values):
        self.values = values

    def __call__(self, agent, page, name):
        return self.values.get(name, False)


def made(*bindings: Binding, **values) -> MidiMap:
    midi = MidiMap(bindings, RESOLVE, Values(**values))
    assert midi.problems == []
    return midi


def cc(value, control=64, channel=0):
    return mido.Message("control_change", control=control, value=value, channel=channel)


def note(velocity, number=60, channel=0):
    return mido.Message("note_on", note=number, velocity=velocity, channel=channel)


def values(aimed: list[Aimed]) -> list:
    return [one.input.value for one in aimed if isinstance(one.input, Write)]


def pedal(**more) -> Binding:
    return Binding(**{"port": "fs-1", "control": 64, "address": TALK, **more})


def test_a_momentary_pedal_holds_talk_while_it_is_down():
    midi = made(pedal())
    (press,) = midi.feed(PORT, cc(127))
    assert press.agent == "voice_agent"
    assert press.input == Write(name="Talk", value=True, origin=press.input.origin)
    assert press.input.origin.kind == "midi"
    (release,) = midi.feed(PORT, cc(0))
    assert release.input == Write(name="Talk", value=False, origin=press.input.origin)


@given(st.lists(st.integers(0, 127), max_size=60))
def test_a_continuous_pedal_switches_at_64_and_back_at_60(positions):
    midi, expected, down = made(pedal()), [], False
    for position in positions:
        if not down and position >= 64:
            down = True
            expected.append(True)
        elif down and position <= 60:
            down = False
            expected.append(False)
    told = [value for p in positions for value in values(midi.feed(PORT, cc(p)))]
    assert told == expected


@given(st.lists(st.integers(0, 127), max_size=40))
def test_an_inverted_pedal_is_its_mirror(positions):
    plain, inverted = made(pedal()), made(pedal(invert=True))
    a = [values(plain.feed(PORT, cc(p))) for p in positions]
    b = [values(inverted.feed(PORT, cc(127 - p))) for p in positions]
    assert a == b


@pytest.mark.parametrize("velocity", [1, 40, 60, 64, 127])
def test_a_key_is_down_however_softly_it_is_struck(velocity):
    midi = made(Binding(message="note", note=60, address=TALK))
    assert values(midi.feed(PORT, note(velocity))) == [True]
    assert values(midi.feed(PORT, note(0))) == [False], "a note_on with velocity 0 is a note_off"
    assert values(midi.feed(PORT, note(velocity))) == [True]
    assert values(midi.feed(PORT, mido.Message("note_off", note=60, velocity=90))) == [False]


def test_an_inverted_key_holds_while_it_is_up():
    midi = made(Binding(message="note", note=60, address=TALK, invert=True))
    assert values(midi.feed(PORT, note(100))) == []
    assert values(midi.feed(PORT, note(0))) == [True]
    assert values(midi.feed(PORT, note(100))) == [False]


def test_toggle_flips_what_the_parameter_is_whoever_set_it():
    binding = pedal(address="/voice_agent/par/Playbackactive", mode="toggle")
    assert values(made(binding, Playbackactive=True).feed(PORT, cc(127))) == [False]
    midi = made(binding, Playbackactive=False)
    assert values(midi.feed(PORT, cc(127))) == [True]
    assert values(midi.feed(PORT, cc(0))) == [], "a release means nothing"


def test_latch_holds_until_its_own_next_press():
    midi = made(pedal(mode="latch"))
    told = [values(midi.feed(PORT, cc(p))) for p in (127, 0, 127, 0, 127)]
    assert told == [[True], [], [False], [], [True]]


def test_a_fader_covers_the_whole_range_and_both_its_ends():
    midi = made(Binding(control=7, address="/voice_agent/par/Volume"))
    told = [values(midi.feed(PORT, cc(p, control=7)))[0] for p in range(128)]
    assert (told[0], told[127]) == (0.0, 1.0)
    assert told == sorted(told)
    assert told[64] == pytest.approx(64 / 127)


def test_min_and_max_narrow_a_fader_and_may_turn_it_round():
    midi = made(Binding(control=7, address="/voice_agent/par/Volume", min=0.8, max=0.2))
    assert values(midi.feed(PORT, cc(0, control=7))) == [0.8]
    assert values(midi.feed(PORT, cc(127, control=7))) == [0.2]


def test_a_knob_that_jitters_within_one_step_writes_once():
    midi = made(Binding(control=7, address="/voice_agent/par/Refreshwarning", min=0, max=3))
    told = [values(midi.feed(PORT, cc(p, control=7))) for p in (0, 1, 2, 1, 60)]
    assert told == [[0], [], [], [], [1]]


def test_a_knob_picks_from_a_menu():
    midi = made(Binding(control=7, address="/voice_agent/par/Sessionmode"))
    assert values(midi.feed(PORT, cc(0, control=7))) == ["continuous"]
    assert values(midi.feed(PORT, cc(64, control=7))) == ["one_turn"]
    assert values(midi.feed(PORT, cc(127, control=7))) == ["push_to_talk"]


def test_program_changes_write_a_value_or_their_own_number():
    midi = made(
        Binding(message="program_change", program=3, address="/*/par/Profile", value="night"),
        Binding(message="program_change", address="/voice_agent/par/Maxreplayrows"),
    )
    told = midi.feed(PORT, mido.Message("program_change", program=3))
    assert [(one.agent, one.input.value) for one in told] == [("*", "night"), ("voice_agent", 3)]
    assert values(midi.feed(PORT, mido.Message("program_change", program=9))) == [9]


NIGHTS = resolver(
    ["voice_agent"], lambda agent, page, name: ROWS.get(name),
    lambda agent, page, name: ("day", "night") if name == "Profile" else (),
)  # fmt: skip
PROFILE = "/voice_agent/par/Profile"


def nights(*bindings: Binding, **values) -> MidiMap:
    midi = MidiMap(bindings, NIGHTS, Values(**values))
    assert midi.problems == []
    return midi


def test_a_program_change_counts_the_profiles_there_are():
    midi = nights(Binding(message="program_change", address=PROFILE))
    told = [values(midi.feed(PORT, mido.Message("program_change", program=n))) for n in (0, 1, 2)]
    assert told == [["day"], ["night"], []]


def test_a_program_for_which_there_is_no_profile_is_told_once():
    midi = nights(Binding(message="program_change", address=PROFILE))
    for program in (100, 100, 100):
        assert midi.feed(PORT, mido.Message("program_change", program=program)) == []
    (told,) = midi.refusals
    assert told.startswith("midi: program 101: Profile takes names, or an index from 0 on")


def test_a_key_writes_the_profile_it_names_and_lifts_it_where_it_is_held():
    midi = nights(Binding(message="note", note=60, address=PROFILE, value="night"))
    assert [values(midi.feed(PORT, note(v))) for v in (1, 0, 90)] == [["night"], [], ["night"]]
    midi = nights(
        Binding(message="note", note=60, address=PROFILE, value="night", mode="momentary")
    )
    assert [values(midi.feed(PORT, note(v))) for v in (90, 0)] == [["night"], [""]]
    midi = nights(
        Binding(message="note", note=60, address=PROFILE, value="night", mode="toggle"),
        Profile="night",
    )
    assert values(midi.feed(PORT, note(90))) == [""]


def test_a_pulse_fires_at_each_press_and_never_at_a_release():
    midi = made(Binding(message="note", note=36, address="/oracle/par/Restart"))
    told = [one for v in (90, 0, 90, 0) for one in midi.feed(PORT, note(v, 36))]
    assert [type(one.input) for one in told] == [Press, Press]
    assert {(one.agent, one.input.name) for one in told} == {("oracle", "Restart")}


def test_a_pulse_may_bring_its_text():
    midi = made(Binding(message="note", note=36, address="/oracle/par/Sendtext", value="Hello"))
    (told,) = midi.feed(PORT, note(90, 36))
    assert told.input.text == "Hello"


def test_mute_is_bound_like_a_switch():
    midi = made(Binding(message="note", note=36, address="/voiced/mute"))
    told = [one for v in (90, 0) for one in midi.feed(PORT, note(v, 36))]
    assert told == [
        Aimed(agent="*", input=SetMute(on=True)),
        Aimed(agent="*", input=SetMute(on=False)),
    ]


def test_channel_control_and_port_must_fit():
    midi = made(pedal(channel=2))
    assert midi.feed(PORT, cc(127, channel=0)) == []
    assert midi.feed(PORT, cc(127, control=65, channel=1)) == []
    assert midi.feed("Launchpad 24:0", cc(127, channel=1)) == []
    assert midi.feed(PORT, note(127, 64, channel=1)) == []
    assert values(midi.feed(PORT, cc(127, channel=1))) == [True]


def test_the_numbers_that_alsa_appends_do_not_matter():
    midi = made(pedal())
    (press,) = midi.feed("FS-1 Pedal:FS-1 Pedal MIDI 1 20:0", cc(127))
    (release,) = midi.feed("FS-1 Pedal:FS-1 Pedal MIDI 1 28:0", cc(0))
    assert release.input.origin == press.input.origin
    assert port_name("a2j:K2 [24] (capture): K2 MIDI 1") == "a2j:K2 [24] (capture): K2 MIDI 1"


@pytest.mark.parametrize(
    ("pattern", "port", "fits"),
    [
        ("*", "nanoKONTROL2:nanoKONTROL2 MIDI 1 20:0", True),
        ("*", "Midi Through:Midi Through Port-0 14:0", False),
        ("*", "a2j:Midi Through [14] (capture): Midi Through Port-0", False),
        ("midi through", "Midi Through:Midi Through Port-0 14:0", True),
        ("NANOkontrol", "nanoKONTROL2:nanoKONTROL2 MIDI 1 20:0", True),
        ("20:0", "nanoKONTROL2:nanoKONTROL2 MIDI 1 20:0", False),
        (r"re:^fs-\d", "FS-1 Pedal 20:0", True),
        (r"re:^fs-\d$", "FS-1 Pedal 20:0", False),
    ],
)
def test_port_patterns(pattern, port, fits):
    assert matches(pattern, port) is fits
    assert is_loop_back("Midi Through Port-0")


def test_two_pedals_under_one_binding_hold_apart():
    midi = made(pedal(port="*"))
    (a,) = midi.feed("left", cc(127))
    (b,) = midi.feed("right", cc(127))
    assert a.input.origin != b.input.origin
    (let_go,) = midi.feed("left", cc(0))
    assert let_go.input.origin == a.input.origin


def test_a_lost_port_lets_go_once():
    midi = made(pedal(), Binding(control=7, address="/voice_agent/par/Volume"))
    (press,) = midi.feed(PORT, cc(127))
    midi.feed(PORT, cc(90, control=7))
    assert midi.port_lost("another") == []
    gone = midi.port_lost(PORT)
    assert gone == [Aimed(agent="voice_agent", input=HolderGone(origin=press.input.origin))]
    assert midi.port_lost(PORT) == []
    assert values(midi.feed(PORT, cc(127))) == [True], "back again, it presses anew"


def test_all_notes_off_lets_go_what_its_own_channel_holds():
    midi = made(pedal(mode="latch"))
    midi.feed(PORT, cc(127, channel=3))
    assert midi.feed(PORT, cc(0, control=123, channel=4)) == []
    (gone,) = midi.feed(PORT, cc(0, control=123, channel=3))
    assert isinstance(gone.input, HolderGone)
    assert values(midi.feed(PORT, cc(127, channel=3))) == [True], "the latch starts over"


def test_replaced_bindings_let_go():
    midi = made(pedal())
    midi.feed(PORT, cc(127))
    assert [type(one.input) for one in midi.release_all()] == [HolderGone]
    assert midi.release_all() == []


def test_lamps_show_the_gate_where_the_pedal_is():
    midi = made(
        pedal(), Binding(port="pad", message="note", note=36, channel=10, address=TALK),
        Binding(control=9, address="/oracle/par/Talk"),
    )  # fmt: skip
    outputs = ["FS-1 20:0", "pad", "Midi Through 14:0"]
    midi.feed("FS-1 20:0", cc(127, channel=5))
    assert midi.lamps("voice_agent", True, outputs) == [
        ("FS-1 20:0", cc(127, channel=5)),
        ("pad", note(127, 36, channel=9)),
    ]
    assert midi.lamps("voice_agent", False, ["pad"]) == [("pad", note(0, 36, channel=9))]
    assert [port for port, _ in midi.lamps("oracle", True, outputs)] == ["FS-1 20:0", "pad"]


@pytest.mark.parametrize(
    ("binding", "word"),
    [
        (pedal(channel=0), "1 to 16"),
        (pedal(channel=17), "1 to 16"),
        (pedal(control=128), "0 to 127"),
        (pedal(note=3), "no note"),
        (pedal(port="re:("), "regular expression"),
        (pedal(address="/voice_agent/par/Tallk"), "no parameter Tallk"),
        (pedal(address="/nobody/par/Talk"), "no agent nobody"),
        (pedal(address="Talk"), "must look like"),
        (pedal(address="/voice_agent/par/Sessionstate"), "cannot be set"),
        (pedal(address="/voice_agent/par/Apikey"), "cannot be set"),
        (pedal(address="/voice_agent/par/Costbudget", value=99), "Costbudget"),
        (pedal(address="/voice_agent/par/Volume", max=5), "max = 5: Volume is 1 at most"),
        (pedal(address="/voice_agent/par/Volume", min=-1), "min = -1: Volume is 0 at least"),
        (pedal(address="/voice_agent/par/Talktail", value=-1), "value = -1: Talktail is 0 at"),
        (Binding(message="program_change", mode="momentary", address=TALK), "no release"),
    ],
)
def test_what_is_wrong_with_a_binding_is_said_in_a_sentence(binding, word):
    (sentence,) = problems(binding, RESOLVE)
    assert word in sentence
    midi = MidiMap([binding], RESOLVE, Values())
    assert len(midi.problems) == 1
    assert midi.feed(PORT, cc(127)) == []


MESSAGES = st.one_of(
    st.builds(cc, st.integers(0, 127), st.sampled_from([7, 64, 123]), st.integers(0, 1)),
    st.builds(note, st.integers(0, 127), st.sampled_from([36, 60]), st.integers(0, 1)),
    st.builds(lambda p: mido.Message("program_change", program=p), st.integers(0, 127)),
    st.just(mido.Message("clock")),
    st.just(mido.Message("sysex", data=(1, 2))),
    st.builds(lambda p: mido.Message("pitchwheel", pitch=p), st.integers(-8192, 8191)),
)
ADDRESSES = st.sampled_from(
    [f"/voice_agent/par/{name}" for name, row in ROWS.items() if row.writable and not row.secret
     and row.kind.value != "color"] + ["/voiced/mute", "/*/par/Talk"]
)  # fmt: skip


@given(
    st.lists(
        st.builds(
            Binding,
            address=ADDRESSES,
            message=st.sampled_from(["note", "control_change", "program_change"]),
            mode=st.sampled_from([None, "toggle", "latch", "value"]),
            invert=st.booleans(),
        ),
        max_size=3,
    ),
    st.lists(st.tuples(st.sampled_from(["a 20:0", "b"]), MESSAGES), max_size=30),
)
def test_nothing_that_a_port_sends_raises_and_every_holder_can_let_go(bindings, stream):
    midi = MidiMap(bindings, RESOLVE, Values())
    holding: set[tuple[str, Origin]] = set()
    for port, message in stream:
        for one in midi.feed(port, message):
            match one.input:
                case Write(name="Talk", value=True, origin=origin):
                    holding.add((one.agent, origin))
                case Write(name="Talk", origin=origin):
                    holding.discard((one.agent, origin))
                case HolderGone(origin=origin):
                    holding.discard((one.agent, origin))
                case _:
                    pass
    gone = {(one.agent, one.input.origin) for one in midi.port_lost("a") + midi.port_lost("b")}
    assert holding <= gone


@given(st.binary(max_size=8))
@example(b"\xe0")
@example(b"\xe0\0\0\0")
@example(b"\xf0")
@example(b"")
def test_whatever_bytes_a_port_gives_are_a_message_or_none(body: bytes) -> None:
    message = read_message(body)
    assert message is None or bytes(message.bytes()) == body
    if message is not None:
        made(pedal()).feed(PORT, message)
