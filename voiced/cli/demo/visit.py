"""Visitors before the microphone, one after the other; what the daemon tells meanwhile is kept."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from voiced.control.osc.client import Client, NoAnswer
from voiced.control.osc.codec import Argument
from voiced.errors import ExitCode, VoicedError

AGENT: Final = "voice_agent"
PAUSE_S: Final = 0.5
"""Between the end of a reply and the next visitor."""
BARGE_S: Final = 2.3
"""How far into a reply its interrupter begins: past the pause behind its first clause."""
GREETING: Final = "Welcome. I am listening."
JOURNAL: Final = "journal.jsonl"
_FIRST_S: Final = 90.0
"""The first words wait for the models to be loaded."""
_REPLY_S: Final = 30.0
_SPEAKING: Final = 4
_CHOSEN: Final = (
    "lv_0890.wav",
    "lv_0880.wav",
    "lv_0930.wav",
    "lv_0870.wav",
    "lv_0920.wav",
    "lj_0001.wav",
)
_INTERRUPTER: Final = 2
"""Which visitor does not wait for the reply's end."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """A recording of somebody."""

    path: Path
    transcript: str = ""
    """What is said in it; "" = not known."""
    interrupts: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One message from the daemon."""

    at: float
    """time.monotonic() of its arrival."""
    address: str
    """Without the agent: "cb/onUserText"; the daemon's own: "/voiced/audio/started"."""
    args: tuple[Argument, ...]


def visitors(files: Sequence[str]) -> list[Visitor]:
    """Return the visitors of the command line, or the packaged ones.

    Raises:
        VoicedError: a recording does not exist.
    """
    folder = Path(__file__).parents[1] / "visitors"
    with (folder / "transcripts.tsv").open(encoding="utf-8", newline="") as table:
        known = {row["file"]: row["transcript"] for row in csv.DictReader(table, delimiter="\t")}
    paths = [Path(name).resolve() for name in files] or [folder / name for name in _CHOSEN]
    for path in paths:
        if not path.is_file():
            raise VoicedError(f"there is no recording {path}")
    return [
        Visitor(
            path=path,
            transcript=known.get(path.name, ""),
            interrupts=number == _INTERRUPTER,
        )
        for number, path in enumerate(paths)
    ]


class Visit:
    """One conversation, driven and observed through the OSC door alone.

    Args:
        client: a connection to the daemon.
        state_dir: the daemon's, to keep its journal before it becomes the trace.
        out: where the journal and the trace go.
    """

    def __init__(self, client: Client, state_dir: Path, out: Path) -> None:
        self.events: list[Event] = []
        self.visitors: list[Visitor] = []
        self._client, self._state_dir, self._out = client, state_dir, out
        self._phase = 0
        self._begin = 0.0
        self._open = False
        self._printed: dict[str, str] = {}

    def talk(self, visitors: Sequence[Visitor]) -> None:
        """Let everybody speak in turn, then hang up.

        Raises:
            VoicedError: the daemon does not do its part, or says why it cannot.
        """
        self._begin = time.monotonic()
        self._client.ask("/voiced/subscribe", "/*", 3600, "flat", timeout=10.0)
        self._client.send(f"/{AGENT}/par/Connect")
        self._until(lambda e: e.address == "cb/onSessionStart", _FIRST_S, "a session")
        self._open = True
        self._keep_journal()
        self._client.send(f"/{AGENT}/say", GREETING)
        self._until(self._speaks, _FIRST_S, "the voice's first words")
        for visitor in visitors:
            if visitor.interrupts and self._phase == _SPEAKING:
                self._listen(BARGE_S)
            else:
                self._until_quiet()
                self._listen(PAUSE_S)
            self._speak(visitor)
        self._until_quiet()
        self._listen(PAUSE_S)
        self._client.do(f"/{AGENT}/par/Disconnect", timeout=10.0)
        ended = self._until(lambda e: e.address == "cb/onSessionEnd", 10.0, "the session's end")
        self._listen(1.0)  # the card brings its recordings to the disk once a second
        trace = Path(str(ended.args[2]))
        if trace.is_file():
            shutil.copy(trace, self._out / "trace.json")

    def _speak(self, visitor: Visitor) -> None:
        self.visitors.append(visitor)
        word = "interrupts" if visitor.interrupts and self._phase == _SPEAKING else "speaks"
        self._print("", f"({visitor.path.stem} {word})")
        self._client.send("/voiced/audio/play", AGENT, str(visitor.path))
        self._until(lambda e: e.address == "/voiced/audio/ended", _FIRST_S, "the recording's end")
        # The reply, which may already be on its way, or a turn without words.
        with contextlib.suppress(VoicedError):
            self._until(self._speaks, _REPLY_S, "a reply")

    def _speaks(self, event: Event) -> bool:
        return event.address == "sig/phase" and event.args[0] == _SPEAKING

    def _until_quiet(self) -> None:
        if self._phase == _SPEAKING:
            self._until(
                lambda e: e.address == "sig/phase" and e.args[0] != _SPEAKING,
                _FIRST_S,
                "the reply's end",
            )

    def _keep_journal(self) -> None:
        """Hold on to the session's journal: it is gone once it has become the trace."""
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            for journal in self._state_dir.glob(f"voice_sessions/{AGENT}/*.journal.jsonl"):
                kept = self._out / JOURNAL
                kept.unlink(missing_ok=True)
                os.link(journal, kept)
                return
            self._listen(0.05)
        raise VoicedError("the daemon writes no journal of this session")

    # What the daemon tells.

    def _until(self, wanted: Callable[[Event], bool], seconds: float, what: str) -> Event:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            event = self._receive(left)
            if event is not None and wanted(event):
                return event
        raise VoicedError(f"{what} did not come within {seconds:.0f} s")

    def _listen(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._receive(left)

    def _receive(self, timeout: float) -> Event | None:
        try:
            said = self._client.receive(timeout)
        except NoAnswer:
            return None
        match said.address, said.args:
            case "/voiced/error", (_, str() as code, str() as sentence) if code != "later":
                raise VoicedError(sentence)
        address = said.address.removeprefix(f"/{AGENT}/")
        event = Event(at=time.monotonic(), address=address, args=said.args)
        if not address.startswith(("par/", "sig/")) or address in ("sig/phase", "sig/mic_open"):
            self.events.append(event)
            self._show(event)
        return event

    def _show(self, event: Event) -> None:
        match event.address, event.args:
            case "sig/phase", (float() | int() as phase,):
                self._phase = int(phase)
            case "cb/onUserText", (str() as text, 1, str() as row):
                self._say("visitor", text, row)
            case "cb/onAssistantText", (str() as text, 1, str() as row):
                self._say("voice", text, row)
            case "cb/onError", ("provider", _, str() as sentence) if not self._open:
                raise VoicedError(f"there is no session: {sentence}")
            case "cb/onError", (_, _, str() as sentence):
                self._print("", f"! {sentence}")
            case _:
                pass

    def _say(self, who: str, text: str, row: str) -> None:
        before = self._printed.get(row)
        self._printed[row] = text
        if before is None and text:
            self._print(who, text)
        elif before is not None and len(text) < len(before):
            self._print(who, f"... was cut off; heard: {text.strip()}")

    def _print(self, who: str, words: str) -> None:
        seconds = int(time.monotonic() - self._begin)
        print(f"{seconds // 60}:{seconds % 60:02}  {who:9}{words}", flush=True)


def live(client: Client) -> int:
    """Let whoever stands at the microphone talk until Ctrl-C; print what is said."""
    print("speak; Ctrl-C ends it", flush=True)
    client.do(f"/{AGENT}/par/Connect", timeout=10.0)
    shown = {"cb/onUserText": "visitor", "cb/onAssistantText": "voice"}
    try:
        for said in client.listen(f"/{AGENT}/*"):
            name = said.address.removeprefix(f"/{AGENT}/")
            match said.args:
                case (str() as status,) if name == "par/Enginestatus":
                    if not status.startswith(("ready", "starting")):
                        print(f"! {status}", flush=True)
                case (str() as text, int() as final, str()) if name in shown and text:
                    if final:
                        print(f"\r\x1b[K{shown[name]:9}{text}", flush=True)
                    elif sys.stdout.isatty():
                        width = shutil.get_terminal_size().columns - 1
                        print(f"\r\x1b[K{shown[name]:9}{text}"[: width + 5], end="", flush=True)
                case (_, _, str() as sentence) if name == "cb/onError":
                    print(f"! {sentence}", flush=True)
                case _:
                    pass
    except KeyboardInterrupt:
        print()
    return ExitCode.DONE
