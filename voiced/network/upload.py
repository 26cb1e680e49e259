"""What of the microphone leaves, and when: the pure core of the pump. No ring, no clock, no socket.

Time is a line of near frames. The edge log says where the gate was open, the epoch log where a new
stream began; between the edges everything is sent once and in order, outside them nothing. `next`
walks this line a step at a time and returns what the shell is to do: send a stretch of frames, tell
the provider an edge, tell the mind that something was skipped, or wait for more frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from voiced.lane.words import Edge


class Stretch(NamedTuple):
    """Send the frames from `start` up to `stop`."""

    start: int
    stop: int
    fresh: bool
    """They do not continue what was sent before: the resampler starts anew."""


class Opened(NamedTuple):
    """The gate opened: what follows starts at `frame`, pre-roll included."""

    frame: int


class Closed(NamedTuple):
    """The gate closed: everything before `frame` has been returned as stretches."""

    frame: int


class Slipped(NamedTuple):
    """Talk was held for a moment in which nobody spoke: no turn, nothing of it is sent."""

    start: int
    stop: int


class Skipped(NamedTuple):
    """Frames that should have been sent are not."""

    frames: int
    to_frame: int
    lapped: bool
    """They were overwritten before they could be read; else they were too old."""


class Wait(NamedTuple):
    """There is nothing to do before more frames are there."""


Step = Stretch | Opened | Closed | Slipped | Skipped | Wait


class Rules(NamedTuple):
    """What one leg may send."""

    push_to_talk: bool
    preroll_frames: int
    """Pre-roll before an opening by Talk."""
    floor: int
    """The opening of the session: no pre-roll reaches before it."""
    sounds: Callable[[int, int], bool]
    """Whether this lane's loudspeaker sounded between two frames."""
    least_frames: int = 0
    """A turn by Talk that is shorter is one only if somebody speaks in it."""
    speaks: Callable[[int, int], bool] = lambda start, stop: True
    """Whether somebody speaks between two frames."""


class Upload:
    """One leg's walk along near.

    Attributes:
        position: the next frame to look at; everything before it has been decided.
        sending: whether the gate is open at `position`.
        listening: Talk is held since `position`, and it is not known yet whether that is a turn.
    """

    def __init__(self, position: int, edges: Iterable[Edge], rules: Rules) -> None:
        self.position = position
        self.sending = self.listening = False
        self._rules = rules
        self._edges: deque[Edge] = deque()
        self._epochs: deque[int] = deque()
        self._last_close = 0
        self._epoch = 0
        self._fresh = True
        self._announce = False
        """The gate was already open at the first position: say so before the first frame."""
        for edge in edges:
            # A turn that ends exactly here was sent before: of it not even its borders are left.
            if edge.frame > position or (edge.open and edge.frame == position):
                self._edges.append(edge)
            else:
                self._announce = edge.open
                if not edge.open:
                    self._last_close = edge.frame

    def learn(self, edges: Iterable[Edge], epochs: Iterable[int] = ()) -> None:
        """Take note of new edges and of frames at which new epochs start, in order."""
        self._edges.extend(edges)
        for epoch in epochs:
            if epoch > self.position:
                self._epochs.append(epoch)
            else:
                self._epoch = epoch

    def begin_turn(self, frame: int) -> None:
        """The user's turn began at `frame` while the gate could not open (Talkconnects)."""
        self._insert(Edge(frame, True, -1))

    def end_turn(self, frame: int) -> None:
        """The user's turn ended at `frame`, and no edge says so (audio was down)."""
        self._insert(Edge(frame, False, -1))

    def _insert(self, told: Edge) -> None:
        later = [edge for edge in self._edges if edge.frame >= told.frame]
        kept = [edge for edge in self._edges if edge.frame < told.frame]
        self._edges = deque([*kept, told, *later])

    def trim(self, write: int, keep_frames: int) -> Skipped | None:
        """Drop what is too old to be sent to a new leg; tell how much of it was speech to send.

        A turn (a stretch with the gate open) that ended within the last `keep_frames` stays whole.
        One that still goes on stays whole with push-to-talk, where it is one turn; else its last
        `keep_frames` stay.
        """
        cutoff = write - keep_frames
        target, skipped = self.position, 0
        for start, stop, ongoing in self._turns(write):
            if keep_frames == 0 or (ongoing and not self._rules.push_to_talk):
                until = min(stop, max(cutoff, start))
            else:
                until = stop if stop < cutoff else start
            if until > start:
                skipped += until - start
                target = until
            if until < stop:
                break
        if not skipped:
            return None
        self._drop_before(target)
        return Skipped(skipped, target, lapped=False)

    def _turns(self, write: int) -> Iterator[tuple[int, int, bool]]:
        """Yield where the gate opens and closes from here on, and whether it is still open."""
        opened = self.position if self._announce or self.sending else None
        for edge in self._edges:
            if edge.open and opened is None:
                opened = edge.frame
            elif not edge.open and opened is not None:
                yield opened, edge.frame, False
                opened = None
        if opened is not None:
            yield opened, write, True

    def next(self, write: int, oldest: int, at_most: int) -> Step:
        """Return the next step.

        Args:
            write: first frame not yet written; all edges before it have been learned.
            oldest: oldest frame that can still be read.
            at_most: frames of the longest stretch.
        """
        if self.position < oldest:
            lost = self._lost(oldest)
            if lost is not None:
                return lost
        if self._announce:
            self._announce = False
            return self._open(self.position, self.position)
        while True:
            edge = self._edges[0] if self._edges else None
            if edge is not None and edge.frame <= self.position:
                slip = self._slip(edge, write)
                self.listening = isinstance(slip, Wait)
                if slip is not None:
                    return slip
                self._edges.popleft()
                step = self._pass(edge, oldest)
                if step is not None:
                    return step
                continue
            stop = write if edge is None else min(edge.frame, write)
            while self._epochs and self._epochs[0] <= self.position:
                self._epoch = self._epochs.popleft()
                self._fresh = True
            if self._epochs:
                stop = min(stop, self._epochs[0])
            if stop <= self.position:
                return Wait()
            if self.sending:
                return self._stretch(min(stop, self.position + at_most))
            self.position = stop
            self._fresh = True

    def _slip(self, edge: Edge, write: int) -> Slipped | Wait | None:
        """Judge a turn that Talk begins: it was a slip, one has to wait, or (None) it is a turn."""
        if not edge.open or self.sending or not self._rules.push_to_talk:
            return None
        until = edge.frame + self._rules.least_frames
        ends = next((each.frame for each in self._edges if not each.open), write)
        begins = max(0, edge.frame - self._rules.preroll_frames)
        if ends >= until or self._rules.speaks(begins, ends):
            return None
        if all(each.open for each in self._edges):
            return Wait()
        while self._edges.popleft().open:
            pass
        self.position = self._last_close = ends
        self._fresh = True
        return Slipped(edge.frame, ends)

    def _pass(self, edge: Edge, oldest: int) -> Step | None:
        if edge.open and not self.sending:
            earliest = max(oldest, self._last_close, self._epoch, self._rules.floor)
            return self._open(edge.frame, earliest)
        if not edge.open:
            self._last_close = edge.frame
            if self.sending:
                self.sending = False
                return Closed(max(edge.frame, self.position))
        return None

    def _open(self, frame: int, earliest: int) -> Opened:
        start = max(frame, self.position)
        if self._rules.push_to_talk and self._rules.preroll_frames:
            wish = max(frame - self._rules.preroll_frames, earliest)
            if wish < start and not self._rules.sounds(wish, start):
                start = wish
        self.position, self.sending, self._fresh = start, True, True
        return Opened(start)

    def _stretch(self, stop: int) -> Stretch:
        step = Stretch(self.position, stop, self._fresh)
        self.position, self._fresh = stop, False
        return step

    def _lost(self, oldest: int) -> Skipped | None:
        """Go on at the oldest frame that is left; the writer has lapped the position."""
        turns = list(self._turns(oldest))
        lost = sum(max(0, min(stop, oldest) - start) for start, stop, _ in turns)
        self._drop_before(oldest)
        return Skipped(lost, oldest, lapped=True) if lost else None

    def _drop_before(self, frame: int) -> None:
        """Move to `frame`; a turn that was being sent and goes on there stays the same turn."""
        is_open = self.sending or self._announce
        closed_between = False
        while self._edges and self._edges[0].frame <= frame:
            if self._edges[0].open and self._edges[0].frame == frame:
                break
            edge = self._edges.popleft()
            is_open = edge.open
            if not edge.open:
                self._last_close = edge.frame
                closed_between = True
        if self.sending and closed_between:
            # The turn being sent ended in what was lost: close it first, then go on.
            self._edges.appendleft(Edge(frame, is_open, -1))
            if is_open:
                self._edges.appendleft(Edge(frame, False, -1))
        elif not self.sending:
            self._announce = is_open
        self.position, self._fresh = frame, True


class Pace:
    """How fast kept speech may leave: real time once caught up, a multiple of it before.

    Args:
        multiple: CATCHUP_PACE of the provider.
    """

    START_S = 0.3
    """A backlog from which catching up is paced; less than this leaves as fast as it is taken."""
    STOP_S = 0.05

    def __init__(self, multiple: float) -> None:
        self._multiple = multiple
        self._since: float | None = None
        self._sent_s = 0.0

    def due_s(self, now_s: float, backlog_s: float) -> float:
        """Return the instant from which the next stretch may be sent (`now_s`: at once)."""
        if self._since is None:
            if backlog_s < self.START_S:
                return now_s
            self._since, self._sent_s = now_s, 0.0
        elif backlog_s < self.STOP_S:
            self._since = None
            return now_s
        return max(now_s, self._since + self._sent_s / self._multiple)

    def sent(self, seconds: float) -> None:
        """Count a stretch that was sent."""
        self._sent_s += seconds


class _Anchor(NamedTuple):
    sample: int
    frame: int
    near_rate: int


class SampleMap:
    """From the samples a provider was given to the near frames they were spoken at."""

    KEPT = 256
    """Runs of samples remembered; a position before the oldest is taken for its start."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._anchors: deque[_Anchor] = deque(maxlen=self.KEPT)

    def anchor(self, sample: int, frame: int, near_rate: int) -> None:
        """Say that `sample` and what follows it were spoken from `frame` on, at `near_rate`.

        A `near_rate` of 0 says that they were not spoken at all: silence sent behind `frame`.
        """
        if self._anchors and self._anchors[-1].sample == sample:
            self._anchors.pop()
        self._anchors.append(_Anchor(sample, frame, near_rate))

    def frame_of(self, sample: int) -> int:
        """Return the near frame of a sample; -1 where nothing was sent yet."""
        if not self._anchors:
            return -1
        at = bisect_right(self._anchors, sample, key=lambda anchor: anchor.sample) - 1
        anchor = self._anchors[max(at, 0)]
        return anchor.frame + max(0, sample - anchor.sample) * anchor.near_rate // self._rate
