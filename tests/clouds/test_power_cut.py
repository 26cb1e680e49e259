"""kill -9 of every process in turn, of all at once, and the power: no word and no cent is lost.

One conversation with an emulated service goes on all the time, typed and spoken; the moments are
drawn. Once control, or everything, was killed and started again, the trace is held against what OSC
had told, the ledger against the service's own bill, the new session against the old one and against
what the service received of it. What came in the last second may be missing.

VOICED_KILLS=20 is the whole count, with both ways of paying and the embedded voice; VOICED_SEED
draws other moments; VOICED_TEST_SLACK_S=0 takes the last second at its word. A kill leaves what the
system holds in memory, the power does not: there the disk is an image, and what had reached it is
copied at that moment. That takes the right to mount it.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import subprocess
import threading
import time
import wave
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from tests.clouds.rig import VISITORS, WAIT_S, A, Cloud
from tests.daemon.rig import ROOT, Daemon, alive

KILLS = int(os.environ.get("VOICED_KILLS", "1"))
SEED = int(os.environ.get("VOICED_SEED", "7"))
ALL = KILLS > 1
LAST_S = 1.0
"""What may be missing before the cut."""
SLACK_S = float(os.environ.get("VOICED_TEST_SLACK_S", "3"))
"""On a machine that runs other tests, whose disk takes its time; the figures are printed."""
MOMENT_S = (0.3, 5.0) if ALL else (0.3, 1.5)
END_S = 5.0
"""What processes without their control get to end in, on a busy machine."""
BACK_S = 120.0
"""What a successor gets to load its libraries in, on a busy machine; most need none of it."""
CHILDREN = ["audio", "network", "recorder", "tools", "scripts of voice_agent"]
CUTS = ["control", "all"]
SECOND = {"openai_realtime": 10 * 32e-6 + 20 * 64e-6, "hume_evi": 0.07 / 60}
"""USD of a second in and a second out, from the services' price lists."""
CLOUDS = ["openai_realtime", "hume_evi"] if ALL else ["openai_realtime"]
PROVIDERS = [*CLOUDS, "local"] if ALL else CLOUDS
SPOKEN = "lv_0930.wav"
ANSWER = "I see what you mean by that, and I have often thought so too."
STDIO = ROOT / "tests" / "tools" / "stdio_server.py"
TOOLS = f"""
[[agent.mcp]]
name = "house"
command = "{ROOT / ".venv" / "bin" / "python"}"
args = ["{STDIO}", "good"]
allow = ["*"]
"""
SCRIPT_FILE = "def onUserText(info):\n    pass\n"


class Disk:
    """A file system of its own, on a disk that is a file.

    Args:
        folder: where the file lies.
        at: where it is mounted.
    """

    def __init__(self, folder: Path, at: Path) -> None:
        self._image, self.at = folder / "disk", at
        at.mkdir(mode=0o700, parents=True)
        with self._image.open("wb") as file:
            file.truncate(64 << 20)
        _run("mkfs.ext4", "-q", str(self._image))

    def mount(self) -> None:
        """Mount it.

        Raises:
            subprocess.CalledProcessError: it cannot be here.
        """
        _run("mount", "-o", "loop", str(self._image), str(self.at))

    def unmount(self) -> None:
        """Take it away; what it still held in memory goes onto the image."""
        _run("umount", str(self.at))

    def copied(self) -> Path:
        """Return a copy of what has reached the disk until now."""
        copy = self._image.with_name("copy")
        shutil.copyfile(self._image, copy)
        return copy

    def cut(self, copy: Path) -> None:
        """Let the disk hold what it held when the power went."""
        self.unmount()
        copy.replace(self._image)
        self.mount()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        disk = Disk(tmp_path, tmp_path / "state")
        disk.mount()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no image of a disk can be made and mounted here, that takes root: {error}")
    yield disk
    disk.unmount()


class Told(NamedTuple):
    """A row as OSC told it."""

    at: float
    message: str


class Bill:
    """Reads the service's bill all the time, to know what it was a second ago."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud, self._over = cloud, threading.Event()
        self.read: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Bill:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._cloud.provider != "local" and not self._over.wait(0.1):
            usd = float(self._cloud.emulated.page("bill")["usd"])
            self.read.append((time.monotonic(), usd))

    def before(self, at: float) -> float:
        """Return what it was at a time, USD."""
        return max((usd for when, usd in self.read if when <= at), default=0.0)


class Evening:
    """A conversation that goes on, whatever is killed.

    Args:
        cloud: not started yet.
        name: of what draws the moments.
    """

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud, self.daemon = cloud, cloud.daemon
        self.chance = random.Random(f"{SEED}{name}")
        self._said = self.cuts = 0
        self.since = 0
        self.most: Counter[str] = Counter()
        """The largest figures so far."""

    def begin(self) -> None:
        """Connect, and wait until the wish for it is kept."""
        self.since = self.cloud.connect()
        state = self.daemon.state_dir / "state.json"
        self.daemon.until(
            lambda: state.exists() and '"Active"' in state.read_text(), 10.0, "the wish on disk"
        )

    @property
    def session(self) -> str:
        """The running session's id, as it was told last."""
        return str(self.daemon.client.all(f"{A}/cb/onSessionStart")[-1].args[0])

    # --- talking

    def talk_until(self, over: threading.Event) -> None:
        """Hold a conversation until something happens."""
        while not over.is_set():
            mark = self.daemon.mark()
            self._said += 1
            if self._said % 3:
                self.daemon.send(f"{A}/par/Sendtext", f"What I say is number {self._said}.")
            else:
                self.daemon.send("/voiced/audio/play", "voice_agent", str(VISITORS / SPOKEN))
            deadline = time.monotonic() + 8.0
            while not (self.answered(mark) or time.monotonic() > deadline or over.wait(0.02)):
                pass

    def answered(self, mark: int) -> bool:
        """Tell whether a reply was spoken to its end since."""
        texts = self.daemon.client.all(f"{A}/cb/onAssistantText", since=mark)
        return any(m.args[1] == 1 for m in texts) and self._silent(mark)

    def _silent(self, mark: int) -> bool:
        told = self.daemon.client.all(f"{A}/sig/assistant_speaking", since=mark)
        return bool(told) and told[-1].args[0] == 0.0

    def cut(self, victims: list[int]) -> float:
        """Kill processes at a random moment of the talk; return when, monotonic seconds."""
        over, cut_at = threading.Event(), [0.0, 0.0]

        def kill() -> None:
            cut_at[0] = time.monotonic()
            for pid in victims:
                os.kill(pid, 9)
            cut_at[1] = time.monotonic()
            over.set()

        # In whatever order they are met: the kernel does not ask either.
        victims = self.chance.sample(victims, len(victims))
        timer = threading.Timer(self.chance.uniform(*MOMENT_S), kill)
        timer.start()
        self.talk_until(over)
        timer.join()
        if len(victims) > 1:
            self.worst("killed within us", round((cut_at[1] - cut_at[0]) * 1e6))
        return cut_at[0]

    def back(self, killed: dict[str, int]) -> None:
        """Wait for the successors of children that were killed."""
        while killed:
            self.daemon.wait_for_successor(*killed.popitem(), BACK_S)

    def worst(self, what: str, figure: int) -> None:
        """Keep the largest figure."""
        self.most[what] = max(self.most[what], figure)

    # --- what had been told

    def told(self, since: int, until: float) -> dict[str, list[Told]]:
        """Return every row told since a mark and until a time, by id, each as often as told."""
        rows: dict[str, list[Told]] = {}
        for m in self.daemon.client.all(f"{A}/conv/row", since=since):
            if m.at <= until:
                rows.setdefault(str(m.args[3]), []).append(Told(m.at, str(m.args[2])))
        return rows

    def held_against(self, trace: dict[str, Any], since: int, cut_at: float) -> None:
        """Hold a trace against what had been told before it was cut."""
        ids = [row["id"] for row in trace["transcript"]]
        assert len(ids) == len(set(ids)), "a row twice"
        there = {row["id"]: row["message"] for row in trace["transcript"]}
        told = self.told(since, cut_at)
        for row, versions in told.items():
            messages = [each.message for each in versions]
            # What is not known as told was written a moment before it could be.
            have = len(messages)
            if there.get(row, "") in messages:
                have = len(messages) - messages[::-1].index(there.get(row, ""))
            elif row not in there:
                have = 0
            missing = versions[have:]
            if missing:
                ago = cut_at - missing[0].at
                self.worst("missing ms", round(ago * 1000))
                self.worst("missing rows", sum(1 for each in told if each not in there))
                assert ago <= LAST_S + SLACK_S, (
                    f"row {row}: {missing} of {ago:.3f} s before the cut is gone"
                )
        assert set(ids) <= set(self.told(since, cut_at + 10.0)), "a row that nobody was told of"

    def started_again(self, old: str, since: int, cut_at: float) -> None:
        """Start it again; hold trace, ledger and resumption against what was."""
        daemon, died = self.daemon, self.daemon.mark()
        daemon.start()
        # Its last words may have been on their way to here while it died.
        started = daemon.client.place(daemon.wait("/voiced/startup", since=died))
        daemon.wait(f"{A}/cb/onSessionStart", deadline_s=WAIT_S, since=started)
        self.since = started
        path = daemon.state_dir / "voice_sessions" / "voice_agent" / f"{old}.json"
        trace = json.loads(path.read_bytes())
        assert trace["end_reason"] == "crash"
        assert not list(path.parent.glob(f"{old}*.jsonl"))
        self.held_against(trace, since, cut_at)
        rows = [(row["role"], row["message"]) for row in trace["transcript"]]
        daemon.until(lambda: len(self.cloud.rows(started)) >= len(rows), 10.0, "the old rows")
        assert self.cloud.rows(started)[: len(rows)] == rows, "the old rows first"
        if not any(role in ("user", "assistant") for role, _ in rows):
            # Cut before anybody's first words were on the disk: there is nothing to go on with.
            daemon.ask(f"{A}/par/Sessionresume", wanted="Fresh session")
            return
        resumed = daemon.ask(f"{A}/par/Sessionresume", wanted=lambda text: text != "Fresh session")
        self._given(str(resumed[0]), cut_at - self._began(since, cut_at))
        self.recorded(path.parent, trace, cut_at)

    def recorded(self, folder: Path, trace: dict[str, Any], cut_at: float) -> None:
        """Hold the recording against how long it ran: it can be played, up to its last second."""
        cut_wall = time.time() - (time.monotonic() - cut_at)
        for each in trace["recordings"]:
            ran_s = cut_wall - datetime.datetime.fromisoformat(each["began"]).timestamp()
            if ran_s > LAST_S + SLACK_S:
                with wave.open(str(folder / each["file"])) as file:
                    recorded_s = file.getnframes() / file.getframerate()
                    assert len(file.readframes(file.getnframes())) == 4 * file.getnframes()
                self.worst("missing ms of sound", round((ran_s - recorded_s) * 1000))
                assert ran_s - recorded_s <= LAST_S + SLACK_S

    def _began(self, since: int, cut_at: float) -> float:
        """Return when the session that was cut had begun."""
        told = self.daemon.client.all(f"{A}/cb/onSessionStart", since=since)
        return max(m.at for m in told if m.at < cut_at)

    def _given(self, resumed: str, old_s: float) -> None:
        """Hold what Sessionresume says against what the service was given.

        A service that remembers by itself is asked to; in its session's first second the name of
        what it remembers may be missing, and the rows are given.
        """
        self.most[resumed.split()[0]] += 1
        if self.cloud.provider == "local":
            assert resumed.startswith("Replayed")
            return
        newest = self.cloud.emulated.page("sessions")[-1]
        if self.cloud.provider == "openai_realtime":
            rows = int(resumed.split()[1])
            assert newest["received"].get("conversation.item.create", 0) >= rows > 0, newest
        elif "native handle" in resumed:
            assert newest["query"].get("resumed_chat_group_id"), newest
        else:
            assert old_s < LAST_S + SLACK_S, resumed

    def paid(self, bill: Bill, cut_at: float) -> None:
        """Hold the ledger against what the service had billed; each cut before took its second."""
        ledger, owed = self.ledger(), bill.before(cut_at - LAST_S - SLACK_S)
        lost = self.cuts * LAST_S * SECOND.get(self.cloud.provider, 0.0)
        print(f"ledger {ledger:.5f}, billed {owed:.5f} a second before cut {self.cuts}")
        self.worst("missing USD of a million", round(1e6 * max(0.0, owed - ledger)))
        assert ledger >= owed - lost - 1e-9, "money that the service has billed is not there"
        self.cuts += 1

    def ledger(self) -> float:
        """Return what the ledger says was spent; no line may stand in it twice."""
        path = self.daemon.state_dir / "ledger.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        assert len(lines) == len(set(lines)), "a booking twice"
        return sum(json.loads(line)["usd"] for line in lines)


def descendants(root: int) -> list[int]:
    """Return a process and everything that it started, and they."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


class Alone(Cloud):
    """The embedded voice, which nobody bills.

    Args:
        folder: its own.
        par: first values, a line of TOML each.
    """

    def __init__(self, folder: Path, par: Sequence[str]) -> None:
        self.folder, self.provider = folder, "local"
        agent = '[[agent]]\nname = "voice_agent"\non_start = "last"\n[agent.par]\n'
        self.daemon = Daemon(folder, agent + "\n".join(par) + TOOLS)

    def __enter__(self) -> Self:
        self.daemon.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.__exit__()


def evening(folder: Path, provider: str) -> Cloud:
    script = folder / "voice.py"
    folder.mkdir(parents=True, exist_ok=True)
    script.write_text(SCRIPT_FILE)
    par = ['Recording = "session"', f'Callbackdat = "{script}"']
    if provider == "local":
        return Alone(folder, par)
    return Cloud(
        folder, provider, f'answer = "{ANSWER}"\n', on_start="last", more=TOOLS, par=par,
        options=["--voice=tone", "--deaf"],
    )  # fmt: skip


@pytest.mark.timeout(120 * KILLS + 60)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_killed_one_by_one_and_all_at_once(tmp_path: Path, provider: str) -> None:
    with evening(tmp_path, provider) as cloud, Bill(cloud) as bill:
        it, daemon = Evening(cloud, provider), cloud.daemon
        it.begin()
        also = ["inference"] if provider == "local" else []
        rounds = [*CHILDREN, *also, *CUTS] * KILLS
        if ALL:
            it.chance.shuffle(rounds)
        killed: dict[str, int] = {}
        for victim in rounds:
            if victim in CUTS or victim in killed:
                it.back(killed)
            old, since = it.session, it.since
            family = descendants(daemon.process.pid)
            if victim in CUTS:
                meant = [daemon.process.pid] if victim == "control" else family
                cut_at = it.cut(meant)
                daemon.process.wait(END_S)
                daemon.until(lambda family=family: not any(map(alive, family)), END_S, "their end")
                it.worst(f"ended ms, {victim}", round((time.monotonic() - cut_at) * 1000))
                it.paid(bill, cut_at)
                it.started_again(old, since, cut_at)
            else:
                daemon.until(
                    lambda victim=victim: victim in daemon.run_file().get("ready", ()),
                    BACK_S, f"{victim}, which starts with its first work",
                )  # fmt: skip
                killed[victim] = daemon.pid_of(victim)
                it.cut([killed[victim]])
        it.back(killed)
        mark = daemon.mark()
        daemon.send(f"{A}/par/Sendtext", "Good night.")
        daemon.until(lambda: it.answered(mark), WAIT_S, "an answer")
        old, since = it.session, it.since
        cloud.disconnect()
        trace = daemon.state_dir / "voice_sessions" / "voice_agent" / f"{old}.json"
        daemon.until(trace.exists, 10.0, "the trace")
        it.held_against(json.loads(trace.read_bytes()), since, time.monotonic())
        print(f"{provider}: {it.cuts} cuts, {dict(it.most)}")
        if provider != "local":
            usd = float(cloud.emulated.page("bill")["usd"])
            print(f"{provider}: ledger {it.ledger():.5f}, billed {usd:.5f}")
            assert it.ledger() <= usd + len(rounds) * SECOND[provider], "something booked twice"
            assert cloud.violations() == []


@pytest.mark.timeout(60 * KILLS + 60)
@pytest.mark.parametrize("provider", CLOUDS)
def test_the_power_goes(tmp_path: Path, disk: Disk, provider: str) -> None:
    with evening(tmp_path, provider) as cloud, Bill(cloud) as bill:
        it, daemon = Evening(cloud, f"{provider} power"), cloud.daemon
        it.begin()
        for _ in range(KILLS):
            old, since, family = it.session, it.since, descendants(daemon.process.pid)
            cut_at = it.cut(family)
            copy = disk.copied()
            it.worst("copied ms", round((time.monotonic() - cut_at) * 1000))
            daemon.process.wait(END_S)
            daemon.until(lambda family=family: not any(map(alive, family)), END_S, "their end")
            disk.cut(copy)
            it.paid(bill, cut_at)
            it.started_again(old, since, cut_at)
        print(f"{provider}: {dict(it.most)}")
        assert cloud.violations() == []
