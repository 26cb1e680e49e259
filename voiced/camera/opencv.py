"""A camera as OpenCV opens it: a device of the system, a stream's address or a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from voiced.messages.pictures import MAX_PICTURE

LONGEST_SIDE = 768
"""Pixels; the services look no closer."""
QUALITIES = (80, 50, 20)
"""Of a JPEG; the first that is small enough counts."""
STREAM_MS = 5000
"""A stream that is silent for so long is opened anew."""
_SLOWEST, _FASTEST = 1.0, 60.0


class Source:
    """An opened camera; every call may wait for it."""

    def __init__(self, capture: Any, film: bool) -> None:
        self._capture = capture
        rate = capture.get(cv2.CAP_PROP_FPS) if film else 0.0
        # A film has no pace of its own: it would be over at once.
        self.pace_s = 1.0 / min(max(rate, _SLOWEST), _FASTEST) if film else 0.0

    def skip(self) -> bool:
        """Take the next picture without looking at it; False where there is none any more."""
        return bool(self._capture.grab())

    def look(self) -> bytes:
        """Return the picture that was taken last as a JPEG; empty where there is none."""
        found, frame = self._capture.retrieve()
        return _coded(frame) if found else b""

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


def open_source(source: str) -> Source | None:
    """Open a number, a device, a film or a stream; None where it gives nothing."""
    cv2.setNumThreads(1)
    try:
        if source.isdigit():
            capture = cv2.VideoCapture(int(source))
        elif "://" in source:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, STREAM_MS,
                      cv2.CAP_PROP_READ_TIMEOUT_MSEC, STREAM_MS]  # fmt: skip
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(source)
    except cv2.error:
        return None
    if not capture.isOpened():
        capture.release()
        return None
    # The newest picture is wanted, not the oldest of a queue.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return Source(capture, film="://" not in source and Path(source).is_file())


def _coded(frame: Any) -> bytes:
    height, width = frame.shape[:2]
    share = LONGEST_SIDE / max(height, width)
    if share < 1:
        size = (max(1, round(width * share)), max(1, round(height * share)))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    for quality in QUALITIES:
        done, coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and len(coded) <= MAX_PICTURE:
            return bytes(coded)
    return b""
