"""Money: what is booked, what is pending, what a minute costs."""

from __future__ import annotations

import msgspec

from voiced.messages.network import Meter, Price, ProviderCard, Usage
from voiced.messages.prices import EVERY_MODEL

BOOK_S = 0.75
"""Time on the wire is booked so often; figures come five times a second: never a second is owed."""
DUST_USD = 1e-9
"""Less is what floating point leaves of two equal sums, and no money."""
BYTES_PER_TOKEN = 4
"""Of written language, near enough for what the first account replaces."""
LEGS_KEPT = 16
"""Older legs whose late account is still taken."""


def price_of(card: ProviderCard, model: str) -> Price | None:
    """Return what a model costs, None if nobody knows."""
    return card.pricing.get(model) or card.pricing.get(EVERY_MODEL)


def dearest(card: ProviderCard) -> Price | None:
    """Return the dearest price of a provider, None if it has none at all.

    An unpriced model counts as this one, so that a typing error is no way around a budget.
    """
    return max(
        card.pricing.values(),
        key=lambda p: p.input_usd_min + p.output_usd_min + p.wallclock_usd_min,
        default=None,
    )


def told_usd(price: Price, size_bytes: int) -> float:
    """Return what a reply costs that is told so much text, before its first word."""
    return size_bytes / BYTES_PER_TOKEN * price.told_usd_million / 1e6


def pricing_text(card: ProviderCard, model: str) -> str:
    """Return the Pricing readout: what a minute costs, as a ballpark."""
    price = price_of(card, model)
    if price is None:
        rest = "; under a budget the dearest model's counts" if card.pricing else ""
        return f"no price known for {model or 'this model'}{rest}"
    return price.text or _ballpark(price)


def _ballpark(price: Price) -> str:
    parts = [
        f"{word} {usd:.3f} USD/min"
        for word, usd in (
            ("in", price.input_usd_min),
            ("out", price.output_usd_min),
            ("connected", price.wallclock_usd_min),
        )
        if usd > 0
    ]
    text = "~" + " ".join(parts) if parts else "free"
    return text if price.verified else f"{text} (unverified)"


def usd_text(usd: float) -> str:
    """Return an amount as the cost readouts show it."""
    return f"${usd:.5f}"


class LegCost(msgspec.Struct, kw_only=True):
    """What one leg has cost."""

    leg: int
    session_id: str
    provider: str
    model: str
    price: Price
    wallclock: bool
    booked: float = 0.0
    pending: float = 0.0
    accounted: float = 0.0
    """Estimate up to the last account of the service: what the pending estimate starts from."""
    assumed: float = 0.0
    """Part of `booked` that was estimated; the account of its response replaces it."""
    estimate: float = 0.0
    seconds_sent: float = 0.0
    seconds_received: float = 0.0
    again: float = 0.0
    """What the next response costs before its first word: by the last account, or what was told."""
    read: bool = False
    """The same of the running response is booked."""
    reserve: float = 0.0
    """The same while any moment may bring that response: unspent, and not to be spent otherwise."""
    ended: bool = False

    def book(self, usd: float) -> float:
        """Add an amount; return what was added, never less than 0."""
        usd = max(0.0, usd)
        self.booked += usd
        return usd

    def meter(self, meter: Meter, *, idle: bool = False) -> float:
        """Take what the leg has used so far; return what that books.

        Time on the wire is booked as it passes where time is what costs. Else it is pending until
        the service's own account, and of a running response booked a second at a time: a daemon
        that is killed has not spent nothing.

        Args:
            meter: the figures.
            idle: nobody speaks and nothing is answered. Who counts tokens takes none for silence.
        """
        if idle and not self.wallclock:
            silent_s = max(0.0, meter.seconds_sent - self.seconds_sent)
            self.accounted += silent_s * self.price.input_usd_min / 60
        self.seconds_sent = max(self.seconds_sent, meter.seconds_sent)
        self.seconds_received = max(self.seconds_received, meter.seconds_received)
        estimate = (
            self.seconds_sent * self.price.input_usd_min
            + self.seconds_received * self.price.output_usd_min
            + meter.connected_s * self.price.wallclock_usd_min
        ) / 60
        self.estimate = max(self.estimate, estimate)
        unaccounted = self.estimate - self.accounted
        if unaccounted < DUST_USD:
            unaccounted = 0.0
        if self.wallclock and unaccounted >= self.price.wallclock_usd_min / 60 * BOOK_S:
            self.accounted, self.pending = self.estimate, 0.0
            return self.book(unaccounted)
        running, step = meter.response_running, self.price.output_usd_min / 60 * BOOK_S
        if running and 0 < step <= unaccounted:
            unaccounted += 0.0 if self.read else self.again
            self.accounted, self.pending, self.reserve = self.estimate, 0.0, 0.0
            self.assumed, self.read = self.assumed + unaccounted, True
            return self.book(unaccounted)
        self.read = self.read and running
        self.pending = unaccounted + (self.again if running and not self.read else 0.0)
        self.reserve = 0.0 if running or meter.buffered_s > 0 else self.again
        return 0.0

    def usage(self, usage: Usage) -> float:
        """Take the service's account of a response; return what it books beyond what was."""
        if usage.aside:
            return self.book(usage.usd)
        if self.wallclock:
            return 0.0
        # A reply comes at once and its account right behind it, mostly before the next figures.
        more_s = max(0.0, usage.seconds_received - self.seconds_received)
        self.seconds_received += more_s
        self.estimate += more_s * self.price.output_usd_min / 60
        self.accounted, self.pending, self.read = self.estimate, 0.0, False
        self.again, self.reserve = max(0.0, usage.again_usd), 0.0
        replaced = min(self.assumed, max(0.0, usage.usd))
        self.assumed -= replaced
        return self.book(usage.usd - replaced)

    def end(self) -> float:
        """Book what is pending as it stands; return it."""
        usd, self.pending, self.ended = self.pending, 0.0, True
        self.reserve = 0.0
        self.assumed += usd
        return self.book(usd)


class Cost:
    """What a conversation has cost, over all its legs."""

    def __init__(self) -> None:
        self._legs: dict[int, LegCost] = {}
        self._first_leg = 0
        self._past = 0.0
        self._before = 0.0
        self._conversation_zero = 0.0
        self._session_zero = 0.0

    def start_conversation(self, first_leg: int) -> None:
        """Forget the readouts of the conversation before; its legs still take late accounts."""
        self._first_leg = first_leg
        self._past = self._before = self._conversation_zero = self._session_zero = 0.0

    def go_on(self, before_usd: float) -> None:
        """Count what the conversation had cost when the daemon ended under it."""
        self._before = max(0.0, before_usd)

    def open_leg(self, leg: LegCost) -> None:
        """Count a new leg; the readout of the session (one leg) starts at 0."""
        before = self._current()
        if before is not None:
            leg.again = max(leg.again, before.again)  # It is told the same conversation.
        self._legs[leg.leg] = leg
        self._session_zero = 0.0
        if len(self._legs) > LEGS_KEPT:
            oldest = min(self._legs)
            if oldest >= self._first_leg:
                self._past += self._legs[oldest].booked
            del self._legs[oldest]

    def leg(self, leg: int) -> LegCost | None:
        """Return what a leg costs, None if it is too old to be kept."""
        return self._legs.get(leg)

    def _current(self) -> LegCost | None:
        latest = max(self._legs, default=-1)
        return self._legs[latest] if latest >= self._first_leg else None

    @property
    def booked(self) -> float:
        """USD of this session that are certain; only grows."""
        own = (leg for number, leg in self._legs.items() if number >= self._first_leg)
        return self._past + sum(leg.booked for leg in own)

    @property
    def pending(self) -> float:
        """USD of the running response, estimated."""
        current = self._current()
        return current.pending if current else 0.0

    @property
    def reserve(self) -> float:
        """USD that a reply would take at once, were it begun now: no longer free to be spent."""
        current = self._current()
        return current.reserve if current else 0.0

    @property
    def again(self) -> float:
        """USD that the next reply takes before its first word, by the last account."""
        current = self._current()
        return current.again if current else 0.0

    @property
    def before(self) -> float:
        """USD that the conversation had cost when the daemon ended under it."""
        return self._before

    @property
    def since_connect(self) -> float:
        """USD of this session, booked and pending."""
        return self.booked + self.pending

    @property
    def conversation(self) -> float:
        """USD of the conversation, booked and pending: what a budget is held against."""
        return self.before + self.since_connect

    def _leg_usd(self) -> float:
        current = self._current()
        return current.booked + current.pending if current else 0.0

    def reset_readouts(self) -> None:
        """Let the readouts start at 0 again; nothing else."""
        self._conversation_zero, self._session_zero = self.conversation, self._leg_usd()

    @property
    def conversation_shown(self) -> float:
        """Conversationcost: USD since the conversation began, or since the meter was reset."""
        return max(0.0, self.conversation - self._conversation_zero)

    @property
    def session_shown(self) -> float:
        """Sessioncost: USD of the leg, or since the meter was reset."""
        return max(0.0, self._leg_usd() - self._session_zero)

    @property
    def seconds(self) -> tuple[float, float]:
        """Audio sent and received by the current leg, s."""
        current = self._current()
        return (current.seconds_sent, current.seconds_received) if current else (0.0, 0.0)
