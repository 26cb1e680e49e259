"""The user's turns of the microphone: where they lie, and what was said in them."""

from __future__ import annotations

from dataclasses import dataclass

KEPT = 64


@dataclass
class Turn:
    """One turn as the service names it."""

    item: str
    start: int | None = None
    """First sample."""
    end: int | None = None
    begun: bool = False
    """Its beginning was told."""
    running: bool = False
    """The user is speaking, as far as the service has told."""
    read: bool = False
    """The service has written it down, if only as nothing."""
    answered: bool = False
    """A reply to it was begun."""
    replied: bool = False
    """Something of that reply has come."""
    earlier: str = ""
    """Words of it that were told to be final, before the user spoke on."""
    text: str = ""
    settled: bool = False
    """Its final words were told, or that it has none."""
    spoken: bool = True
    """Somebody spoke; False: the service committed silence by itself."""


class Turns:
    """The user's turns, newest last, in samples that `send_audio_frame` was given.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._turns: dict[str, Turn] = {}
        self._inserted: list[tuple[int, int]] = []
        """(position, samples) of silence that the service heard and the microphone did not."""
        self.appended = 0
        """Samples that the service was sent, inserted ones among them."""

    @property
    def taken(self) -> int:
        """Samples of the microphone that were sent."""
        return self.appended - sum(count for _, count in self._inserted)

    def insert(self, samples: int) -> None:
        """Note silence of our own that is appended now."""
        self._inserted.append((self.appended, samples))
        self.appended += samples

    def sample(self, ms: float | None) -> int | None:
        """Return the microphone's sample at a position that the service tells."""
        if ms is None or not 0 <= ms < 1e10:
            return None
        position = int(ms) * self._rate // 1000
        before = sum(min(count, position - at) for at, count in self._inserted if at < position)
        return min(position - before, self.taken)

    def of(self, item: str) -> Turn:
        """Return a turn; a new one if this is its first sign."""
        if item not in self._turns:
            self._turns[item] = Turn(item)
            while len(self._turns) > KEPT:
                del self._turns[next(iter(self._turns))]
        return self._turns[item]

    def unsettled(self) -> list[Turn]:
        """Return the turns that were written down and whose final words were not told."""
        turns = self._turns.values()
        return [turn for turn in turns if (turn.text or turn.read) and not turn.settled]

    def answer(self, *, running: bool) -> None:
        """A reply begins: to every turn but, unless `running`, the one that is being spoken."""
        for turn in self._turns.values():
            turn.answered |= running or not turn.running

    def replied(self) -> list[Turn]:
        """Something of a reply has come; return the turns whose words are final by that."""
        for turn in self._turns.values():
            turn.replied |= turn.answered
        return [turn for turn in self.unsettled() if turn.replied]

    def goes_on(self, turn: Turn) -> None:
        """The user speaks on in a turn that was taken for over; what was told stays told."""
        turn.answered = turn.replied = turn.read = False
        if turn.settled:
            turn.settled, turn.earlier, turn.text = False, turn.earlier + turn.text, ""
            turn.item = f"{turn.item}+"

    def open(self) -> list[Turn]:
        """Return the turns that ended and of which nothing final was told."""
        return [turn for turn in self._turns.values() if turn.end is not None and not turn.settled]
