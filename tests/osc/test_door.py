from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from pythonosc.udp_client import SimpleUDPClient

from tests.osc.fake import FakeSurface, Running
from tests.osc.test_codec import BROKEN, bundle
from tests.osc.wire import Udp, built
from voiced.control.osc.codec import decode
from voiced.control.osc.settings import OscConfig, RatesConfig, TargetConfig, problems
from voiced.control.osc.values import PULSES_PER_S
from voiced.mind import effects
from voiced.mind.inputs import Origin, Press, Write

VOLUME = "/voice_agent/par/Volume"
OpenDoor = Callable[..., Running]


def volume(surface: FakeSurface) -> Any:
    return surface.value("voice_agent", "par", "Volume")


# --- queries, writes and their types


def test_ping_comes_back_with_its_arguments(udp: Udp) -> None:
    udp.send("/voiced/ping", 1, 2.5, "three")
    assert udp.next() == [("/voiced/pong", [1, 2.5, "three"])]


def test_a_query_is_answered_on_its_own_address(udp: Udp) -> None:
    assert udp.ask(VOLUME) == [1.0]
    assert udp.ask("/voice_agent/par/Talk") == [0]
    assert udp.ask("/voice_agent/par/Bargein") == ["auto"]
    assert udp.ask("/voice_agent/par/Displaycolor") == pytest.approx([0.98, 0.52, 0.02])
    assert udp.ask("/voice_agent/local/Pitch") == [0.0]
    assert udp.ask("/voice_agent/sig/phase") == [1.0]


@pytest.mark.parametrize(
    ("tags", "argument"),
    [("f", 0.25), ("d", 0.25), ("s", "0.25"), ("s", " .25 ")],
)
def test_numbers_come_in_any_type(udp: Udp, surface: FakeSurface, tags: str, argument: Any) -> None:
    udp.send(VOLUME, argument, tags=tags)
    udp.done()
    assert volume(surface) == 0.25


def test_pd_sends_floats_only(udp: Udp, surface: FakeSurface) -> None:
    """As Pd's [oscformat] does: every number an f, no T or F."""
    for name, sent in (("Talkmax", 30.0), ("Talk", 1.0), ("Bargein", 2.0), ("Micin", 3.0),
                       ("Active", 1.0), ("Connect", 1.0)):  # fmt: skip
        udp.send(f"/voice_agent/par/{name}", sent, tags="f")
    udp.done()
    assert surface.value("voice_agent", "par", "Talkmax") == 30
    assert surface.value("voice_agent", "par", "Talk") is True
    assert surface.value("voice_agent", "par", "Bargein") == "off"
    assert surface.value("voice_agent", "par", "Micin") == "3"
    assert len(surface.pressed("Connect")) == 1


def test_out_of_range_is_clamped_and_the_sender_told(udp: Udp, surface: FakeSurface) -> None:
    udp.send(VOLUME, 0.5)
    udp.send(VOLUME, 7.0)
    assert udp.done() == [(VOLUME, [1.0])]
    assert volume(surface) == 1.0


def test_a_write_that_is_stored_as_sent_echoes_nothing_to_its_sender(udp: Udp) -> None:
    udp.send(VOLUME, 0.5)
    assert udp.done() == []


def test_money_is_refused_out_of_range(udp: Udp, surface: FakeSurface) -> None:
    assert udp.refused("/voice_agent/par/Costbudget", 11.0) == "out_of_range"
    assert udp.refused("/voice_agent/par/Costbudget", -0.5) == "out_of_range"
    surface.max_costbudget = 2.0
    assert udp.refused("/voice_agent/par/Costbudget", 2.5) == "out_of_range"
    assert udp.refused("/voice_agent/par/Costbudget", 0.0) == "out_of_range"
    assert udp.refused("/voice_agent/par/Costbudget/norm", 0.5) == "unknown_address"
    assert udp.refused("/voice_agent/par/Costbudget/default") == "unknown_address"
    assert surface.value("voice_agent", "par", "Costbudget") == 0.0


def test_a_drop_in_is_chosen_while_voiced_starts_and_a_page_asked_for_again(
    udp: Udp, surface: FakeSurface
) -> None:
    provider = "/voice_agent/par/Provider"
    assert udp.refused(provider, "parrot") == "bad_value"
    surface.learned = False
    assert udp.ask(provider, "Local") == ["local"]
    assert udp.refused(provider, "no name") == "bad_value"
    udp.send("/voice_agent/parrot/pitch", 2.0)
    assert udp.until("/voiced/error")[-1][1][2].endswith("send this again in a second.")
    udp.send(provider, "parrot")
    assert udp.ask(provider) == ["parrot"]


def test_of_a_provider_s_page_sentences_are_whole_and_the_endpoint_is_not_lost(udp: Udp) -> None:
    told = udp.ask("/voiced/help", "/voice_agent/local/Tempo")[5]
    assert told == "How fast. Default: 1.0."
    udp.send("/voice_agent/local/endpoint", "ws://127.0.0.1:8080")
    sentence = udp.until("/voiced/error")[-1][1][2]
    assert sentence == "endpoint is set in the configuration file only, below [agent.local]."


NAN, INF = struct.unpack(">f", b"\x7f\xc0\0\0")[0], float("inf")


@pytest.mark.parametrize(
    ("address", "args", "tags", "code"),
    [
        (VOLUME, (NAN,), "f", "bad_value"),
        (VOLUME, (INF,), "f", "bad_value"),
        (VOLUME, (-INF,), "d", "bad_value"),
        (VOLUME, ("nan",), "s", "bad_value"),
        (VOLUME, ("loud",), "s", "bad_type"),
        (VOLUME, (0.5, 0.5), "ff", "bad_type"),
        (VOLUME, (None,), "N", "bad_type"),
        (VOLUME, (b"blob",), "b", "bad_type"),
        ("/voice_agent/par/volume", (0.5,), "f", "unknown_address"),
        ("/voice_agent/par/Volum", (0.5,), "f", "unknown_address"),
        ("/voice_agent/Volume", (0.5,), "f", "unknown_address"),
        ("/nobody/par/Volume", (0.5,), "f", "unknown_address"),
        ("/voiced/pingg", (), "", "unknown_address"),
        ("/", (), "", "unknown_address"),
        ("/*", (1,), "i", "bad_value"),
        ("/voice_agent/par/*", (0.5,), "f", "denied"),
        ("/voice_agent/*/Apikey", ("k",), "s", "denied"),
        ("/*/par/Connect", (), "", "denied"),
        ("/*/par/Connect", (1,), "i", "denied"),
        ("/voice_agent/par/Sessionstate", ("active",), "s", "read_only"),
        ("/voice_agent/par/Providersfolder", ("/inside/x",), "s", "read_only"),
        ("/voice_agent/par/Loadsessionfile", ("/etc/passwd",), "s", "denied"),
        ("/voice_agent/par/Loadsessionfile", ("/inside/../etc",), "s", "denied"),
        ("/voice_agent/par/Bargein", ("onn",), "s", "bad_value"),
        ("/voice_agent/par/Bargein", (3,), "i", "bad_value"),
        ("/voice_agent/par/Systemprompt", ("x" * 64_000,), "s", "too_long"),
        ("/voice_agent/par/Displaycolor", (0.1, 0.2), "ff", "bad_type"),
        ("/voice_agent/par/Displaycolor", (0.1, 0.2, NAN), "fff", "bad_value"),
        ("/voice_agent/sig/phase", (1.0,), "f", "read_only"),
        ("/voice_agent/cb/onError", ("a",), "s", "read_only"),
        ("/voice_agent/say", (5,), "i", "bad_type"),
        ("/voice_agent/say", ("  ",), "s", "bad_value"),
        ("/voice_agent/tool/list", (1,), "i", "bad_type"),
        ("/voice_agent/tool/register", ("a", "b"), "ss", "bad_type"),
        ("/voice_agent/tool/approve", (), "", "bad_type"),
        ("/voice_agent/audio/file", ("x",), "s", "read_only"),
        ("/voiced/midi/learn", ("/voice_agent/par/Talk",), "s", "later"),
        ("/voiced/mute", (2,), "i", "bad_type"),
        ("/voiced/mute", (NAN,), "f", "bad_type"),
        ("/voiced/subscribe", (70_000,), "i", "bad_type"),
        ("/voiced/subscribe", ("/{a",), "s", "bad_value"),
        ("/voiced/dump", ("/" + "*a" * 200,), "s", "bad_value"),
        ("/voiced/audio/input", ("taken",), "s", "busy"),
        ("/voiced/audio/play", ("voice_agent",), "s", "bad_type"),
    ],
)
def test_what_is_refused_changes_nothing_and_says_why(
    udp: Udp, surface: FakeSurface, address: str, args: tuple[Any, ...], tags: str, code: str
) -> None:
    assert udp.refused(address, *args, tags=tags) == code
    assert not [item for _, _, item in surface.puts if isinstance(item, Write | Press)]


def test_a_refusal_says_what_may_have_been_meant(udp: Udp) -> None:
    udp.send("/voice_agent/par/volume", 0.5)
    assert udp.next()[0][1][2].endswith("Did you mean Volume?")


@pytest.mark.parametrize("name", BROKEN)
def test_broken_packets_leave_the_door_as_it_was(udp: Udp, name: str) -> None:
    if len(BROKEN[name]) < 65_000:
        udp.raw(BROKEN[name])
    assert udp.ask(VOLUME) == [1.0]


def test_huge_numbers_are_clamped_and_minus_zero_is_zero(udp: Udp, surface: FakeSurface) -> None:
    udp.send(VOLUME, 1e38)
    udp.send("/voice_agent/par/Talkmax", 2**63 - 1, tags="h")
    udp.send("/voice_agent/local/Tempo", 1e300, tags="d")
    udp.done()
    assert volume(surface) == 1.0
    assert surface.value("voice_agent", "par", "Talkmax") == 600
    assert udp.ask("/voice_agent/local/Tempo") == [pytest.approx(3.4e38)]
    udp.send(VOLUME, -0.0)
    udp.done()
    assert str(volume(surface)) == "0.0"


# --- children, colours, provider pages, secrets


def test_what_lies_below_a_parameter(udp: Udp, surface: FakeSurface) -> None:
    udp.send("/voice_agent/par/Talkmax/norm", 0.5)
    udp.send("/voice_agent/par/Enableconvdat/toggle")
    udp.send("/voice_agent/par/Systemprompt", "Be ")
    udp.send("/voice_agent/par/Systemprompt/append", "brief. ")
    udp.send("/voice_agent/par/Systemprompt/append", "Be kind.")
    udp.done()
    assert surface.value("voice_agent", "par", "Talkmax") == 300
    assert surface.value("voice_agent", "par", "Enableconvdat") is False
    assert udp.ask("/voice_agent/par/Systemprompt") == ["Be brief. Be kind."]
    assert udp.ask("/voice_agent/par/Talkmax/norm") == [0.5]
    assert udp.ask("/voice_agent/par/Bargein/options") == ["auto", "on", "off"]
    assert udp.ask("/voice_agent/par/Model/options") == ["small", "large"]
    udp.send("/voice_agent/par/Systemprompt/clear")
    udp.send("/voice_agent/par/Talkmax/default")
    udp.done()
    assert udp.ask("/voice_agent/par/Systemprompt") == [""]
    assert udp.ask("/voice_agent/par/Talkmax") == [120]


def test_a_colour_in_one_message(udp: Udp, surface: FakeSurface) -> None:
    udp.send("/voice_agent/par/Displaycolor", 0.25, 0.5, 1.0)
    udp.done()
    assert surface.value("voice_agent", "par", "Displaycolorg") == 0.5


def test_a_prompt_longer_than_a_datagram_comes_in_by_append(udp: Udp, surface: FakeSurface) -> None:
    part = "wörter " * 500
    for _ in range(5):
        udp.send("/voice_agent/par/Systemprompt/append", part)
    heard = udp.done()
    assert surface.value("voice_agent", "par", "Systemprompt") == part * 5
    assert heard == []
    udp.send("/voice_agent/par/Systemprompt")
    parts = [(a, args) for a, args in udp.done()]
    assert parts[0][0] == "/voice_agent/par/Systemprompt"
    assert all(a == "/voice_agent/conv/more" for a, _ in parts[1:])
    assert [args[:3] for _, args in parts[1:]] == [
        ["par/Systemprompt", n, len(parts)] for n in range(1, len(parts))
    ]
    assert "".join(args[-1] for _, args in parts) == part * 5


def test_a_secret_is_never_told(udp: Udp, surface: FakeSurface) -> None:
    for address in ("/voice_agent/par/Apikey", "/voice_agent/local/Key"):
        assert udp.ask(f"{address}/set") == [0]
        udp.send(address, "sk-planted")
        udp.done()
        udp.send(address)
        assert udp.until(f"{address}/set")[-1][1] == [1]
    udp.send("/voiced/dump")
    for said in udp.until("/voiced/dump/done"):
        assert "sk-planted" not in repr(said)
    assert udp.refused("/voice_agent/par/Apikey/append", "x") == "unknown_address"
    assert "sk-planted" not in repr(surface.lines)


def test_a_path_is_stored_as_resolved(udp: Udp, surface: FakeSurface) -> None:
    udp.send("/voice_agent/par/Sessiontracedir", "/inside/traces")
    udp.done()
    assert surface.value("voice_agent", "par", "Sessiontracedir") == "/inside/traces"


def test_what_does_nothing_yet_keeps_its_value_and_says_so_once(
    udp: Udp, surface: FakeSurface
) -> None:
    assert udp.refused("/voice_agent/par/Micin", "3") == "later"
    assert surface.value("voice_agent", "par", "Micin") == "3"
    udp.send("/voice_agent/par/Micin", "4")
    assert udp.done() == []
    assert "nothing yet" in udp.ask("/voiced/help", "/voice_agent/par/Micin")[5]


# --- pulses


def test_a_pulse_fires_on_what_means_one(udp: Udp, surface: FakeSurface) -> None:
    fires: list[tuple[tuple[Any, ...], str | None]] = [
        ((), None), ((None,), "N"), ((1,), "i"), ((0,), "i"), ((0.5,), "f"), ((0.0,), "f"),
        ((True,), "T"), ((False,), "F"), ((-3,), "i"), ((0,), "i"), (("1",), "s"),
    ]  # fmt: skip
    for args, tags in fires:
        udp.send("/voice_agent/par/Stop", *args, tags=tags)
    udp.raw(b"/voice_agent/par/Stop\0\0\0,I\0\0")
    udp.done()
    assert len(surface.pressed("Stop")) == 8


def test_a_pulse_held_at_one_fires_once(udp: Udp, surface: FakeSurface) -> None:
    """TouchDesigner repeats a button's value every frame."""
    for _ in range(30):
        udp.send("/voice_agent/par/Stop", 1.0)
    udp.send("/voice_agent/par/Stop", 0.0)
    for _ in range(30):
        udp.send("/voice_agent/par/Stop", 1.0)
    udp.done()
    assert len(surface.pressed("Stop")) == 2


def test_each_sender_has_edges_of_its_own(door: Running, udp: Udp, surface: FakeSurface) -> None:
    other = Udp(door.port)
    udp.send("/voice_agent/par/Stop", 1)
    udp.done()
    other.send("/voice_agent/par/Stop", 1)
    other.done()
    other.close()
    assert len(surface.pressed("Stop")) == 2


def test_silence_arms_a_pulse_again(door: Running, udp: Udp, surface: FakeSurface) -> None:
    clock = [100.0]
    door.call(lambda: setattr(door.door._values, "_now", lambda: clock[0]))
    for at in (100.0, 100.9, 101.8, 102.9):
        clock[0] = at
        udp.send("/voice_agent/par/Stop", 1)
        udp.done()
    assert len(surface.pressed("Stop")) == 2


def test_a_storm_of_pulses_is_cut_short(door: Running, udp: Udp, surface: FakeSurface) -> None:
    """Nobody presses so fast; another sender and another pulse are not touched by it."""
    for _ in range(200):
        udp.send("/voice_agent/par/Initialize", tags="")
    udp.send("/voice_agent/par/Stop", tags="")
    told = udp.done()
    assert len(surface.pressed("Initialize")) == PULSES_PER_S
    assert len(surface.pressed("Stop")) == 1
    assert ("/voiced/error", "rate") in [(address, args[1]) for address, args in told]
    with Udp(door.port) as other:
        other.send("/voice_agent/par/Initialize", tags="")
        other.done()
    assert len(surface.pressed("Initialize")) == PULSES_PER_S + 1


def test_a_storm_of_texts_is_held_back_by_its_own_rate_alone(
    udp: Udp, surface: FakeSurface
) -> None:
    """A program that sends words loses none before osc.rates says so, and then it is told."""
    limit = RatesConfig().sendtext
    for n in range(limit + 3):
        udp.send("/voice_agent/par/Sendtext", f"text {n}")
    refusals = [args for address, args in udp.done() if address == "/voiced/error"]
    assert len(surface.pressed("Sendtext")) == limit
    assert [args[1] for args in refusals] == ["rate"] * 3


def test_sendtext_brings_its_text_along(udp: Udp, surface: FakeSurface) -> None:
    udp.send("/voice_agent/par/Sendtext", "hello there")
    udp.send("/voice_agent/par/Sendtext")
    udp.done()
    texts = [item.text for _, _, item in surface.puts if isinstance(item, Press)]
    assert texts == ["hello there", None]


def test_connects_are_counted_by_the_minute(open_door: OpenDoor) -> None:
    surface = FakeSurface()
    door = open_door(surface, rates=RatesConfig(connect=3, say=2))
    udp = Udp(door.port)
    for n in range(5):
        udp.send("/voice_agent/par/Connect" if n % 2 else "/voice_agent/par/Restart")
    for n in range(4):
        udp.send("/voice_agent/say", f"word {n}")
    errors = [args for address, args in udp.done() if address == "/voiced/error"]
    udp.close()
    assert [code for _, code, _ in errors] == ["rate"] * 4
    assert len(surface.pressed("Connect") + surface.pressed("Restart")) == 3
    assert surface.said() == ["word 0", "word 1"]


# --- patterns, bundles, time


def test_patterns_ask_and_write(open_door: OpenDoor) -> None:
    surface = FakeSurface(("one", "two"))
    udp = Udp(open_door(surface).port)
    udp.send("/*/par/Volume")
    assert [address for address, _ in udp.done()] == ["/one/par/Volume", "/two/par/Volume"]
    udp.send("/*/par/Volume", 0.5)
    udp.send("/{one,two}/par/Talkmax/norm", 0.0)
    udp.done()
    for agent in ("one", "two"):
        assert surface.value(agent, "par", "Volume") == 0.5
        assert surface.value(agent, "par", "Talkmax") == 0
    udp.send("/one/par/Display*")
    asked = dict(udp.done())
    assert set(asked) == {f"/one/par/Display{x}" for x in
                          ("name", "color", "colorr", "colorg", "colorb")}  # fmt: skip
    udp.close()


def ntp(seconds: float) -> int:
    return int((seconds + 2_208_988_800) * 2**32)


@pytest.mark.parametrize("ahead", [-3600.0, -0.1, 2.5, 1e6])
def test_timetags_that_are_no_time_of_this_machine_mean_now(
    udp: Udp, surface: FakeSurface, ahead: float
) -> None:
    udp.raw(bundle(built(VOLUME, 0.5), timetag=ntp(time.time() + ahead)))
    udp.done()
    assert volume(surface) == 0.5


@pytest.mark.parametrize("timetag", [0, 1, 2**64 - 1])
def test_special_timetags_mean_now(udp: Udp, surface: FakeSurface, timetag: int) -> None:
    udp.raw(bundle(built(VOLUME, 0.5), timetag=timetag))
    udp.done()
    assert volume(surface) == 0.5


def test_a_near_timetag_is_waited_for(udp: Udp, surface: FakeSurface) -> None:
    start = time.monotonic()
    udp.raw(bundle(built("/voiced/ping", 7), timetag=ntp(time.time() + 0.2)))
    assert udp.done() == []
    assert udp.next() == [("/voiced/pong", [7])]
    assert 0.15 <= time.monotonic() - start < 5


def test_only_so_many_messages_wait_for_their_time(door: Running, udp: Udp) -> None:
    elements = [built("/voiced/ping", n) for n in range(600)]
    for _ in range(2):
        udp.raw(bundle(*elements, timetag=ntp(time.time() + 1.9)))
    heard = udp.done()
    assert {args[1] for address, args in heard if address == "/voiced/error"} == {"busy"}
    assert door.call(lambda: len(door.door._scheduled)) == 1024


# --- listeners


def test_a_subscription_is_dumped_and_then_told(door: Running, udp: Udp) -> None:
    listener = Udp(door.port)
    udp.send("/voiced/subscribe", listener.port, "/*/par/*", 60, "flat")
    assert udp.next()[0] == ("/voiced/subscribed", ["127.0.0.1", listener.port, "/*/par/*", 60])
    dump = listener.until("/voiced/dump/done")
    assert dump[-1][1] == [len(dump) - 1]
    assert ("/voice_agent/par/Volume", [1.0]) in dump
    assert ("/voice_agent/par/Apikey/set", [0]) in dump
    assert not [a for a, _ in dump if a in ("/voice_agent/par/Connect", "/voice_agent/sig/phase")]
    udp.send(VOLUME, 0.25)
    assert listener.next() == [(VOLUME, [0.25])]
    udp.send(VOLUME, 0.25)
    udp.send("/voiced/unsubscribe", listener.port)
    udp.done()
    udp.send(VOLUME, 0.75)
    udp.done()
    with pytest.raises(TimeoutError):
        listener.packet(0.05)
    listener.close()


def test_a_sender_that_subscribed_does_not_hear_itself(door: Running, udp: Udp) -> None:
    udp.send("/voiced/subscribe", "/*/par/Volume")
    udp.until("/voiced/dump/done")
    udp.send(VOLUME, 0.25)
    assert udp.done() == []
    other = Udp(door.port)
    other.send(VOLUME, 0.5)
    assert udp.next() == [(VOLUME, [0.5])]
    other.close()


def test_there_are_at_most_so_many_subscriptions(udp: Udp) -> None:
    for n in range(33):
        udp.send("/voiced/subscribe", 20_000 + n, "/nothing")
    errors = [args for address, args in udp.done() if address == "/voiced/error"]
    assert [(a, code) for a, code, _ in errors] == [("/voiced/subscribe", "busy")]


def test_answers_go_to_the_reply_port(door: Running, udp: Udp) -> None:
    listener = Udp(door.port)
    udp.send("/voiced/replyport", listener.port)
    assert listener.next() == [("/voiced/replyport", [listener.port])]
    udp.send(VOLUME)
    assert listener.next() == [(VOLUME, [1.0])]
    listener.close()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_target_is_dumped_when_it_answers_again(open_door: OpenDoor) -> None:
    port = free_port()
    target = TargetConfig(host="127.0.0.1", port=port, send=("/*/par/Volume", "/voiced/dump/done"))
    door = open_door(targets=(target,))
    udp = Udp(door.port)
    for value in (0.25, 0.75):
        udp.send(VOLUME, value)
        assert udp.done() == []
        with Udp(door.port, at=port) as listener:
            heard = listener.until("/voiced/dump/done")
            assert (VOLUME, [value]) in heard
            udp.send(VOLUME, 0.5)
            listener.until(VOLUME)
        # Gone again: what is sent now is refused, and that is noticed.
    assert udp.ask("/voiced/status")[4] == 1
    udp.close()


def test_lasting_subscriptions_survive_a_restart(open_door: OpenDoor) -> None:
    kept: list[Any] = []
    more = {"keep": lambda saved: kept.append(saved)}
    first = open_door(more=more)
    udp = Udp(first.port)
    udp.send("/voiced/subscribe", udp.port, "/*/cb/*", 0)
    udp.send("/voiced/subscribe", udp.port, "/*/par/*", 60)
    udp.done()
    first.close()
    assert [(s.port, s.pattern) for s in kept[-1]] == [(udp.port, "/*/cb/*")]
    surface = FakeSurface()
    second = open_door(surface, more={"saved": kept[-1]})
    effect = effects.Callback(name="onStatus", args=("expiring", "soon"))
    second.call(lambda: surface.perform("voice_agent", effect))
    udp.until("/voice_agent/cb/onStatus")
    stale = [type(kept[-1][0])(ip="127.0.0.1", port=udp.port, pattern="/*", flat=False, asked=1.0)]
    third = open_door(more={"saved": stale})
    assert third.call(lambda: len(third.door._listeners)) == 0
    udp.close()
    first.close = lambda: None  # type: ignore[method-assign]


def test_errors_go_to_targets_on_the_senders_host(door: Running, udp: Udp) -> None:
    listener = Udp(door.port)
    listener.send("/voiced/subscribe", "/voiced/error")
    listener.until("/voiced/dump/done")
    udp.refused("/voice_agent/par/volume", 1)
    (said,) = listener.next()
    assert said[1][:2] == ["/voice_agent/par/volume", "unknown_address"]
    listener.close()


def test_what_the_mind_tells_is_heard(door: Running, udp: Udp, surface: FakeSurface) -> None:
    udp.send("/voiced/subscribe", "/voice_agent/{cb,conv,caption}/*")
    udp.until("/voiced/dump/done")
    row = effects.Row(index=3, role="user", message="hi", id="1.2", timestamp="t", type="text",
                      metadata="{}", session_id="s")  # fmt: skip
    long = "ü" * 5000
    origin = Origin("osc", f"127.0.0.1:{udp.port}")

    def happen() -> None:
        for effect in (
            effects.Callback(name="onUserText", args=("hello", 1, "1.1")),
            effects.RowWritten(row=row),
            effects.RowWritten(row=effects.Row(**{**_fields(row), "message": long})),
            effects.RowsCleared(),
            effects.Caption(who="user", line="hi"),
            effects.Refused(origin=origin, name="Connect", code="no_effect", sentence="why"),
            effects.SetGate(open=True),
        ):
            surface.perform("voice_agent", effect)

    door.call(happen)
    heard = udp.done()
    assert heard[0] == ("/voice_agent/cb/onUserText", ["hello", 1, "1.1"])
    columns = [3, "user", "hi", "1.2", "t", "text", "{}", "s"]
    assert heard[1] == ("/voice_agent/conv/row", columns)
    more = [args for address, args in heard if address == "/voice_agent/conv/more"]
    assert heard[2][1][2] + "".join(args[3] for args in more) == long
    assert [args[:3] for args in more] == [["1.2", n + 1, len(more) + 1] for n in range(len(more))]
    assert heard[-3:] == [
        ("/voice_agent/conv/clear", []),
        ("/voice_agent/caption/user", ["hi"]),
        ("/voiced/error", ["/voice_agent/par/Connect", "no_effect", "why"]),
    ]


def _fields(row: effects.Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def test_the_conversation_is_told_on_request(udp: Udp, surface: FakeSurface) -> None:
    surface.table = [
        effects.Row(index=n, role="user", message=f"m{n}", id=f"1.{n}", timestamp="t",
                    type="text", metadata="{}", session_id="s")
        for n in range(30)
    ]  # fmt: skip
    for asked, count in (((), 20), ((5,), 5), ((0,), 0), ((100.0,), 30)):
        udp.send("/voice_agent/conv/get", *asked)
        heard = udp.until("/voice_agent/conv/done")
        assert heard[-1][1] == [count]
        assert [args[2] for _, args in heard[:-1]] == [f"m{n}" for n in range(30 - count, 30)]


def test_signals_come_as_bundles_or_flat(door: Running, surface: FakeSurface) -> None:
    flat, bundled = Udp(door.port), Udp(door.port)
    flat.send("/voiced/subscribe", "/*/sig/*", 60, "flat")
    bundled.send("/voiced/subscribe", "/*/sig/*", 60, "bundle")
    flat.until("/voiced/dump/done")
    bundled.until("/voiced/dump/done")
    door.call(lambda: surface.channels.update(level_in=0.5, latency=float("nan")))
    while ("/voice_agent/sig/level_in", [0.5]) not in flat.next():
        pass
    while True:
        packet = bundled.packet()
        assert packet[:16] == b"#bundle\0" + b"\0" * 7 + b"\1"
        signals = {m.address: m.args for m in decode(packet)}
        assert "/voice_agent/sig/latency" not in signals
        if signals.get("/voice_agent/sig/level_in") == (0.5,) and len(signals) == 2:
            break  # once a second all of them
    surface.channels["phase"] = 4.0
    effect = effects.SignalNow(channels=("phase",))
    door.call(lambda: surface.perform("voice_agent", effect))
    while ("/voice_agent/sig/phase", [4.0]) not in flat.next():
        pass
    flat.close()
    bundled.close()


def test_the_daemon_answers_for_itself(udp: Udp, surface: FakeSurface) -> None:
    assert udp.ask("/voiced/status") == ["1.2.3", 1, "ready", 4.5, 0]
    assert udp.ask("/voiced/agents") == ["voice_agent"]
    assert udp.ask("/voiced/mute") == [0]
    assert udp.ask("/voiced/mute", 1.0) == [1]
    assert surface.is_muted
    assert udp.ask("/voiced/audio/input") == ["card"]
    assert udp.ask("/voiced/audio/output", "USB") == ["USB"]
    assert udp.ask("/voiced/midi/ports") == ["FS-1"]
    udp.send("/voiced/audio/play", "voice_agent", "/inside/visitor.wav")
    udp.send("/voiced/midi/bindings")
    assert udp.next()[0] == ("/voiced/midi/binding", ["FS-1", "control_change", "/a/par/Talk", 64])
    assert surface.played == [("voice_agent", "/inside/visitor.wav")]
    assert udp.refused("/voiced/audio/play", "nobody", "x.wav") == "bad_value"
    help_of = udp.ask("/voiced/help", VOLUME)
    assert help_of[:5] == [VOLUME, "f", "RW", "0 to 1", "now"]
    for address in ("/voiced/ping", "/voiced/heartbeat", "/voice_agent/cb/onError",
                    "/voice_agent/par/Talk/toggle", "/voice_agent/sig/phase", "/voice_agent/say",
                    "/voice_agent/local/Pitch", "/voice_agent/conv/row"):  # fmt: skip
        assert udp.ask("/voiced/help", address)[0] == address
    udp.send("/voiced/subscribe", "/voiced/*", 60)
    udp.until("/voiced/heartbeat")
    udp.send("/voiced/targets")
    assert udp.until("/voiced/target")[-1][1] == ["127.0.0.1", udp.port, "/voiced/*", "lease 60"]


# --- who may come in


def test_strangers_are_not_even_read(open_door: OpenDoor) -> None:
    surface = FakeSurface()
    door = open_door(surface)
    verdicts = door.call(
        lambda: {ip: door.door._judge(ip) for ip in
                 ("127.0.0.1", "::1", "192.168.1.5", "::ffff:127.0.0.1", "::ffff:10.0.0.1")}
    )  # fmt: skip
    assert verdicts == {
        "127.0.0.1": (True, True), "::1": (True, True), "192.168.1.5": (False, False),
        "::ffff:127.0.0.1": (True, True), "::ffff:10.0.0.1": (False, False),
    }  # fmt: skip
    config = OscConfig(port=0, allow=("192.168.1.0/24",), admin=("192.168.1.9/32",))
    door.call(lambda: door.door.reload(config))
    assert door.call(lambda: door.door._judge("192.168.1.5")) == (True, False)
    assert door.call(lambda: door.door._judge("192.168.1.9")) == (True, True)
    assert door.call(lambda: door.door._judge("192.168.2.9")) == (False, False)


def test_admin_addresses_are_for_admins(open_door: OpenDoor) -> None:
    surface = FakeSurface()
    door = open_door(surface)
    udp = Udp(door.port)
    udp.done()
    peer = door.call(lambda: door.door._peers.known(("127.0.0.1", udp.port)))
    peer.admin = False
    assert udp.refused("/voice_agent/par/Shutdown") == "denied"
    assert udp.refused("/voice_agent/par/Apikey", "k") == "denied"
    assert udp.refused("/voice_agent/par/Sessiontracedir/default") == "denied"
    assert udp.refused("/voiced/audio/input", "card") == "denied"
    assert udp.ask("/voiced/audio/input") == ["card"]
    assert surface.puts == []
    udp.close()


@pytest.mark.parametrize(
    ("more", "count"),
    [({}, 0), ({"bind": "0.0.0.0"}, 1), ({"bind": "0.0.0.0", "allow": ("10.0.0.0/8",)}, 0),
     ({"bind": "host"}, 1), ({"port": 70_000}, 1), ({"allow": ("x",), "admin": ("y",)}, 2),
     ({"targets": (TargetConfig(host="h", port=0, send=("a",)),)}, 2),
     ({"rates": RatesConfig(connect=0)}, 1),
     ({"targets": (TargetConfig(host="127.0.0.1", port=9370),)}, 1),
     ({"targets": (TargetConfig(host="localhost", port=9370),)}, 1),
     ({"targets": (TargetConfig(host="10.0.0.7", port=9370),)}, 0)],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_all_told(more: dict[str, Any], count: int) -> None:
    assert len(problems(OscConfig(**more))) == count


def test_a_door_that_is_its_own_listener_does_not_talk_to_itself(
    door: Running, udp: Udp, surface: FakeSurface
) -> None:
    """`/voiced/mute`, told to itself, would be a wish that is answered, and so on for ever."""
    for _ in range(2):
        door.call(lambda: door.door.send(("127.0.0.1", door.port), built("/voiced/mute", 1)))
        udp.done()
    assert udp.ask("/voiced/mute") == [0]
    assert door.door.dropped == 2
    (line,) = [line for line in surface.lines if "itself" in str(line)]
    assert str(door.port) in str(line)


# --- floods


def test_errors_are_answered_ten_a_second(udp: Udp, surface: FakeSurface) -> None:
    for n in range(300):
        udp.send(f"/nobody/{n}")
    errors = [a for a, _ in udp.done() if a == "/voiced/error"]
    assert 1 <= len(errors) <= 20
    assert len(surface.lines) <= 20


def test_a_flooded_parameter_takes_its_last_valid_value(
    door: Running, udp: Udp, surface: FakeSurface
) -> None:
    packets = [built(VOLUME, n / 1000) for n in range(1000)] + [built(VOLUME, NAN)] * 3

    def deliver() -> None:
        peer = door.door._peers["127.0.0.1", udp.port]
        for packet in packets:
            if not door.door._inbox.take(peer, packet):
                door.door._packet(peer, packet)
        door.door._flush()

    door.call(deliver)
    assert volume(surface) == pytest.approx(0.999)
    assert len(surface.puts) < 10


def test_few_writes_are_all_acted_on_in_order(
    door: Running, udp: Udp, surface: FakeSurface
) -> None:
    udp.raw(bundle(*(built(VOLUME, n / 64) for n in range(20)), built("/voice_agent/par/Stop")))
    for n in range(20, 40):
        udp.send(VOLUME, n / 64)
    udp.done()
    values = [item.value for _, _, item in surface.puts if isinstance(item, Write)]
    assert values == [n / 64 for n in range(40)]
    assert isinstance(surface.puts[20][2], Press)


# --- other programs


@pytest.mark.skipif(shutil.which("oscsend") is None, reason="liblo-tools are not installed")
def test_oscsend_and_oscdump_are_enough(door: Running, surface: FakeSurface) -> None:
    port = free_port()
    dump = subprocess.Popen(
        ["stdbuf", "-oL", "oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert dump.stdout is not None

    def oscsend(*words: str) -> None:
        subprocess.run(["oscsend", "127.0.0.1", str(door.port), *words], check=True, timeout=10)

    lines: list[str] = []
    try:
        deadline = time.monotonic() + 10
        while True:
            oscsend("/voiced/subscribe", "isis", str(port), "/*/par/*", "60", "flat")
            line = dump.stdout.readline()
            lines.append(line)
            if line:
                break
            assert time.monotonic() < deadline
        oscsend(VOLUME, "f", "0.125")
        oscsend("/voice_agent/par/Talk", "T")
        oscsend("/voice_agent/par/Bargein", "s", "on")
        oscsend("/voice_agent/par/Connect", "i", "1")
        wanted = {f"{VOLUME} f 0.125", "/voice_agent/par/Talk i 1", "/voice_agent/par/Bargein s"}
        while wanted:
            line = dump.stdout.readline()
            assert line, lines
            lines.append(line)
            wanted = {w for w in wanted if w not in line}
        deadline = time.monotonic() + 5
        while not surface.pressed("Connect"):
            assert time.monotonic() < deadline
    finally:
        dump.kill()
        dump.wait()
        dump.stdout.close()


def test_python_oscs_own_client_is_understood(
    door: Running, udp: Udp, surface: FakeSurface
) -> None:
    client = SimpleUDPClient("127.0.0.1", door.port)
    client.send_message(VOLUME, 0.125)
    client.send_message("/voice_agent/par/Talk", True)
    client.send_message("/voice_agent/par/Connect", [])
    client._sock.close()
    deadline = time.monotonic() + 5
    while not surface.pressed("Connect"):
        assert time.monotonic() < deadline
        udp.done()
    assert volume(surface) == 0.125


def test_ipv6_loopback_is_served_too(door: Running) -> None:
    try:
        udp = Udp(door.port, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert udp.ask(VOLUME) == [1.0]
    udp.close()
