"""OpenCV itself: a film and a camera's stream on loopback become pictures that a service takes."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from voiced.camera.opencv import LONGEST_SIDE, open_source
from voiced.messages.pictures import MAX_PICTURE, is_jpeg, is_whole

SIZE = (1280, 720)


def film(path: Path, frames: int = 5, size: tuple[int, int] = SIZE, rate: float = 25.0) -> Path:
    """Write a film of grey that gets lighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, size)
    assert writer.isOpened()
    for n in range(frames):
        writer.write(np.full((size[1], size[0], 3), 40 * n, np.uint8))
    writer.release()
    return path


def brightness(jpeg: bytes) -> tuple[tuple[int, int], float]:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return picture.size, float(np.asarray(picture.convert("L")).mean())


def test_a_film_has_its_pace_and_its_end(tmp_path: Path) -> None:
    source = open_source(str(film(tmp_path / "film.avi")))
    assert source is not None
    assert source.pace_s == pytest.approx(1 / 25)
    levels = []
    while source.skip():
        jpeg = source.look()
        assert is_jpeg(jpeg)
        assert is_whole(jpeg)
        size, level = brightness(jpeg)
        assert size == (LONGEST_SIDE, 432)
        levels.append(level)
    source.close()
    assert levels == pytest.approx([0, 40, 80, 120, 160], abs=6)


def test_noise_is_made_small_enough(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (900, 900, 3), np.uint8)
    path = tmp_path / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (900, 900))
    writer.write(noise)
    writer.release()
    source = open_source(str(path))
    assert source is not None
    assert source.skip()
    assert 10_000 < len(source.look()) <= MAX_PICTURE
    source.close()


@pytest.mark.parametrize("source", ["63", "/dev/null", "/nowhere/film.avi"])
def test_what_is_no_camera_is_none(source: str) -> None:
    assert open_source(source) is None


class _Stream(BaseHTTPRequestHandler):
    """A network camera: one JPEG after the other in one answer (multipart/x-mixed-replace)."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        done, jpeg = cv2.imencode(".jpg", np.full((240, 320, 3), 200, np.uint8))
        assert done
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
        try:
            for _ in range(50):
                self.wfile.write(part + jpeg.tobytes() + b"\r\n")
        except OSError:
            pass  # it was looked at long enough

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stream)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/video.mjpg"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stream_is_looked_at_without_a_pace(stream: str) -> None:
    source = open_source(stream)
    assert source is not None
    assert source.pace_s == 0
    assert source.skip()
    size, level = brightness(source.look())
    assert size == (320, 240)
    assert level == pytest.approx(200, abs=6)
    source.close()


def test_a_stream_that_is_not_there_is_none() -> None:
    assert open_source("http://127.0.0.1:9/video.mjpg") is None
