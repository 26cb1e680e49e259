"""Keys from stdin or an unseen prompt, into a private file; told to a daemon; never shown."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.daemon.rig import ROOT, Daemon
from tests.daemon.test_secrets import AGENTS, DROP_IN, digest
from voiced import cli
from voiced.errors import ExitCode

KEY = "planted-0123456789-abcdefgh"


class Done(NamedTuple):
    """What a run of the verb left."""

    returncode: int
    stdout: str
    stderr: str


def key(folder: Path, *words: str, typed: str = "", env: dict[str, str] | None = None) -> Done:
    """Run `voiced key` in this process, with `typed` on its stdin."""
    config = folder / "voiced.toml"
    if not config.exists():
        config.write_text(f'[storage]\nstate_dir = "{folder}/state"\n')
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.endswith("_API_KEY"):
                patch.delenv(name)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO(typed))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main(["key", *words, "--config", str(config)])
    assert KEY not in out.getvalue() + err.getvalue()
    return Done(status, out.getvalue(), err.getvalue())


def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "voiced.toml").write_text("[osc]\nport = 'x'\n")
    done = key(tmp_path, "set", "openai", typed=f"{KEY}\n")
    assert done.returncode == ExitCode.CONFIG
    assert done.stderr.splitlines()[1:] == [f"voiced: mend {tmp_path}/voiced.toml first"]


def test_a_key_is_kept_in_a_file_of_ones_own_listed_and_removed(
    tmp_path: Path, hidden: list[str]
) -> None:
    done = key(tmp_path, "set", "openai", typed=f"  {KEY}\n")
    assert done.returncode == ExitCode.DONE
    assert hidden == ["key"], "its memory held the key"
    assert "next start" in done.stdout
    file = tmp_path / "state" / "keys" / "openai"
    assert file.read_text().strip() == KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]

    listed = key(tmp_path, "list", env={"OPENAI_API_KEY": "other-one", "XAI_API_KEY": "x" * 20})
    rows = {tuple(line.split()[:2]): line for line in listed.stdout.splitlines()}
    assert rows["openai", "file"].split()[2] == "used"
    assert "not used: the file comes first" in rows["openai", "environment"]
    assert rows["xai", "environment"].split()[2] == "used"
    assert "voiced key set gemini" in rows["gemini", "no"]
    assert "other-one" not in listed.stdout
    report = json.loads(key(tmp_path, "list", "--json").stdout)
    assert report == [{"server": "openai", "source": "file", "place": str(file), "used": True}]

    assert key(tmp_path, "remove", "openai").returncode == ExitCode.DONE
    assert not file.exists()
    again = key(tmp_path, "remove", "openai")
    assert again.returncode == ExitCode.FAILED
    assert "there is no key file" in again.stderr


def test_an_open_folder_is_closed_and_an_old_key_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "keys"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "xai").write_text("old")
    (folder / "xai").chmod(0o644)
    assert key(tmp_path, "set", "xai", typed=KEY).returncode == ExitCode.DONE
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "xai").stat().st_mode) == 0o600
    assert (folder / "xai").read_text() == f"{KEY}\n"


@pytest.mark.parametrize(
    ("typed", "why"),
    [("", "nothing was given"), ("two words", "without a space"), ("a\nb", "one line"),
     (f'"{KEY}"', "quotation mark"), ("ключ-0123456789", "letters"), ("x" * 5000, "longer than")],
)  # fmt: skip
def test_what_is_no_key_is_refused_unseen_and_nothing_is_lost(
    tmp_path: Path, typed: str, why: str
) -> None:
    key(tmp_path, "set", "hume", typed=KEY)
    done = key(tmp_path, "set", "hume", typed=typed)
    assert done.returncode == ExitCode.FAILED
    assert why in done.stderr
    assert not typed or typed not in done.stderr
    assert (tmp_path / "state" / "keys" / "hume").read_text().strip() == KEY


def test_a_key_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    done = key(tmp_path, "set", "openai", KEY)
    assert done.returncode == ExitCode.FAILED
    assert "command line" in done.stderr
    swapped = key(tmp_path, "set", KEY)
    assert swapped.returncode == ExitCode.FAILED
    assert "there are gemini, openai, xai, hume" in swapped.stderr
    assert "Did you mean openai?" in key(tmp_path, "set", "opnai").stderr
    assert not (tmp_path / "state" / "keys").exists()


def test_a_person_types_it_unseen(tmp_path: Path) -> None:
    config = tmp_path / "voiced.toml"
    config.write_text(f'[storage]\nstate_dir = "{tmp_path}/state"\n')
    terminal, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "voiced.cli", "key", "set", "gemini", "--config", str(config)],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, f"{KEY}\n".encode())
    try:
        while more := os.read(terminal, 1000):
            shown += more
    except OSError:
        pass  # the other side is gone
    os.close(terminal)
    assert child.wait(60) == ExitCode.DONE, shown
    assert KEY.encode() not in shown
    assert (tmp_path / "state" / "keys" / "gemini").read_text().strip() == KEY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another account")
def test_a_folder_of_another_account_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 12345, 12345)
    done = key(tmp_path, "set", "openai", typed=KEY)
    assert done.returncode == ExitCode.FAILED
    assert "sudo -u '#12345'" in done.stderr
    assert list((tmp_path / "state").iterdir()) == []


def test_a_running_daemon_takes_it_for_the_next_connection(tmp_path: Path) -> None:
    drop_ins = tmp_path / "drop_ins"
    drop_ins.mkdir(mode=0o755)
    shutil.copy(DROP_IN, drop_ins)
    (drop_ins / DROP_IN.name).chmod(0o644)
    agents = AGENTS.format(folder=drop_ins).split('[[agent]]\nname = "other"')[0]
    with Daemon(tmp_path, agents) as daemon:

        def set_by_the_shell(word: str) -> None:
            done = key(tmp_path, "set", "leaky", typed=word)
            assert done.returncode == ExitCode.DONE, done.stderr
            assert f"process {daemon.run_file()['pid']}" in done.stdout

        for count, word in enumerate((KEY, "planted-another-0123456789"), 1):
            set_by_the_shell(word)
            listed = key(tmp_path, "list").stderr
            assert f"process {daemon.run_file()['pid']}) may have more" in listed
            daemon.until(
                lambda count=count: daemon.log.count("keys changed: leaky") == count, 10, "reload"
            )
            since = daemon.mark()
            daemon.send("/voice_agent/par/Restart")
            daemon.wait(
                "/voice_agent/cb/onError",
                lambda _, code, said, word=word: said == digest(word),
                since=since,
            )
        assert KEY not in daemon.log
    # A killed one leaves its file: nobody is signalled.
    assert "next start" in key(tmp_path, "remove", "leaky").stdout
