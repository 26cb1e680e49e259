"""A finished wav file made into FLAC, a step at a time, so that nothing waits for it.

libsndfile does it, through `soundfile`; without that package the wav stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voiced.recorder.wav import HEADER, leave_room

STEP = 1 << 16
"""Frames a step."""
MISSING = (
    "recordings stay wav: FLAC needs the package soundfile; pip install 'voiced[flac]', or set "
    "Recordingformat to wav"
)


def library() -> Any:
    """Return `soundfile`, None where it cannot be used."""
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: its libsndfile is not there.
        return None
    return soundfile


def frames_of(path: Path) -> int:
    """Return the length of a FLAC file; 0 where there is none that can be read."""
    soundfile = library()
    if soundfile is None or not path.exists():
        return 0
    try:
        with soundfile.SoundFile(path) as file:
            return int(file.frames)
    except soundfile.LibsndfileError:
        return 0


def convert(path: Path, samplerate: int, channels: int) -> Iterator[None]:
    """Put a FLAC file in the place of a wav file of ours; every step yields.

    The new file gets its name when it is whole; only then the old one goes.

    Raises:
        OSError: it cannot be written; the wav file stays.
    """
    soundfile = library()
    assert soundfile is not None
    part = path.with_name(f".{path.stem}.flac.part")
    step = 2 * channels * STEP
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        with (
            path.open("rb") as source,
            soundfile.SoundFile(part, "w", samplerate, channels, "PCM_16", format="FLAC") as target,
        ):
            source.seek(HEADER)
            while samples := source.read(step):
                leave_room(source.fileno(), len(samples))
                target.buffer_write(samples, "int16")
                yield
        part.replace(path.with_suffix(".flac"))
        path.unlink()
    except soundfile.LibsndfileError as error:
        part.unlink(missing_ok=True)
        raise OSError(0, str(error), str(part)) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
