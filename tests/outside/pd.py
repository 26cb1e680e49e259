"""Pd without a window or a sound card: what it prints, and that it ends by itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.daemon.rig import ROOT

MISSING = [] if shutil.which("pd") else ["pd"]
CONVERSATION = ROOT / "integrations" / "conversation.pd"
REHEARSAL = Path(__file__).with_name("rehearsal.pd")


class Pd:
    """One run of patches.

    Args:
        patches: opened in this order.
        messages: sent once they are open.
    """

    def __init__(self, *patches: Path, messages: tuple[str, ...] = ()) -> None:
        opened = [word for patch in patches for word in ("-open", str(patch))]
        sent = [word for message in messages for word in ("-send", message)]
        self._process = subprocess.Popen(
            ["pd", "-nogui", "-stderr", "-noprefs", "-noaudio", "-nomidi", *opened, *sent],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Pd:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(5)
        self._reader.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def wait(
        self, pattern: str, wanted: Callable[[re.Match[str]], bool] = bool, deadline_s: float = 60.0
    ) -> re.Match[str]:
        """Return the first line that is the pattern."""
        deadline, place = time.monotonic() + deadline_s, 0
        with self._came:
            while True:
                for line in self.lines[place:]:
                    found = re.fullmatch(pattern, line)
                    if found is not None and wanted(found):
                        return found
                place = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0 or not self._came.wait(left):
                    raise AssertionError(f"Pd printed no {pattern!r}, but {self.lines[-20:]}")

    def end(self, deadline_s: float = 20.0) -> int:
        """Wait for Pd to quit by itself; return its exit status."""
        status = self._process.wait(deadline_s)
        self._reader.join(5)
        return status

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._came:
                self.lines.append(line.strip())
                self._came.notify_all()
