"""Scripts that do the worst they can: each costs itself, and the conversation goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import planted
from tests.daemon.rig import alive
from tests.daemon.stage import A
from tests.daemon.test_scripts import NOTE, Scripted
from tests.daemon.test_tools import call, given

HOSTILE = (
    NOTE
    + """
import subprocess

def onUserSpeechStarted(info):
    mode = str(agent.par.Displayname)
    note([mode, os.getpid()])
    misbehave(mode)

def misbehave(mode):
    match mode:
        case "raise":
            raise RuntimeError("no such luck")
        case "garble":
            raise ValueError(os.fsdecode(b"caf\\xe9"))
        case "leave":
            sys.exit(3)
        case "loop":
            while True:
                pass
        case "hold":
            sum(range(10**15))
        case "sleep":
            time.sleep(60)
        case "exit":
            os._exit(0)
        case "print":
            line = "x" * 999_999
            for _ in range(1000):
                print(line)
            note("printed")
        case "lines":
            sys.stdout.write("y\\n" * 10_000_000)
            note("printed")
        case "allocate":
            kept = []
            while True:
                kept.append(bytearray(1 << 36))
        case "wish":
            while True:
                agent.par.Micgain = 1.0
        case "orphan":
            child = subprocess.Popen(["sleep", "60"])
            note(["child", child.pid])
            os._exit(0)

@tool
def obey(mode: str):
    "Do as it says"
    misbehave(mode)
    return "obeyed"
"""
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with Scripted(tmp_path_factory.mktemp("hostile"), HOSTILE) as running:
        yield running


@pytest.fixture
def stage(one: Scripted) -> Iterator[Scripted]:
    one.forget_tape()
    one.script_file.with_suffix(".notes").unlink(missing_ok=True)
    one.connect()
    yield one
    assert one.ask(f"{A}/par/Sessionstate") == ("active",)
    assert len(one.calls("open")) == 1, "the session was not untouched"
    one.rest()
    one.script_file.with_suffix(".notes").unlink(missing_ok=True)
    # What is held against its functions is forgotten with the version.
    one.save(HOSTILE + f"# {one.mark()}\n")


def speak_up(stage: Scripted, mode: str, *, heard: bool = True) -> int:
    """Let the callback be called and do this; return the place before."""
    stage.par("Displayname", mode)
    stage.ask(f"{A}/par/Displayname", wanted=mode)
    since, before = stage.mark(), len(pids(stage, mode))
    stage.script(["speech_started"], ["speech_ended"])
    if heard:
        stage.until(lambda: len(pids(stage, mode)) > before, 30, f"the call that does {mode}")
    return since


def pids(stage: Scripted, mode: str) -> list[int]:
    """Return the processes of the calls that did this."""
    return [int(note[1]) for note in stage.notes() if note[0] == mode]


def behaves(stage: Scripted) -> int:
    """Let it be called once more, and see that it was; return its process."""
    speak_up(stage, "good")
    return pids(stage, "good")[-1]


def told(stage: Scripted, code: str, since: int) -> str:
    """Wait for onError of the scripts; return its sentence."""
    found = stage.wait(
        f"{A}/cb/onError", lambda *args: args[:2] == ("scripts", code), since=since
    )  # fmt: skip
    return str(found.args[2])


@pytest.mark.parametrize("mode", ["raise", "garble", "leave", "allocate"])
def test_what_a_callback_raises_is_told_and_the_process_stays(stage: Scripted, mode: str) -> None:
    pid = behaves(stage)
    since = speak_up(stage, mode)
    sentence = told(stage, "raised", since)
    line = 1 + HOSTILE.splitlines().index(
        {
            "raise": '            raise RuntimeError("no such luck")',
            "garble": '            raise ValueError(os.fsdecode(b"caf\\xe9"))',
            "leave": "            sys.exit(3)",
            "allocate": "                kept.append(bytearray(1 << 36))",
        }[mode]
    )
    assert sentence.startswith(f"onUserSpeechStarted failed: voice.py:{line}: ")
    assert behaves(stage) == pid


@pytest.mark.parametrize("mode", ["loop", "sleep", "hold", "exit", "wish"])
def test_what_ends_the_process_is_told_and_it_is_started_again(stage: Scripted, mode: str) -> None:
    pid = behaves(stage)
    since = speak_up(stage, mode)
    sentence = told(stage, "lost", since)
    assert sentence.startswith("onUserSpeechStarted failed: ")
    if mode in ("loop", "sleep", "wish"):
        assert "it has run for 0." in sentence
    assert behaves(stage) != pid


@pytest.mark.parametrize("mode", ["print", "lines"])
def test_what_is_printed_without_end_is_left_out_of_the_log(stage: Scripted, mode: str) -> None:
    size = len(stage.log)
    pid = behaves(stage)
    since = speak_up(stage, mode)
    stage.until(
        lambda: (
            "printed" in stage.notes() or bool(stage.client.all(f"{A}/cb/onError", since=since))
        ),
        30,
        "the end of it",
    )
    same = behaves(stage) == pid
    print(f"{mode}: {len(stage.log) - size} bytes of log, same process {same}")
    assert len(stage.log) - size < 200_000


def test_one_that_ends_the_process_again_and_again_is_called_no_more(stage: Scripted) -> None:
    begin = stage.mark()
    for word in ("lost", "again", "disabled"):
        pid = behaves(stage)
        since = speak_up(stage, "exit")
        if word == "again":
            stage.until(lambda: "failed again" in stage.log, 30, "the second time")
    sentence = told(stage, "disabled", since)
    assert "onUserSpeechStarted is called no more: it failed 3 times, last: " in sentence
    assert "Mend voice.py and save it, or pulse Initialize: that enables it again" in sentence
    codes = [m.args[1] for m in stage.client.all(f"{A}/cb/onError", since=begin)]
    assert codes == ["lost", "disabled"]
    stage.script_file.with_suffix(".notes").unlink()
    speak_up(stage, "good", heard=False)
    call(stage, "c1", "obey", mode="good")
    assert given(stage, "c1") == ("obey", True, "obeyed")
    assert stage.notes() == []
    stage.save(HOSTILE + "\n")
    assert behaves(stage) != pid


def test_a_tool_that_ends_the_process_is_answered_at_once(stage: Scripted) -> None:
    pid = behaves(stage)
    call(stage, "c1", "obey", mode="exit")
    _, ok, sentence = given(stage, "c1")
    assert not ok
    assert sentence == "obey cannot be reached; go on without it"
    assert behaves(stage) != pid
    call(stage, "c2", "obey", mode="good")
    assert given(stage, "c2") == ("obey", True, "obeyed")


def test_a_tool_whose_failure_has_odd_words_is_answered(stage: Scripted) -> None:
    call(stage, "c1", "obey", mode="garble")
    assert given(stage, "c1") == ("obey", False, r"obey failed: ValueError: caf\udce9")


def test_a_file_that_cannot_be_read_leaves_the_last_good_one_in_force(stage: Scripted) -> None:
    pid = behaves(stage)
    since = stage.mark()
    stage.script_file.write_text("def onStatus(info):\n    return (\n")
    sentence = told(stage, "load", since)
    assert "voice.py cannot be used: voice.py:2: '(' was never closed" in sentence
    assert sentence.endswith("the version before it goes on")
    assert behaves(stage) == pid
    # Also in the process that follows.
    since = speak_up(stage, "exit")
    assert behaves(stage) != pid
    assert not [m for m in stage.client.all(f"{A}/cb/onError", since=since) if m.args[1] == "load"]


def test_a_file_that_ends_the_process_while_it_is_read_is_left_alone(stage: Scripted) -> None:
    pid = behaves(stage)
    since = stage.mark()
    stage.script_file.write_text("import os\nos._exit(0)\n")
    assert "voice.py cannot be run" in told(stage, "load", since)
    assert behaves(stage) != pid


def test_what_a_script_started_ends_with_it(stage: Scripted) -> None:
    since = speak_up(stage, "orphan")
    told(stage, "lost", since)
    child = next(n[1] for n in stage.notes() if n[0] == "child")
    stage.until(lambda: not alive(child), 10, "the end of the script's child")


def test_a_killed_one_is_started_again(stage: Scripted) -> None:
    pid = behaves(stage)
    os.kill(pid, signal.SIGKILL)
    stage.until(lambda: "was killed (SIGKILL)" in stage.log, 10, "its end in the log")
    assert behaves(stage) != pid


def test_a_script_sees_no_key_and_no_shared_memory(tmp_path: Path) -> None:
    source = NOTE + (
        "note(dict(os.environ))\n"
        "note([os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
        " if os.path.exists(f'/proc/self/fd/{n}')])\n"
        "import resource\n"
        "note(resource.getrlimit(resource.RLIMIT_DATA)[0])\n"
    )
    with Scripted(tmp_path, source) as stage:
        stage.until(lambda: len(stage.notes()) == 3, 10, "the notes")
        environment, open_files, memory = stage.notes()
        assert "HOME" in environment
        # Under whatever name; in the notes themselves they are looked for at the end.
        assert not {*planted.environment(), "CREDENTIALS_DIRECTORY"} & set(environment)
        assert not [name for name in open_files if "memfd" in name]
        assert 0 < memory < 2**36
