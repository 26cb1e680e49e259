"""Retention and what belongs to a session: what is old goes, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voiced.control import archive
from voiced.control.archive import DAY_S, Removed

OLD = "20250101_100000_gemini_live_gemini-3.1-flash_00000001"
NEW = "20260101_100000_echo_default_00000002"
NOW = 1_800_000_000.0


def put(folder: Path, name: str, age_days: float) -> Path:
    path = folder / name
    if name.endswith(".turns"):
        path.mkdir()
        (path / "00000001_user_1.1.wav").write_bytes(b"x")
    else:
        path.write_bytes(b"x")
    os.utime(path, (NOW - age_days * DAY_S,) * 2)
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_old_sessions_go_with_their_recordings(tmp_path: Path) -> None:
    for name in (".json", ".wav", ".part2.flac", ".turns"):
        put(tmp_path, OLD + name, 31)
    put(tmp_path, f"{NEW}.json", 29)
    removed = archive.expire(tmp_path, NOW - 30 * DAY_S, frozenset())
    assert removed == Removed(traces=1, recordings=3)
    assert names(tmp_path) == [f"{NEW}.json"]


def test_what_still_belongs_to_something_stays(tmp_path: Path) -> None:
    kept = [
        put(tmp_path, f"{OLD}.json", 99),  # its recording is young
        put(tmp_path, f"{OLD}.wav", 1),
        put(tmp_path, f"{NEW}.journal.jsonl", 99),  # it runs, or broke off
        put(tmp_path, f"{NEW}.wav", 99),
        put(tmp_path, "notes.json", 99),  # no session of ours
        put(tmp_path, "show.wav", 99),
        put(tmp_path, "20250101_100000_nohash.json", 99),
        put(tmp_path, f"{OLD}.txt", 99),
    ]
    assert archive.expire(tmp_path, NOW - 30 * DAY_S, frozenset()) == Removed()
    assert names(tmp_path) == sorted(path.name for path in kept)
    assert archive.expire(tmp_path / "none", NOW, frozenset()) == Removed()


def test_a_running_session_is_never_touched(tmp_path: Path) -> None:
    put(tmp_path, f"{OLD}.wav", 99)
    assert archive.expire(tmp_path, NOW, frozenset({OLD})) == Removed()
    assert archive.expire(tmp_path, NOW, frozenset()) == Removed(recordings=1)


def test_a_link_out_of_the_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"x")
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / f"{OLD}.turns").symlink_to(outside)
    os.utime(folder / f"{OLD}.turns", (0, 0), follow_symlinks=False)
    archive.expire(folder, NOW, frozenset())
    assert names(folder) == []
    assert names(outside) == ["mine"]


@pytest.mark.parametrize(
    ("name", "belongs"),
    [
        (f"{OLD}.wav", True),
        (f"{OLD}.part12.flac", True),
        (f".{OLD}.part2.wav", True),
        (f".{OLD}.flac.part", True),
        (f"{OLD}.turns", True),
        (f"{OLD}2.wav", False),
        (f"{OLD}.json", False),
        (f"{OLD}.partx.wav", False),
    ],
)
def test_recordings_of_a_session(tmp_path: Path, name: str, belongs: bool) -> None:
    path = put(tmp_path, name, 0)
    assert archive.recordings_of(tmp_path, OLD) == ([path] if belongs else [])


def test_what_a_dead_recorder_left_hidden_is_swept(tmp_path: Path) -> None:
    for name in (f".{OLD}.wav", f".{OLD}.part2.wav", f".{OLD}.flac.part"):
        put(tmp_path, name, 0)
    kept = [put(tmp_path, name, 0) for name in (f"{OLD}.wav", f".{OLD}.json.part", ".hidden.wav")]
    archive.sweep(tmp_path)
    assert names(tmp_path) == sorted(path.name for path in kept)
    archive.sweep(tmp_path / "none")
