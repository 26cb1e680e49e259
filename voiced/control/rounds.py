"""What control does four times a second, whatever else happens: it lives, and looks around."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from voiced import __version__
from voiced.control.archive import DAY_S
from voiced.control.books import Books, moment
from voiced.control.hands import Hands
from voiced.control.in_force import InForce
from voiced.control.instance import RUN_FILE, RunFile
from voiced.control.minds import Minds
from voiced.control.sdnotify import Notify
from voiced.control.surface import DaemonSurface
from voiced.lane.words import Owner

EVERY_S = 0.25
"""How often control says that it lives, and looks whether its children do."""


class Rounds:
    """Control's rounds.

    Args:
        ports: returns the OSC door's and the web door's port.
        trace_folders: returns every folder that traces are written into.
        recording: returns the sessions whose recordings are being written.

    Attributes:
        due: when the next one is, on the loop's clock.
        status: the line that the service manager was told last.
    """

    def __init__(
        self,
        hands: Hands,
        minds: Minds,
        books: Books,
        in_force: InForce,
        surface: DaemonSurface,
        notify: Notify,
        ports: Callable[[], tuple[int, int]],
        trace_folders: Callable[[], list[Path]],
        recording: Callable[[], frozenset[str]],
    ) -> None:
        self._hands, self._minds, self._books = hands, minds, books
        self._in_force, self._surface, self._notify = in_force, surface, notify
        self._ports, self._trace_folders, self._recording = ports, trace_folders, recording
        self.due = self._expire_at = 0.0
        self.status = ""
        self._run_file: RunFile | None = None

    def go(self, now: float) -> None:
        """Do what is due: say that the mind lives, see that the hands do."""
        if now < self.due:
            return
        self.due = now + EVERY_S
        self._hands.device.stamp(Owner.CONTROL)
        self._hands.watch()
        # Hung children are being dealt with from here on, by deadlines of this very loop.
        self._notify.watchdog()
        self._books.flush(now)
        self.allow()
        if now >= self._expire_at:
            self._expire_at = now + DAY_S
            self._expire()
        self._tell_shell()

    def allow(self) -> None:
        """Hold the day's and the month's budget against what was spent and is pending."""
        now = moment()
        self._minds.allow(lambda elsewhere: self._books.allowance.left(now, elsewhere))

    def expire_next(self) -> None:
        """Have the next round look for what is older than it may be, else one in a day."""
        self._expire_at = 0.0

    def _expire(self) -> None:
        days = self._in_force.config.storage.retention_days
        if days > 0:
            self._books.expire(self._trace_folders(), days, self._recording())

    def _tell_shell(self) -> None:
        """Keep run.json and the status line true."""
        children = self._hands.children
        osc_port, web_port = self._ports()
        run_file = RunFile(
            pid=os.getpid(),
            version=__version__,
            osc_host=self._in_force.config.osc.bind,
            osc_port=osc_port,
            web_port=web_port,
            children={child.name: child.pid for child in children if child.pid},
            ready=[child.name for child in children if child.running],
        )
        if run_file != self._run_file:
            self._run_file = run_file
            self._books.replace(RUN_FILE, msgspec.json.encode(run_file) + b"\n")
        status = self._surface.sentence()
        if self._in_force.loaded.broken:
            status += "; the configuration file is broken, the last good one runs"
        if status != self.status:
            self.status = status
            self._notify.status(status)
