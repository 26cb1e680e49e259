"""A daemon whose provider's endpoint is an emulator: both as processes, joined by loopback alone.

with Cloud(tmp_path, "openai_realtime", script) as cloud:
    cloud.connect()
    turn = cloud.visitor("lv_0930.wav")
    assert cloud.violations() == []
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests import planted
from tests.daemon.rig import CONFIG, ROOT, Daemon
from voiced.cli.demo.words import word_errors

A = "/voice_agent"
VISITORS = ROOT / "voiced" / "cli" / "visitors"
KEYS = {
    "openai_realtime": "OPENAI_API_KEY",
    "xai_grok": "XAI_API_KEY",
    "gemini_live": "GEMINI_API_KEY",
    "hume_evi": "HUME_API_KEY",
}
PAGES = ("violations", "sessions", "bill")
WAIT_S = 60.0


def words_of(name: str) -> str:
    """Return what is said in a recording."""
    with (VISITORS / "transcripts.tsv").open(encoding="utf-8", newline="") as table:
        return {r["file"]: r["transcript"] for r in csv.DictReader(table, delimiter="\t")}[name]


class Said(NamedTuple):
    """A final row."""

    row: str
    text: str
    metadata: dict[str, Any]


class Emulated:
    """`voiced emulate PROVIDER` as a process."""

    def __init__(self, provider: str, script: Path | None, *options: str) -> None:
        command = [sys.executable, "-m", "voiced.cli", "emulate", provider, *options]
        if script is not None:
            command += ["--script", str(script)]
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("ws"), "the first line is its address"

    def page(self, name: str) -> Any:
        """Return one of its pages: violations, bill, sessions."""
        with urllib.request.urlopen(
            f"{self.url.replace('ws', 'http', 1)}/{name}", timeout=10
        ) as at:
            return json.load(at)

    def close(self) -> None:
        """End it; fail where its pages, its log or its output hold a planted key."""
        places = [
            (f"the emulator's page {name}", json.dumps(self.page(name)))
            for name in PAGES
            if self.process.poll() is None
        ]
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        places.append(("the emulator's output", self.process.stdout.read()))
        self.process.stdout.close()
        self.log.seek(0)
        log = self.log.read().decode(errors="replace")
        self.log.close()
        found = planted.findings([*places, ("the emulator's log", log)])
        assert not found, "\n".join(["keys were found:", *found])
        # A test that failed shows it.
        print(log, end="", file=sys.stderr)


class Cloud:
    """One conversation's daemon and service.

    Args:
        folder: its own.
        provider: whose service.
        script: TOML of the emulator.
        par: further first values, a line of TOML each.
        page: the provider's own page, a line of TOML each.
        speed: of both, so that a conversation takes less time.
        more: further TOML for the daemon.
        options: of `voiced emulate`.
        keys: further keys of the agent, a line of TOML each.
        on_start: what the agent does at each start.
    """

    def __init__(
        self, folder: Path, provider: str, script: str = "", *, par: Sequence[str] = (),
        page: Sequence[str] = (), speed: float = 1.0, more: str = "", options: Sequence[str] = (),
        heard: str = "heard.wav", keys: Sequence[str] = (), on_start: str = "wait",
    ) -> None:  # fmt: skip
        self.folder, self.provider = folder, provider
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "script.toml"
        path.write_text(script)
        self.emulated = Emulated(provider, path, f"--speed={speed}", *options)
        lines = [f'Provider = "{provider}"', *par]
        agent = (
            f'[[agent]]\nname = "voice_agent"\non_start = "{on_start}"\noutput_channels = [1]\n'
            + "".join(f"{line}\n" for line in keys)
            + "[agent.par]\n"
            + "\n".join(lines)
            + f'\n[agent.{provider}]\nendpoint = "{self.emulated.url}"\n'
            + "\n".join(page)
            + f"\n{more}"
        )
        self.heard = folder / heard
        self.daemon = Daemon(
            folder, agent, config=CONFIG.replace('output = ""', f'output = "{heard}"'),
            settings=[f"audio.virtual.speed={speed}"],
        )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self.daemon.__enter__()
        except BaseException:
            self.emulated.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.daemon.__exit__()
        finally:
            self.emulated.close()

    # --- driving it

    def connect(self) -> int:
        """Connect; return the place in the record before it."""
        since = self.daemon.mark()
        self.daemon.send(f"{A}/par/Connect")
        self.daemon.wait(
            f"{A}/par/Sessionstate", lambda word: word in ("active", "armed"), WAIT_S, since=since
        )
        return since

    def disconnect(self) -> None:
        """End the session, and wait until its trace is named."""
        since = self.daemon.mark()
        self.daemon.send(f"{A}/par/Disconnect")
        self.daemon.wait(f"{A}/cb/onSessionEnd", since=since)
        self.daemon.wait(f"{A}/par/Sessionstate", "disconnected", since=since)

    def play(self, name: str) -> None:
        """Let a visitor begin to speak."""
        since = self.daemon.mark()
        self.daemon.send("/voiced/audio/play", "voice_agent", str(VISITORS / name))
        self.daemon.wait("/voiced/audio/started", since=since)

    def played(self, since: int) -> None:
        """Wait until the visitor has said everything."""
        self.daemon.wait("/voiced/audio/ended", deadline_s=WAIT_S, since=since)

    def visitor(self, name: str) -> tuple[Said, Said]:
        """Let a visitor speak and the reply be heard; return both rows."""
        since = self.daemon.mark()
        self.play(name)
        return self.user(since), self.reply(since)

    def user(self, since: int) -> Said:
        """Return the visitor's next final words."""
        return self._final("onUserText", since)

    def reply(self, since: int, but: Said | None = None) -> Said:
        """Return the next reply, another than `but`, once it was heard to its end."""
        self.daemon.wait(f"{A}/sig/assistant_speaking", 1.0, WAIT_S, since=since)
        said = self._final("onAssistantText", since, but)
        self.daemon.ask(f"{A}/sig/assistant_speaking", wanted=0.0, deadline_s=WAIT_S)
        # A service may speak a reply in several messages, a row each.
        told = self.daemon.client.all(f"{A}/cb/onAssistantText", since=since)
        final = {m.args[2]: str(m.args[0]).strip() for m in told if m.args[1] == 1 and m.args[0]}
        if but is not None:
            final.pop(but.row, None)
        return said._replace(text=" ".join(final.values()))

    def _final(self, callback: str, since: int, but: Said | None = None) -> Said:
        # A service may revise what was said before, and tell it again.
        old = {
            str(message.args[3])
            for message in self.daemon.client.messages[:since]
            if message.address == f"{A}/conv/row"
        }
        if but is not None:
            old.add(but.row)
        told = self.daemon.wait(
            f"{A}/cb/{callback}",
            lambda text, final, row: final == 1 and text and row not in old,
            WAIT_S, since=since,
        )  # fmt: skip
        row = str(told.args[2])
        return Said(row, str(told.args[0]), self.row(row).metadata)

    # --- looking at it

    def row(self, row: str) -> Said:
        """Return a row as it was last written."""
        messages = self.daemon.client.all(f"{A}/conv/row")
        last = [m for m in messages if str(m.args[3]) == row][-1]
        return Said(row, str(last.args[2]), json.loads(last.args[6]))

    def rows(self, since: int) -> list[tuple[str, str]]:
        """Return (role, message) of every row written since, as last written, in order."""
        found: dict[str, tuple[str, str]] = {}
        for message in self.daemon.client.all(f"{A}/conv/row", since=since):
            found[str(message.args[3])] = (str(message.args[1]), str(message.args[2]))
        return list(found.values())

    def errors(self, since: int = 0) -> list[tuple[Any, ...]]:
        """Return the arguments of every onError since."""
        return [message.args for message in self.daemon.client.all(f"{A}/cb/onError", since=since)]

    def violations(self) -> list[Any]:
        """Return what the service says was wrong with what it was sent."""
        return list(self.emulated.page("violations"))


def understood(name: str, heard: str, limit: float = 0.3) -> None:
    """Hold what the service read against what is said in a recording."""
    errors = word_errors(words_of(name), heard)
    print(f"{name}: {errors.errors} of {errors.words} wrong: {heard!r}")
    assert errors.rate <= limit, heard


def environment() -> dict[str, str]:
    """Return the environment without anybody's keys."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
