"""What may still be spent today and this month, over all agents: `[budget]` against the ledger.

A booking counts for the day and the month by its own time, and by its age where the machine has run
since: whoever sets the clock forward has not slept, and finds the day's money spent. What is dated
in the future, because a clock was set back, counts as well.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable

import msgspec

from voiced.control.config.model import BudgetConfig
from voiced.control.ledger import Booking, day_started, month_started

KEPT_S = 32 * 86_400.0
"""Older bookings are in no day and no month."""
MINUTE_S = 60.0
STEP_S = 1.0
"""A wall clock that moved against the machine's by more was set."""


class Now(msgspec.Struct, frozen=True):
    """A moment, by the clock people read and by the one nobody sets."""

    unix: float
    boot: str
    """Names the machine's present run; "" = not known."""
    boot_s: float
    """Seconds since it began, sleep included."""


class Left(msgspec.Struct, frozen=True):
    """The smallest remainder of the budgets that are set."""

    usd: float
    """inf = none is set."""
    sentence: str
    """Which budget it is, and until when it holds."""


class _Minute(msgspec.Struct):
    """What one minute has cost: days begin at whole minutes, and years are full of replies."""

    unix: float
    """When it began."""
    boot: str
    boot_s: float
    """Of its last booking."""
    usd: float = 0.0


class Allowance:
    """The budgets of a configuration and what has been booked against them.

    Args:
        budget: the limits.
        bookings: of the ledger.
        local: turns Unix seconds into local time; a day ends where the installation stands.
    """

    def __init__(
        self,
        budget: BudgetConfig,
        bookings: Iterable[Booking],
        now: Now,
        local: Callable[[float], datetime.datetime] = lambda unix: datetime.datetime.fromtimestamp(
            unix
        ).astimezone(),
    ) -> None:
        self._budget, self._local = budget, local
        self._minutes: dict[tuple[float, str], _Minute] = {}
        for booking in bookings:
            if _since(booking, now.unix - KEPT_S, now):
                self._note(booking)
        self._key: tuple[float, float, float] | None = None
        self._day_usd = self._month_usd = 0.0

    def configure(self, budget: BudgetConfig) -> None:
        """Take other limits; what was spent stays spent."""
        self._budget, self._key = budget, None

    def booked(self, booking: Booking) -> None:
        """Count money; what is booked now is in every period."""
        self._note(booking)
        self._day_usd += booking.usd
        self._month_usd += booking.usd

    def _note(self, booking: Booking) -> None:
        began = booking.unix // MINUTE_S * MINUTE_S
        minute = self._minutes.get((began, booking.boot))
        if minute is None:
            minute = _Minute(began, booking.boot, booking.boot_s)
            self._minutes[began, booking.boot] = minute
        minute.boot_s = max(minute.boot_s, booking.boot_s)
        minute.usd += booking.usd
        if len(self._minutes) > KEPT_S / MINUTE_S:
            # So many minutes ago is too long ago by every clock.
            del self._minutes[next(iter(self._minutes))]

    def left(self, now: Now, pending_usd: float = 0.0) -> Left:
        """Return what may still be spent.

        Args:
            now: the moment.
            pending_usd: spent, and not booked yet.
        """
        budget = self._budget
        if budget.day <= 0 and budget.month <= 0:
            return Left(math.inf, "")
        self._count(now)
        ends = f"it begins anew at {budget.day_ends}"
        found = [
            Left(limit - spent - pending_usd, f"{name} ({limit:g} USD) is spent: {until}")
            for name, limit, spent, until in (
                ("budget.day", budget.day, self._day_usd, ends),
                ("budget.month", budget.month, self._month_usd, "it begins anew next month"),
            )
            if limit > 0
        ]
        return min(found, key=lambda left: left.usd)

    def _count(self, now: Now) -> None:
        """Sum the bookings of this day and month, where these or the clock have changed."""
        hours, minutes = map(int, self._budget.day_ends.split(":"))
        ends, local = datetime.time(hours, minutes), self._local(now.unix)
        day = day_started(local, ends).timestamp()
        month = month_started(local, ends).timestamp()
        offset = now.unix - now.boot_s
        if self._key is not None:
            same = self._key[:2] == (day, month) and abs(self._key[2] - offset) <= STEP_S
            if same:
                return
        self._key = (day, month, offset)
        for key, minute in list(self._minutes.items()):
            if not _since(minute, now.unix - KEPT_S, now):
                del self._minutes[key]
        kept = self._minutes.values()
        self._day_usd = sum(each.usd for each in kept if _since(each, day, now))
        self._month_usd = sum(each.usd for each in kept if _since(each, month, now))


def _since(booking: Booking | _Minute, began: float, now: Now) -> bool:
    """Tell whether a booking was made since `began`, by any clock that says so."""
    if booking.unix >= began:
        return True
    here = bool(now.boot) and booking.boot == now.boot
    return here and now.boot_s - booking.boot_s < now.unix - began
