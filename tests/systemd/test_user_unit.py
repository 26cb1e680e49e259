"""The user unit under a real user manager, as a desktop session or a lingering account has one."""

from collections.abc import Callable, Iterator

import pytest

from tests.systemd.box import Box

pytestmark = pytest.mark.timeout(120)

HOME = "/var/lib/visitor"
SEAT = "/run/seat"
UNIT = "voiced-user.service"

User = Callable[..., str]
"""Runs a command as the account whose manager it is; returns what it printed."""


@pytest.fixture(scope="module")
def user(bare_box: Box) -> Iterator[User]:
    box, venv, units = bare_box, f"{HOME}/.local/share/voiced", f"{HOME}/.config/systemd/user"
    box.run("useradd", "--system", "--user-group", "--home-dir", HOME, "visitor")
    box.run("mkdir", "-p", venv, units)
    box.run("cp", "-a", "/opt/voiced/.", venv)
    box.run("sed", "-i", f"1s|.*|#!{venv}/bin/python|", f"{venv}/bin/voiced")
    box.run("cp", f"/srv/voiced/systemd/{UNIT}", units)
    box.run("chown", "-R", "visitor:visitor", HOME)
    box.run("install", "-d", "-o", "visitor", "-g", "visitor", "-m", "0700", SEAT)
    seat = box.run(
        *("systemd-run", "--unit=seat", "-p", "User=visitor", "-p", "Delegate=yes"),
        *("-p", "Type=notify", f"--setenv=XDG_RUNTIME_DIR={SEAT}"),
        # Not default.target: no sound server or other service of this account is wanted here.
        *("/lib/systemd/systemd", "--user", "--unit=basic.target"),
        check=False,
    )
    if seat.returncode:
        pytest.fail(f"no user manager: {seat.stderr}{box.journal('seat')}")

    def run(*command: str) -> str:
        return box.run(
            *("setpriv", "--reuid=visitor", "--regid=visitor", "--init-groups"),
            *("env", f"HOME={HOME}", f"XDG_RUNTIME_DIR={SEAT}", *command),
        ).stdout

    yield run
    box.run("systemctl", "stop", "seat")


def show(user: User, name: str) -> str:
    return user("systemctl", "--user", "show", "--value", "-p", name, UNIT).strip()


def test_it_starts_and_stops_in_a_user_session(user: User, bare_box: Box) -> None:
    user("systemctl", "--user", "start", UNIT)
    assert show(user, "SubState") == "running"
    assert show(user, "StatusText") != ""
    assert len(bare_box.members(UNIT)) > 1
    user("systemctl", "--user", "stop", UNIT)
    assert show(user, "Result") == "success"
    assert bare_box.members(UNIT) == set()


def test_systemd_finds_nothing_to_say_about_it(user: User) -> None:
    assert user("systemd-analyze", "--user", "verify", f"/srv/voiced/systemd/{UNIT}") == ""
