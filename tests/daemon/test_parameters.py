"""Every row of the table on the running daemon: what it takes, from when it counts, if it stays."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.analysis import write_wav
from tests.daemon.rig import Client
from tests.daemon.stage import RATE, A, Stage
from voiced.parameters import ROWS, Access, Applies, Form, Kind, Row

WRITABLE = tuple(row for row in ROWS.values() if row.stored and row.writable and not row.secret)
MOVED = {"Active", "Talk"}
"""They move the session; test_modes has them."""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("parameters")) as running:
        yield running


@pytest.fixture
def stage(one: Stage) -> Iterator[Stage]:
    one.forget_tape()
    yield one
    one.rest()


def another(row: Row, folder: Path) -> tuple[object, ...]:
    """Return arguments that differ from the default, as OSC brings them back."""
    assert row.maximum is not None or not row.numeric
    match row.kind:
        case Kind.TOGGLE:
            return (int(not row.default),)
        case Kind.INT:
            return (int(row.maximum) if row.default != row.maximum else int(row.minimum or 0),)
        case Kind.FLOAT:
            return (0.25,)
        case Kind.MENU:
            return (next((o for o in row.options if o != row.default), "another"),)
        case Kind.FOLDER:
            return (str(folder),)
        case Kind.FILE:
            return (str(folder / "trace.json"),)
        case Kind.NAMES:
            return ("first", "second")
        case _:
            match row.form:
                case Form.URL:
                    return ("http://127.0.0.1:9/v1",)
                case Form.CHANNELS:
                    return ("3,4",)
            return ("another",)


def refusal_of(stage: Stage, address: str, *args: object) -> tuple[str, str]:
    """Return code and sentence; a sender of its own, since each is told ten a second."""
    sender = Client()
    try:
        sender.send(stage.port, address, *args)
        _, code, sentence = sender.wait("/voiced/error", address).args
        return code, sentence
    finally:
        sender.close()


def dumped(stage: Stage) -> dict[str, tuple[object, ...]]:
    """Return every readable parameter of the agent."""
    since = stage.mark()
    prefix = f"{A}/par/"

    def found() -> dict[str, tuple[object, ...]]:
        return {
            m.address.removeprefix(prefix): m.args
            for m in stage.client.messages[since:]
            if m.address.startswith(prefix)
        }

    stage.send("/voiced/dump", f"{A}/par/*")
    # What every target is told at the start ends with the same word, and may still be under way.
    stage.wait("/voiced/dump/done", lambda count: count == len(found()), since=since)
    return found()


def test_every_row_from_when_it_counts_and_whether_it_stays(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "kept"
    with Stage(tmp_path) as stage:
        folder.mkdir()
        rows = [row for row in WRITABLE if row.name not in MOVED]
        stage.connect()
        since = stage.mark()
        for row in rows:
            if row.name != "Provider":
                stage.par(row.name, *another(row, folder))
        # Last: with it Model and Voice are the other provider's.
        stage.sync()
        before = dumped(stage)
        for row in rows:
            if row.name != "Provider":
                assert before[row.name] == another(row, folder), row.name
        stage.par("Provider", "meter")
        stage.sync()
        pending = [m.args[1] for m in stage.client.all(f"{A}/cb/onStatus", since=since)
                   if m.args[0] == "pending"]  # fmt: skip
        assert sorted(pending) == sorted(r.name for r in rows if r.applies is Applies.SESSION)
        stage.par("Provider", "stage")
        stage.disconnect()
        assert stage.stop(signal.SIGTERM) == 0

        stage.start()
        after = dumped(stage)
        for row in rows:
            wanted = another(row, folder) if row.persists else before_default(row)
            if row.name == "Provider":
                wanted = ("stage",)
            assert after[row.name] == wanted, row.name
        assert after["Active"] == after["Talk"] == (0,)
        assert set(after) == {r.name for r in ROWS.values() if r.kind is not Kind.PULSE} - {
            "Apikey"
        } | {"Apikey/set"}


def before_default(row: Row) -> tuple[object, ...]:
    """Return a row's default as OSC tells it."""
    return (int(row.default),) if row.kind is Kind.TOGGLE else (row.default,)


def test_what_comes_later_says_so_and_nothing_else_does(stage: Stage) -> None:
    for row in ROWS.values():
        since = stage.mark()
        stage.send("/voiced/help", f"{A}/par/{row.name}")
        told = stage.wait("/voiced/help", f"{A}/par/{row.name}", since=since).args
        assert len(told) == 6
        if row.later:
            assert row.later[1:] in told[5], row.name
        else:
            assert "nothing yet" not in told[5], row.name
        assert told[4] == row.applies.value
        access = {"read": "R", "write": "W", "readwrite": "RW", "pulse": "P"}
        wanted = "R" if row.config_only else access.get(row.access.name.lower(), "")
        assert told[2].split()[0] == wanted, row.name
        assert told[2].endswith(" A") == row.admin, row.name


def test_a_pulse_that_comes_later_tells_its_sender(stage: Stage) -> None:
    for row in ROWS.values():
        if row.kind is Kind.PULSE and row.later:
            assert refusal_of(stage, f"{A}/par/{row.name}") == ("later", row.later)


# --- children


def test_norm_of_every_number(stage: Stage) -> None:
    names = [row.name for row in WRITABLE if row.has_norm]
    assert "Volume" in names
    assert "Costbudget" not in names
    for name in names:
        row = ROWS[name]
        before = stage.ask(f"{A}/par/{name}")
        stage.par(f"{name}/norm", 1.0)
        assert stage.ask(f"{A}/par/{name}", wanted=row.maximum), name
        assert stage.ask(f"{A}/par/{name}/norm") == (1.0,)
        stage.par(name, *before)
        assert stage.ask(f"{A}/par/{name}") == before
    assert refusal_of(stage, f"{A}/par/Costbudget/norm", 0.5)[0] == "unknown_address"


def test_toggle_of_every_switch_and_default(stage: Stage) -> None:
    for row in WRITABLE:
        if row.kind is Kind.TOGGLE and row.name not in MOVED:
            stage.par(f"{row.name}/toggle")
            stage.ask(f"{A}/par/{row.name}", wanted=int(not row.default))
            stage.par(f"{row.name}/default")
            stage.ask(f"{A}/par/{row.name}", wanted=int(row.default))


def test_append_and_clear_of_a_text(stage: Stage) -> None:
    stage.par("Systemprompt", "You are")
    stage.par("Systemprompt/append", " a lighthouse.")
    assert stage.ask(f"{A}/par/Systemprompt") == ("You are a lighthouse.",)
    stage.par("Systemprompt/clear")
    assert stage.ask(f"{A}/par/Systemprompt") == ("",)


def test_options_of_every_menu(stage: Stage) -> None:
    for row in WRITABLE:
        if row.kind is Kind.MENU:
            since = stage.mark()
            stage.par(f"{row.name}/options")
            told = stage.wait(f"{A}/par/{row.name}/options", since=since).args
            assert set(row.options) <= set(told), row.name
            if row.options and row.name != "Provider":
                stage.par(row.name, len(row.options) - 1)
                assert stage.ask(f"{A}/par/{row.name}") == (row.options[-1],), "by its index"
                stage.par(f"{row.name}/default")
    assert {"stage", "meter", "echo", "local"} <= set(stage.ask(f"{A}/par/Provider/options"))
    assert stage.ask(f"{A}/par/Model/options") == ("comedy", "tragedy")
    assert stage.ask(f"{A}/par/Voice/options") == ("harlequin", "columbine")


def test_colour_in_one_message(stage: Stage) -> None:
    since = stage.mark()
    stage.par("Displaycolor", 0.5, 0.25, 1.0)
    assert stage.ask(f"{A}/par/Displaycolor") == (0.5, 0.25, 1.0)
    for letter, value in zip("rgb", (0.5, 0.25, 1.0), strict=True):
        assert stage.ask(f"{A}/par/Displaycolor{letter}") == (value,)
        stage.par(f"Displaycolor{letter}/default")
    assert not stage.client.all("/voiced/error", since=since)


def test_model_is_remembered_for_each_provider(stage: Stage) -> None:
    stage.put("Model", "tragedy")
    stage.put("Provider", "meter")
    assert stage.ask(f"{A}/par/Model") == ("",)
    stage.put("Provider", "stage")
    assert stage.ask(f"{A}/par/Model") == ("tragedy",)
    stage.connect()
    stage.wait(f"{A}/cb/onSessionStart", lambda session, provider, model: model == "tragedy")
    assert stage.call("open").args[0]["Model"] == "tragedy"


# --- a provider's own page


def test_a_page_is_there_whichever_provider_is_active(stage: Stage) -> None:
    stage.send(f"{A}/echo/hangover_ms", 700)
    assert stage.ask(f"{A}/echo/hangover_ms") == (700,)
    stage.send(f"{A}/echo/hangover_ms/default")
    assert stage.ask(f"{A}/echo/hangover_ms") == (500,)
    since = stage.mark()
    stage.send(f"{A}/echo/hangover_ms", 99_999)
    assert stage.wait(f"{A}/echo/hangover_ms", since=since).args == (5000,), "clamped, and told"
    stage.send(f"{A}/echo/hangover_ms/default")
    stage.connect()
    stage.page("Cue", 1.5)
    stage.until(lambda: any(call.args == [{"Cue": 1.5}] for call in stage.calls("update")), 20,
                "the update")  # fmt: skip
    since = stage.mark()
    stage.page("Cast", "columbine")
    stage.wait(f"{A}/cb/onStatus", lambda word, what: (word, what) == ("pending", "Cast"),
               since=since)  # fmt: skip
    assert not any("Cast" in call.args[0] for call in stage.calls("update"))
    stage.disconnect()
    stage.connect()
    opened = stage.call("open", 2).args[0]
    assert (opened["Cue"], opened["Cast"]) == (1.5, "columbine")


def test_bad_values_are_sentences_and_nothing_is_lost(stage: Stage) -> None:
    cases: tuple[tuple[str, tuple[object, ...], str], ...] = (
        ("Volume", ("loud",), "bad_type"),
        ("Volume", (0.5, 0.5), "bad_type"),
        ("Volume", (float("nan"),), "bad_value"),
        ("Sessionmode", ("sometimes",), "bad_value"),
        ("Costbudget", (99.0,), "out_of_range"),
        ("Sessionstate", ("active",), "read_only"),
        ("Providersfolder", ("/tmp",), "read_only"),
        ("Sessiontracedir", ("/etc",), "denied"),
        ("Sessiontracedir", (str(stage.state_dir / "run.json"),), "bad_value"),
        ("Loadsessionfile", (str(stage.state_dir),), "bad_value"),
        ("Volumee", (1.0,), "unknown_address"),
        ("Micin", ("left",), "bad_value"),
    )
    before = dumped(stage)
    for name, args, code in cases:
        told, sentence = refusal_of(stage, f"{A}/par/{name}", *args)
        assert told == code, sentence
        assert len(sentence.split()) > 3
    assert dumped(stage) == before


# --- what parameters do that no other test looks at


def test_sessiontracing_and_its_folder(stage: Stage) -> None:
    folder = stage.state_dir / "elsewhere"
    folder.mkdir(exist_ok=True)
    stage.put("Sessiontracedir", str(folder))
    since = stage.connect()
    stage.par("Sendtext", "for the record")
    stage.wait(f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, since=since)
    stage.disconnect()
    trace = Path(stage.wait(f"{A}/cb/onSessionEnd", since=since).args[2])
    assert trace.parent == folder
    stage.until(trace.is_file, 10, "the trace")
    assert "for the record" in trace.read_text()
    stage.put("Sessiontracing", 0)
    count = len(list(folder.iterdir()))
    since = stage.connect()
    stage.disconnect()
    assert stage.wait(f"{A}/cb/onSessionEnd", since=since).args[2] == ""
    assert len(list(folder.iterdir())) == count


def test_printcallbacks_names_them_in_the_log(stage: Stage) -> None:
    since = stage.connect()
    stage.par("Sendtext", "quietly")
    stage.wait(f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, since=since)
    assert "> onAssistantText" not in stage.log
    stage.put("Printcallbacks", 1)
    mark = stage.mark()
    stage.par("Sendtext", "a visitors words")
    stage.wait(f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, since=mark)
    stage.until(lambda: "voice_agent: > onAssistantText" in stage.log, 10, "the line")
    assert "a visitors words" not in stage.log


def test_audioevents_count_frames(stage: Stage) -> None:
    stage.put("Audioevents", 1)
    since = stage.connect()
    stage.wait(f"{A}/cb/onAudioIn", since=since)
    stage.climb("r1", 24_000)
    stage.quiet()

    def played() -> int:
        return sum(m.args[0] for m in stage.client.all(f"{A}/cb/onAudioOut", since=since))

    stage.until(lambda: played() >= 24_000, 10, "every frame")
    assert played() == 24_000
    assert sum(m.args[0] for m in stage.client.all(f"{A}/cb/onAudioIn", since=since)) > 24_000
    stage.disconnect()
    stage.pass_by(RATE // 10)
    mark = stage.mark()
    stage.pass_by(RATE // 5)
    assert not stage.client.all(f"{A}/cb/onAudioIn", since=mark)


def test_micgain_multiplies_the_microphone(stage: Stage) -> None:
    stage.put("Micgain", 2.0)
    stage.connect()
    path = stage.folder / "quarter.wav"
    wave = 0.25 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)
    write_wav(path, RATE, wave)
    since = stage.mark()
    stage.send("/voiced/audio/play", "voice_agent", str(path))
    stage.wait(f"{A}/sig/level_in", lambda level: level == pytest.approx(0.5, abs=0.01),
               since=since)  # fmt: skip
    stage.wait("/voiced/audio/ended", "voice_agent", since=since)
    assert np.abs(stage.pcm()).max() == pytest.approx(16384, rel=0.01)


def test_signalrate(stage: Stage) -> None:
    stage.connect()
    counts = {}
    for rate in (5, 60):
        stage.put("Signalrate", rate)
        start, since = time.monotonic(), stage.mark()
        for _ in range(10):
            mark = stage.mark()
            stage.wait(f"{A}/sig/session_seconds", since=mark)
        told = stage.client.all(f"{A}/sig/session_seconds", since=since)
        counts[rate] = len(told) / (told[-1].at - start)
    assert counts[5] < 7
    assert counts[60] > 2 * counts[5]


@pytest.mark.parametrize(
    ("name", "address"),
    [("Enableusertranscription", "onUserText"), ("Enableoutputtranscription", "onAssistantText")],
)
def test_transcription_may_be_off(stage: Stage, name: str, address: str) -> None:
    stage.put(name, 0)
    since = stage.connect()
    stage.script(
        ["speech_started"], ["speech_ended"], ["user_text", "u1", "hear me", 1],
        ["response_started", "r1"], ["assistant_text", "r1", "i1", "heard you"],
        ["tone", "r1", "i1", 100], ["response_done", "r1"],
    )  # fmt: skip
    other = {"onUserText": "onAssistantText", "onAssistantText": "onUserText"}[address]
    stage.wait(f"{A}/cb/{other}", lambda text, final, row: final == 1 and "hear" in text,
               since=since)  # fmt: skip
    stage.sync()
    shown = [m.args[0] for m in stage.client.all(f"{A}/cb/{address}", since=since)]
    assert not any("hear" in text and not text.startswith("[") for text in shown)


def test_enableconvdat_off_writes_no_rows(stage: Stage) -> None:
    stage.put("Enableconvdat", 0)
    stage.connect()
    since = stage.mark()
    stage.par("Sendtext", "no table")
    stage.wait(f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, since=since)
    stage.sync()
    assert not stage.client.all(f"{A}/conv/row", since=since)


def test_pulses_need_no_value_and_a_release_fires_nothing(stage: Stage) -> None:
    since = stage.mark()
    stage.par("Connect", 0)
    stage.par("Connect", 0.0)
    stage.sync()
    assert stage.ask(f"{A}/par/Sessionstate") == ("disconnected",)
    stage.par("Connect", 1)
    stage.state("active", since)
    assert ROWS["Connect"].access is Access.PULSE
