"""What a patch posts is what the model sees: the newest, at the service's rate, on the bill."""

from __future__ import annotations

import http.client
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image

from tests.camera.test_opencv import film
from tests.clouds.rig import WAIT_S, A, Cloud
from tests.daemon.rig import Daemon

SCRIPT = """
[[connection]]
[[connection.reply]]
says = "Something grey."
[[connection.reply]]
says = "It is lighter."
"""


def jpeg(grey: int) -> bytes:
    """Return a picture of 16 x 16, as any program saves it."""
    out = io.BytesIO()
    image.imsave(out, np.full((16, 16, 3), grey, np.uint8), format="jpeg")
    return out.getvalue()


def post(daemon: Daemon, picture: bytes, agent: str = "voice_agent") -> tuple[int, str]:
    """Post a picture as a patch does; return the status and the sentence."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.run_file()["web_port"], timeout=30)
    connection.request("PUT", f"/{agent}/picture", picture)
    answer = connection.getresponse()
    told = (answer.status, answer.read().decode())
    connection.close()
    return told


def typed(cloud: Cloud, text: str) -> str:
    """Ask in writing; return what was answered aloud."""
    since = cloud.daemon.mark()
    cloud.daemon.send(f"{A}/par/Sendtext", text)
    return cloud.reply(since).text.strip()


def images(cloud: Cloud) -> list[dict[str, Any]]:
    """Return the lines of the service's bill that are for pictures it had not seen."""
    return [line for line in cloud.emulated.page("bill")["lines"] if line["what"] == "image_in"]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("provider", ["gemini_live", "openai_realtime"])
def test_posted_pictures_are_seen_and_paid(tmp_path: Path, provider: str) -> None:
    with Cloud(tmp_path, provider, SCRIPT, speed=4.0) as cloud:
        daemon = cloud.daemon
        status, sentence = post(daemon, jpeg(0))
        assert (status, "pulse Connect first" in sentence) == (409, True)
        since = cloud.connect()

        # A patch that posts as fast as it can: the newest is what typed words are about.
        taken = [post(daemon, jpeg(8 * n))[0] for n in range(1, 12)]
        assert taken.count(202) >= 5
        assert set(taken) <= {202, 429}
        assert typed(cloud, "What do you see?") == "Something grey."
        until = time.monotonic() + WAIT_S
        while post(daemon, jpeg(200))[0] != 202:
            assert time.monotonic() < until
        assert typed(cloud, "And now?") == "It is lighter."

        # A file takes over; what is posted meanwhile is refused in words.
        picture = tmp_path / "state" / "seen.jpg"
        picture.write_bytes(jpeg(100))
        daemon.send(f"{A}/par/Videoin", str(picture))
        daemon.ask(f"{A}/par/Videoin", wanted=str(picture))
        status, sentence = post(daemon, jpeg(0))
        assert (status, "/voice_agent/par/Videoin" in sentence) == (409, True)

        told = daemon.mark()
        cloud.disconnect()
        end = daemon.wait(f"{A}/cb/onSessionEnd", since=told).args
        (seen,) = cloud.emulated.page("sessions")
        print(provider, seen, images(cloud), end)
        assert seen["pictures"] >= 2
        assert sum(line["amount"] for line in images(cloud)) > 0
        # What was estimated of the silence after the last reply stays booked.
        billed = cloud.emulated.page("bill")["usd"]
        assert billed - 2e-4 <= end[3] <= billed + 3e-3
        assert cloud.violations() == []
        assert [e for e in cloud.errors(since) if e[0] not in ("provider",)] == []


@pytest.mark.timeout(200)
def test_a_camera_is_looked_through_while_a_session_is_on(tmp_path: Path) -> None:
    film(tmp_path / "film.avi", size=(320, 240))
    more = '[cameras]\nstage = "film.avi"\n'
    par = ('Videoin = "camera:stage"',)
    with Cloud(tmp_path, "openai_realtime", SCRIPT, speed=4.0, par=par, more=more) as cloud:
        daemon = cloud.daemon
        assert "camera" not in daemon.run_file()["children"]
        since = cloud.connect()
        daemon.until(lambda: "camera" in daemon.run_file()["ready"], WAIT_S, "the camera process")
        daemon.until(
            lambda: "looks through camera stage" in daemon.log, WAIT_S, "the camera is open"
        )
        until = time.monotonic() + WAIT_S
        replies = iter(("Something grey.", "It is lighter."))
        assert typed(cloud, "What do you see?") == next(replies)
        if not images(cloud):
            # The first picture had not come when the first words went.
            assert typed(cloud, "And now?") == next(replies)
        assert images(cloud)
        assert time.monotonic() < until

        status, sentence = post(daemon, jpeg(0))
        assert (status, "Videoin" in sentence) == (409, True)
        daemon.send(f"{A}/par/Videoin", "camera:balcony")
        daemon.wait(
            f"{A}/cb/onError",
            lambda source, code, words: source == "camera" and "there are 0, stage" in words,
            since=since,
        )  # fmt: skip
        daemon.until(
            lambda: "camera" not in daemon.run_file()["children"], WAIT_S, "the camera is let go of"
        )
        daemon.send(f"{A}/par/Videoin", "camera:stage")
        daemon.until(lambda: "camera" in daemon.run_file()["ready"], WAIT_S, "it is back")
        cloud.disconnect()
        daemon.until(
            lambda: "camera" not in daemon.run_file()["children"], WAIT_S, "nobody looks any more"
        )
        assert cloud.violations() == []
