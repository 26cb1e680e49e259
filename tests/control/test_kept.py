"""What outlives the daemon: kept values, money, keys; and what systemd is told."""

from __future__ import annotations

import datetime
import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from voiced.control import ledger
from voiced.control.allowance import Allowance, Now
from voiced.control.config.model import BudgetConfig
from voiced.control.keys import find_keys, scrubbed
from voiced.control.sdnotify import Notify
from voiced.control.state import State, load_state

# --- state


def test_kept_values_come_back_until_the_config_changes(tmp_path: Path) -> None:
    state = State(muted=True)
    state.keep("a", "par", "Volume", 0.5, 0.8)
    state.keep("a", "par", "Micgain", 2.0, None)
    state.keep("b", "echo", "Delay", 1, None)
    job = state.file(tmp_path)
    job.path.write_bytes(job.content)
    loaded, problem = load_state(tmp_path)
    assert (problem, loaded.muted) == ("", True)
    said = {("par", "Volume"): 0.8}
    assert loaded.values_of("a", said) == {("par", "Volume"): 0.5, ("par", "Micgain"): 2.0}
    assert loaded.values_of("b", {}) == {("echo", "Delay"): 1}
    # Edited: the config wins, and goes on winning when it is edited back.
    assert loaded.values_of("a", {("par", "Volume"): 0.9}) == {("par", "Micgain"): 2.0}
    assert loaded.values_of("a", said) == {("par", "Micgain"): 2.0}
    assert loaded.forget("a", "par", "Micgain")
    assert not loaded.forget("a", "par", "Micgain")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"version": "x"}'])
def test_a_damaged_state_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    state, problem = load_state(tmp_path)
    assert state.values == {}
    assert "state.damaged.json" in problem
    assert (tmp_path / "state.damaged.json").read_bytes() == content


def test_no_state_file_is_no_problem(tmp_path: Path) -> None:
    assert load_state(tmp_path)[1] == ""


# --- ledger


def read(path: Path) -> tuple[list[ledger.Booking], str]:
    reading = ledger.Reading(path)
    return list(reading), reading.damage


def booking(unix: float, usd: float) -> ledger.Booking:
    return ledger.Booking(
        time="", unix=unix, agent="a", session_id="s", provider="p", model="m", usd=usd
    )


def test_the_ledger_adds_up_past_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / ledger.FILE
    assert read(path) == ([], "")
    whole = [ledger.line_of(booking(at, 0.25)) for at in (1.0, 2.0, 3.0)]
    path.write_text("\n".join([whole[0], whole[1][:20], whole[1], "null", "\x00", "", whole[2]]))
    bookings, sentence = read(path)
    assert [each.unix for each in bookings] == [1.0, 2.0, 3.0]
    assert "line 2 (and 2 more) cannot be read" in sentence  # Its money is not known any more.
    path.write_text("".join(line + "\n" for line in whole))
    assert read(path)[1] == ""


def test_what_a_full_disk_took_of_a_line_is_no_damage_where_the_line_follows(
    tmp_path: Path,
) -> None:
    path = tmp_path / ledger.FILE
    one, two = (ledger.line_of(booking(at, 0.25)) for at in (1.0, 2.0))
    path.write_text(f"{one}\n{two[:60]}\n{two[:50]}\n{two}\n")
    bookings, sentence = read(path)
    assert ([each.unix for each in bookings], sentence) == ([1.0, 2.0], "")
    path.write_text(f"{one}\n{two[:60]}\n{one}\n{two[:20]}\n")
    assert "line 2 (and 1 more) cannot be read" in read(path)[1]


def test_a_seasons_ledger_is_counted_without_being_held(tmp_path: Path) -> None:
    """Time on the line is booked every second: a season of it is a file of a gigabyte."""
    path = tmp_path / ledger.FILE
    with path.open("w") as file:
        file.writelines(ledger.line_of(booking(1e9 + n, 0.001)) + "\n" for n in range(10_000))
    tracemalloc.start()
    budget = BudgetConfig(month=100.0)
    allowance = Allowance(budget, ledger.Reading(path), Now(1e9 + 10_000, "", 0.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert allowance.left(Now(1e9 + 10_000, "", 0.0)).usd == pytest.approx(90.0)
    assert peak < path.stat().st_size / 4


def test_what_is_no_ledger_at_all_is_counted_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / ledger.FILE
    path.write_text(("x" * 1000 + "\n") * 5000)
    tracemalloc.start()
    bookings, sentence = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert bookings == []
    assert "line 1 (and 4999 more) cannot be read" in sentence
    assert peak < path.stat().st_size / 4


def test_a_slip_of_the_hand_is_no_money_for_the_budgets(tmp_path: Path) -> None:
    path = tmp_path / ledger.FILE
    path.write_text(ledger.line_of(booking(1.0, -100.0)) + "\n")
    bookings, sentence = read(path)
    assert bookings == []
    assert "line 1 cannot be read" in sentence


def test_a_ledger_that_is_a_pipe_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ledger.FILE)
    with pytest.raises(OSError, match="no plain file"):
        read(tmp_path / ledger.FILE)


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        ("2026-03-05T03:59", "2026-03-04T04:00", "2026-03-01T04:00"),
        ("2026-03-05T04:00", "2026-03-05T04:00", "2026-03-01T04:00"),
        ("2026-03-01T03:00", "2026-02-28T04:00", "2026-02-01T04:00"),
        ("2026-01-01T00:30", "2025-12-31T04:00", "2025-12-01T04:00"),
    ],
)
def test_days_and_months_end_when_the_config_says(now: str, day: str, month: str) -> None:
    at, ends = datetime.datetime.fromisoformat(now), datetime.time(4)
    assert ledger.day_started(at, ends) == datetime.datetime.fromisoformat(day)
    assert ledger.month_started(at, ends) == datetime.datetime.fromisoformat(month)


# --- keys


def test_keys_come_from_the_most_private_place(tmp_path: Path) -> None:
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    credentials.mkdir()
    (state / "keys").mkdir(parents=True)
    (credentials / "keys_gemini").write_text("from-credential\n")
    for server in ("gemini", "openai"):
        (state / "keys" / server).write_text(f"{server}-from-file")
        (state / "keys" / server).chmod(0o600)
    environment = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "GEMINI_API_KEY": "e1", "OPENAI_API_KEY": "e2", "XAI_API_KEY": " e3 ", "PATH": "/bin",
    }  # fmt: skip
    found, problems = find_keys(state, environment)
    assert [(each.server, each.key, each.source) for each in found] == [
        ("gemini", "from-credential", "credential"),
        ("openai", "openai-from-file", "file"),
        ("xai", "e3", "environment"),
    ]
    assert problems == []
    assert "from" not in repr(found)
    assert scrubbed(environment) == {"PATH": "/bin"}


def test_a_key_is_in_no_childs_environment_under_any_name() -> None:
    environment = {
        "XAI_API_KEY": "xai-hidden-by-a-file", "MINE": "xai-hidden-by-a-file ", "ONE": "1",
        "PARROT_API_KEY": "1", "SHOW_TOKEN": "token-of-a-tool", "TOKEN": "token-of-a-tool",
        "FILED": "key-from-a-file", "PATH": "/bin",
    }  # fmt: skip
    left = scrubbed(environment, ["key-from-a-file", ""], {"SHOW_TOKEN"})
    assert left == {"ONE": "1", "PATH": "/bin"}


@pytest.mark.parametrize("kind", ["readable", "fifo", "folder", "link", "long", "words"])
def test_a_key_file_that_is_none_is_refused_and_the_next_place_counts(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "keys" / "gemini"
    path.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(0o700)
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    else:
        path.write_text({"long": "x" * 5000, "words": "two words"}.get(kind, "sk-secret"))
        path.chmod(0o644 if kind == "readable" else 0o600)
    found, problems = find_keys(tmp_path, {"GEMINI_API_KEY": "spare"})
    assert [each.key for each in found] == ["spare"]
    assert len(problems) == 1
    assert str(path) in problems[0]
    assert "secret" not in problems[0]


# --- systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told_in_its_own_words(tmp_path: Path, abstract: bool) -> None:
    name = f"@voiced-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name[1:]}" if abstract else name)
        manager.settimeout(5)
        notify = Notify({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "10000000"})
        assert notify.watchdog_s == 10.0
        notify.ready("open")
        notify.status("fine")
        notify.reloading(5)
        notify.watchdog()
        notify.stopping("bye")
        told = [manager.recv(4096).decode() for _ in range(5)]
        notify.close()
    assert told == [
        "READY=1\nSTATUS=open", "STATUS=fine", "RELOADING=1\nMONOTONIC_USEC=5", "WATCHDOG=1",
        "STOPPING=1\nSTATUS=bye",
    ]  # fmt: skip


def test_without_a_service_manager_nothing_is_told(tmp_path: Path) -> None:
    Notify({}).ready("")
    notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notify.ready("")
    notify.close()
    assert Notify({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_s == 0.0
