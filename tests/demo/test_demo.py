"""The main job, as anybody can run it: `voiced demo`, judged from the files it leaves.

What is measured. *Understood*: the final rows of visitors in the trace against the recordings'
transcripts, word by word, overall. *Spoken*: each reply that was not interrupted is cut out of the
right channel of conversation.wav, which is what the card's loudspeaker played, and read by the
recogniser against the words of its row in the trace.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import analysis
from voiced.cli.demo.words import WordErrors, word_errors

pytest.importorskip("ctranslate2", reason="the embedded voice's engines are not installed")

ROOT = Path(__file__).resolve().parents[2]
VISITORS = ROOT / "voiced" / "cli" / "visitors"
PASS_RATE = 0.15
PAUSE_S = 1.6
"""Longer than any pause within a reply, shorter than any visitor's turn between two."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Path, str]:
    """One run of the demo: its folder, and what it printed."""
    out = tmp_path_factory.mktemp("demo")
    told = subprocess.run(
        [sys.executable, "-m", "voiced.cli", "demo", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return out, told.stdout


def rows(out: Path, role: str) -> list[dict]:
    transcript = json.loads((out / "trace.json").read_text())["transcript"]
    return [row for row in transcript if row["role"] == role and row["type"] == "text"]


def spoken(printed: str) -> list[str]:
    """Return the recordings that were played, in order, as the demo told."""
    return [line.split("(")[1].split()[0] for line in printed.splitlines()
            if line.rstrip().endswith(("speaks)", "interrupts)"))]  # fmt: skip


@pytest.mark.timeout(360)
def test_visitors_are_understood(shown) -> None:
    out, printed = shown
    with (VISITORS / "transcripts.tsv").open(newline="") as table:
        known = {Path(row["file"]).stem: row["transcript"] for row in
                 csv.DictReader(table, delimiter="\t")}  # fmt: skip
    played = spoken(printed)
    assert len(played) >= 5
    meant = " ".join(known[name] for name in played)
    heard = " ".join(row["message"] for row in rows(out, "user"))
    errors = word_errors(meant, heard)
    assert errors.rate < PASS_RATE, f"{errors}: {heard}"


def test_what_was_played_is_what_it_meant_to_say(shown) -> None:
    from voiced.inference.recogniser import transcribe

    out, _ = shown
    rate, pair = analysis.read_wav(out / "conversation.wav")
    voice = pair[:, 1]
    replies = analysis.spans(voice, rate, gap_s=PAUSE_S)
    meant = rows(out, "assistant")
    assert len(replies) == len(meant), "each row of the voice sounded once"
    total = WordErrors(0, 0)
    read = []
    for (start, end), row in zip(replies, meant, strict=True):
        if "interrupted" in row["metadata"]:
            continue
        import soxr

        sound = soxr.resample(analysis.unit(voice[start:end]), rate, 16_000)
        words = transcribe((np.clip(sound, -1, 1) * 32767).astype(np.int16))
        read.append((row["message"], words))
        total += word_errors(row["message"], words)
    assert total.words > 20
    assert total.rate < PASS_RATE, read


def test_one_visitor_interrupts_and_the_row_keeps_what_was_heard(shown) -> None:
    out, printed = shown
    assert sum("interrupts)" in line for line in printed.splitlines()) == 1
    cut = [row for row in rows(out, "assistant") if "interrupted" in row["metadata"]]
    assert cut, "the row says that it was interrupted"
    assert all(row["message"] for row in cut)


def test_the_picture_and_the_figures_are_there(shown) -> None:
    out, printed = shown
    assert (out / "conversation.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (out / "conversation.png").stat().st_size > 50_000
    assert "word error rate" in printed
    assert "median" in printed
    lines = (out / "transcript.txt").read_text().splitlines()
    assert len(lines) >= 10


def test_nothing_is_left_behind(shown) -> None:
    out, _ = shown
    names = {path.name for path in out.iterdir()}
    assert names == {"conversation.wav", "conversation.png", "transcript.txt", "trace.json",
                     "journal.jsonl"}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--speech", "/nowhere.wav"], "there is no recording /nowhere.wav"),
        (["--speech", __file__], "cannot read the wav file"),
        (["--provider", "nobody"], "there is no session: there is no provider nobody here"),
        (["--out", "/dev/null/here"], "name another folder with --out"),
    ],
)
def test_what_cannot_be_is_told_at_once(words: list[str], sentence: str, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "voiced.cli", "demo", "--out", str(tmp_path), *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 1
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr
