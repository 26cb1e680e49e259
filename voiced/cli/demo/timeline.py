"""The picture of a conversation: who sounded when, in what words, and how fast.

The conversation runs through rows like lines of a page. In each row the visitor is above the gate
and the voice below it; every mark stands at the frame of the played file that it belongs to.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

ROW_S: Final = 18.0
"""Seconds a row shows; more where one exchange takes longer ..."""
LONGEST_ROW_S: Final = 26.0
"""... up to here."""
_PAPER: Final = "#faf8f3"
_INK: Final = "#2f3237"
_FAINT: Final = "#8d8f91"
_GRID: Final = "#e8e3d8"
_VISITOR: Final = "#41698a"
_VOICE: Final = "#b9802f"
_GATE: Final = "#93ad8c"
_CUT: Final = "#b04a3a"
_WIDTH_IN: Final = 15.0
_ROW_IN: Final = 2.8
_CHARS_A_SECOND: Final = 10.5
"""How much of the picture's type fits into a second of a row."""
_LINES: Final = 4


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of speech and the words that belong to it."""

    who: str
    """"visitor" or "voice"."""
    start_s: float
    end_s: float
    words: str
    cut: bool = False
    """It was interrupted: these are the words that were heard."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """How long the visitor waited."""

    from_s: float
    """End of the visitor's last sound."""
    to_s: float
    """First sound of the reply."""


class Interruption(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor who spoke into a reply."""

    at_s: float
    """When the service said that the visitor speaks."""
    silent_s: float
    """Behind the last frame of the reply above -60 dBFS."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the picture shows; seconds count from the file's first frame."""

    samplerate: int
    visitor: NDArray[np.int16]
    voice: NDArray[np.int16]
    turns: Sequence[Turn]
    gate: Sequence[tuple[float, float]]
    """When the microphone was open."""
    speech: Sequence[tuple[float, float]]
    """What the service took for the visitor's speech: from started to ended."""
    replies: Sequence[Reply]
    interruptions: Sequence[Interruption]
    title: str
    figures: str
    """A line below the title."""


def draw(scene: Scene, path: Path) -> None:
    """Write the picture as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = _rows(scene)
    height = 1.35 + _ROW_IN * len(rows)
    with plt.rc_context({"font.family": "DejaVu Sans", "font.size": 8.5}):
        figure, axes = plt.subplots(
            len(rows), 1, figsize=(_WIDTH_IN, height), squeeze=False, facecolor=_PAPER
        )
        figure.subplots_adjust(
            left=0.055, right=0.985, top=1 - 1.0 / height, bottom=0.35 / height, hspace=0.16
        )
        figure.text(0.055, 1 - 0.38 / height, scene.title, fontsize=14, color=_INK, weight="bold")
        figure.text(0.055, 1 - 0.66 / height, scene.figures, fontsize=9.5, color=_INK)
        _legend(figure, 1 - 0.38 / height)
        wide = max(ROW_S, *(end - start for start, end in rows))
        for (start, end), axis in zip(rows, axes[:, 0], strict=True):
            _row(axis, scene, start, end, wide)
        figure.savefig(path, dpi=110, facecolor=_PAPER)
        plt.close(figure)


def _rows(scene: Scene) -> list[tuple[float, float]]:
    """Return where each row starts and ends: before a visitor's turn, where one is near enough."""
    sound = [turn.end_s for turn in scene.turns]
    end = max(sound, default=len(scene.visitor) / scene.samplerate) + 0.6
    starts = sorted(
        turn.start_s - 0.4
        for turn in scene.turns
        if turn.who == "visitor"
        # Not where the visitor speaks into a reply: both belong into one row.
        and not any(other.start_s < turn.start_s < other.end_s for other in scene.turns)
    )
    at = max(0.0, min((turn.start_s for turn in scene.turns), default=0.0) - 0.4)
    rows = []
    while at < end - 0.6:
        limit = at + ROW_S
        breaks = [start for start in starts if at + 4.0 < start <= limit]
        if not breaks:  # one exchange longer than a row: whole, if that is possible
            whole = next((start for start in starts if start > limit), end)
            limit = whole if whole <= at + LONGEST_ROW_S else limit
        stop = limit if not breaks or end <= limit else breaks[-1]
        rows.append((at, min(stop, end)))
        at = stop
    return rows


def _row(axis: Any, scene: Scene, start: float, end: float, wide: float) -> None:
    axis.set_xlim(start, start + wide)
    axis.set_ylim(-2.8, 2.4)
    axis.set_facecolor(_PAPER)
    for side in ("top", "left", "right", "bottom"):
        axis.spines[side].set_visible(False)
    axis.set_yticks([1.0, 0.0, -1.0], ["visitor", "microphone", "voice"], color=_FAINT)
    axis.tick_params(length=0, colors=_FAINT, labelsize=8)
    ticks = np.arange(np.ceil(start), end, 1.0)
    axis.set_xticks(ticks, [f"{tick:g} s" if tick % 2 == 0 else "" for tick in ticks])
    axis.vlines(ticks, -2.7, 2.3, color=_GRID, linewidth=0.6, zorder=0)
    _wave(axis, scene.visitor, scene.samplerate, (start, end), 1.0, _VISITOR)
    _wave(axis, scene.voice, scene.samplerate, (start, end), -1.0, _VOICE)
    for low, high in _within(scene.gate, start, end):
        axis.fill_between([low, high], -0.09, 0.09, color=_GATE, linewidth=0, alpha=0.55, zorder=2)
    for low, high in _within(scene.speech, start, end):
        axis.plot([low, high], [0.2, 0.2], color=_VISITOR, linewidth=2.2, zorder=3,
                  solid_capstyle="butt")  # fmt: skip
    for who, base in (("visitor", 1.62), ("voice", -1.62)):
        spoken = [turn for turn in scene.turns if turn.who == who]
        _words(axis, spoken, (start, end, start + wide), base)
    _marks(axis, scene, start, end)


def _wave(
    axis: Any,
    samples: NDArray[np.int16],
    samplerate: int,
    span: tuple[float, float],
    base: float,
    color: str,
) -> None:
    """Draw peaks, 100 a second, by the cube root of their level so that quiet sound is seen."""
    start, end = (max(0, int(edge * samplerate)) for edge in span)
    step = samplerate // 100
    whole = samples[start : min(end, len(samples))]
    whole = whole[: len(whole) // step * step].reshape(-1, step)
    peaks = np.abs(whole.astype(np.float64)).max(axis=1, initial=0.0) / 32768.0
    height = 0.5 * np.cbrt(peaks) * (peaks > 0.001)
    at = span[0] + (np.arange(len(height)) + 0.5) / 100
    axis.fill_between(at, base - height, base + height, color=color, linewidth=0, alpha=0.9)
    axis.plot([span[0], span[1]], [base, base], color=color, linewidth=0.5, alpha=0.35)


def _words(
    axis: Any, turns: Sequence[Turn], edges: tuple[float, float, float], base: float
) -> None:
    """Write each turn's words beside its sound, as wide as there is room before the next turn."""
    start, end, paper = edges  # of the row, and of the paper it is drawn on
    away = 1 if base > 0 else -1
    chars_a_second = _CHARS_A_SECOND * ROW_S / (paper - start)
    for number, turn in enumerate(turns):
        if not start <= max(turn.start_s, start) < min(turn.end_s, end):
            continue
        color = _VISITOR if away > 0 else _VOICE
        low, high = max(turn.start_s, start), min(turn.end_s, end)
        axis.plot([low, high], [base, base], color=color, linewidth=2.6, solid_capstyle="butt")
        if turn.start_s < start:
            continue  # its words stand where it began
        follower = turns[number + 1].start_s if number + 1 < len(turns) else paper
        room = min(follower, paper) - low - 0.1
        words = f"{turn.words} …" if turn.cut else turn.words
        lines = textwrap.wrap(words, max(8, int(room * chars_a_second)))
        if len(lines) > _LINES:
            lines = [*lines[: _LINES - 1], f"{lines[_LINES - 1][:-2].rstrip()} …"]
        axis.text(
            low, base + 0.1 * away, "\n".join(lines), color=_INK, linespacing=1.15,
            va="bottom" if away > 0 else "top", ha="left",
        )  # fmt: skip


def _marks(axis: Any, scene: Scene, start: float, end: float) -> None:
    for reply in scene.replies:
        if not start <= reply.to_s < end:
            continue
        axis.annotate(
            "", (reply.to_s, -0.3), (max(reply.from_s, start), -0.3),
            arrowprops={"arrowstyle": "->", "color": _INK, "linewidth": 0.9},
        )  # fmt: skip
        axis.text(
            reply.to_s + 0.06, -0.3, f"{reply.to_s - reply.from_s:.2f} s", color=_INK,
            va="center", ha="left", fontsize=8,
        )  # fmt: skip
    for cut in scene.interruptions:
        if not start <= cut.at_s < end:
            continue
        axis.vlines(cut.at_s, -1.55, 0.5, color=_CUT, linewidth=1.2, zorder=4)
        axis.text(
            cut.at_s + 0.08, -0.62,
            f"interrupted; silent {1000 * (cut.silent_s - cut.at_s):.0f} ms later",
            color=_CUT, va="center", ha="left", weight="bold", zorder=5,
        )  # fmt: skip


def _within(
    spans: Sequence[tuple[float, float]], start: float, end: float
) -> list[tuple[float, float]]:
    return [(max(a, start), min(b, end)) for a, b in spans if b > start and a < end]


def _legend(figure: Any, y: float) -> None:
    from matplotlib.lines import Line2D

    entries = (
        ("visitor, as the microphone heard", _VISITOR, 5),
        ("the voice, as played", _VOICE, 5),
        ("microphone open", _GATE, 5),
        ("taken for speech", _VISITOR, 2),
        ("interruption", _CUT, 1.2),
    )
    figure.legend(
        [Line2D([], [], color=color, linewidth=width) for _, color, width in entries],
        [name for name, _, _ in entries],
        loc="center right", bbox_to_anchor=(0.985, y), ncols=len(entries), frameon=False,
        labelcolor=_INK, fontsize=8.5, handlelength=1.4, columnspacing=1.6,
    )  # fmt: skip
