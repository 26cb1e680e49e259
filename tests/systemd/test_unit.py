"""The system unit under a real systemd, on a machine without sound card and without network.

Every wait is for a line of the journal or for systemctl itself; the figures in `HASTE` only make
systemd's own waiting shorter than the unit's.
"""

import time
from collections.abc import Iterator

import pytest

from tests.systemd.box import Box

pytestmark = pytest.mark.timeout(180)

UNIT = "voiced.service"
CONFIG = "/etc/voiced/voiced.toml"
WATCHDOG_S = 4.0
RESTART_S = 0.5
HASTE = f"[Service]\nWatchdogSec={WATCHDOG_S}\nRestartSec={RESTART_S}\n"
STARTED = "Started voiced.service"
START_S = 30.0
"""Deadline of a start after a crash: the unit's TimeoutStartSec."""


@pytest.fixture(scope="module")
def box(bare_box: Box) -> Iterator[Box]:
    bare_box.write(f"/etc/systemd/system/{UNIT}.d/haste.conf", HASTE)
    bare_box.run("systemctl", "daemon-reload")
    yield bare_box
    bare_box.run("systemctl", "stop", UNIT)


@pytest.fixture
def service(box: Box) -> Iterator[Box]:
    """A service freshly started on an empty state folder and the smallest configuration."""
    box.run("systemctl", "stop", UNIT)
    box.run("systemctl", "reset-failed", UNIT, check=False)
    box.run("rm", "-rf", "/var/lib/voiced")
    box.write(CONFIG, "[osc]\nport = 9370\n")
    started = box.run("systemctl", "start", UNIT, check=False)
    if started.returncode:
        pytest.fail(f"systemctl start: {started.stderr}{box.journal(UNIT)}")
    yield box
    box.run("systemctl", "stop", UNIT)
    print(box.journal(UNIT))  # pytest shows it when a test failed


def main_pid(box: Box) -> int:
    return int(box.show(UNIT, "MainPID"))


def restarts(box: Box) -> int:
    return int(box.show(UNIT, "NRestarts"))


def test_it_is_ready_without_card_and_without_network(service: Box) -> None:
    # systemctl start returned 0, and with Type=notify that is READY=1.
    assert service.show(UNIT, "SubState") == "running"
    assert service.show(UNIT, "StatusText") != ""
    assert len(service.members(UNIT)) > 1, "its hands are processes of their own"


def test_its_doors_are_open_when_it_is_ready(service: Box) -> None:
    told = service.run("/opt/voiced/bin/voiced", "get", "Enginestatus")
    assert told.stdout.strip() != ""


def test_the_missing_card_is_a_state_it_tells(service: Box) -> None:
    with service.following(UNIT, from_start=True) as journal:
        assert journal.wait_for("no_device", 20.0)
    told = service.run("/opt/voiced/bin/voiced", "get", "Enginestatus")
    assert "no_device" in told.stdout


def test_a_missing_card_is_no_reason_to_restart(service: Box) -> None:
    pid = main_pid(service)
    with service.following(UNIT) as journal:
        assert not journal.wait_for("Scheduled restart job", 2 * WATCHDOG_S)
    assert main_pid(service) == pid
    assert restarts(service) == 0
    assert service.show(UNIT, "ActiveState") == "active"


def test_it_stops_clean_within_two_seconds(service: Box) -> None:
    begin = time.monotonic()
    service.run("systemctl", "stop", UNIT)
    took_s = time.monotonic() - begin
    assert service.show(UNIT, "Result") == "success"
    assert service.show(UNIT, "ExecMainStatus") == "0"
    assert service.members(UNIT) == set()
    assert took_s < 2.0


def test_a_killed_main_process_takes_its_hands_along_and_comes_back(service: Box) -> None:
    before = service.members(UNIT)
    with service.following(UNIT) as journal:
        service.run("kill", "-KILL", str(main_pid(service)))
        assert journal.wait_for(STARTED, START_S)
    after = service.members(UNIT)
    assert before & after == set(), "nobody of the first life is left"
    assert restarts(service) == 1
    assert service.show(UNIT, "SubState") == "running"


def test_a_stopped_main_process_is_seen_by_the_watchdog(service: Box) -> None:
    before = service.members(UNIT)
    with service.following(UNIT) as journal:
        service.run("kill", "-STOP", str(main_pid(service)))
        assert journal.wait_for("Watchdog timeout", WATCHDOG_S + 5.0)
        assert journal.wait_for(STARTED, START_S)
    assert before & service.members(UNIT) == set()
    assert restarts(service) == 1


def test_a_wrong_configuration_fails_once_and_is_not_tried_again(service: Box) -> None:
    service.run("systemctl", "stop", UNIT)
    service.run("rm", "-rf", "/var/lib/voiced")  # so that no last good configuration is left
    service.write(CONFIG, '[osc]\nport = "nine"\n')
    refused = service.run("systemctl", "start", UNIT, check=False)
    assert refused.returncode != 0
    with service.following(UNIT) as journal:
        assert not journal.wait_for("Scheduled restart job", 8 * RESTART_S)
    assert service.show(UNIT, "ActiveState") == "failed"
    assert service.show(UNIT, "ExecMainStatus") == "78"
    assert restarts(service) == 0
    assert "port" in service.journal(UNIT), "the journal names the key"


def test_many_crashes_in_a_row_never_use_up_the_starts(service: Box) -> None:
    # systemd's default gives up at the sixth start within 10 s; these deaths come before READY.
    with service.following(UNIT) as journal:
        for _ in range(7):
            service.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT)
            assert journal.wait_for("Starting voiced.service", START_S)
        assert journal.wait_for(STARTED, START_S)
    assert restarts(service) == 7


def test_a_reload_keeps_the_process(service: Box) -> None:
    pid = main_pid(service)
    service.run("systemctl", "reload", UNIT)
    assert main_pid(service) == pid
    assert service.show(UNIT, "SubState") == "running"


def test_the_unit_starts_without_a_folder_of_keys(service: Box) -> None:
    service.run("systemctl", "stop", UNIT)
    service.run("rmdir", "/etc/voiced/keys")
    try:
        service.run("systemctl", "start", UNIT)
    finally:
        service.run("install", "-d", "-m", "0700", "/etc/voiced/keys")


def test_systemd_finds_nothing_to_say_about_the_unit(box: Box) -> None:
    assert box.run("systemd-analyze", "verify", f"/etc/systemd/system/{UNIT}").stderr == ""


def test_the_sandbox_is_as_tight_as_the_documentation_says(box: Box) -> None:
    told = box.run("systemd-analyze", "security", "--no-pager", UNIT).stdout
    exposure = float(told.rsplit("exposure level for", 1)[1].split(":")[1].split()[0])
    assert exposure <= 2.0
