"""Each cloud voice through its strict stand-in: everything a visitor and an operator do, by OSC.

Only the endpoint differs from the show: the daemon, the microphone's and the loudspeaker's path and
the provider are the real ones. At the end the service has nothing to complain of.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clouds.rig import WAIT_S, A, Cloud, Said, understood

LONG = (
    "That is a long story, and I like to tell it slowly. It begins on a cold morning by the sea, "
    "with a boat that nobody had seen before, and an old man who would not say where he came from."
)
LIGHTS = json.dumps(
    {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}},
        "required": ["colour"],
    }
)
PICTURES = {"openai_realtime", "gemini_live"}
FAULT = {
    "openai_realtime": 'what = "cap"\nturn = 5',
    "xai_grok": 'what = "cap"\nturn = 5',
    "gemini_live": 'what = "goaway"\nturn = 5\nseconds = 8.0',
    "hume_evi": 'what = "cap"\nturn = 5',
}
SCRIPT = f"""
[[connection]]
[[connection.reply]]
says = "Good evening. Who are you?"
[[connection.reply]]
says = "{LONG}"
[[connection.reply]]
says = "Go on, I am listening."
[[connection.reply]]
says = "It is late."
[[connection.reply]]
calls = [{{ name = "set_lights", arguments = {{ colour = "blue" }} }}]
[[connection.reply]]
says = "The lights are blue now."
[[connection.fault]]
FAULT
[[connection]]
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("provider", sorted(FAULT))
def test_a_whole_conversation(tmp_path: Path, provider: str) -> None:
    script = SCRIPT.replace("FAULT", FAULT[provider])
    with Cloud(tmp_path, provider, script, speed=2.0) as cloud:
        daemon = cloud.daemon
        picture = tmp_path / "state" / "seen.jpg"
        if provider in PICTURES:
            picture.write_bytes(JPEG)
            daemon.send(f"{A}/par/Videoin", str(picture))
        daemon.send(f"{A}/tool/register", "set_lights", "Turn the lights to a colour", LIGHTS)
        daemon.wait(f"{A}/tool/registered", "set_lights")
        begun = cloud.connect()

        # 1: a visitor is understood and answered.
        user, reply = cloud.visitor("lv_0930.wav")
        understood("lv_0930.wav", user.text)
        assert reply.text.strip() == "Good evening. Who are you?"

        # 2 and 3: the next reply is long, and the visitor speaks into it.
        since = daemon.mark()
        cloud.play("lv_0880.wav")
        cloud.user(since)
        daemon.wait(f"{A}/sig/assistant_speaking", 1.0, WAIT_S, since=since)
        daemon.wait(f"{A}/caption/word", lambda word: word.startswith("story"), WAIT_S, since=since)
        cloud.play("lv_0920.wav")
        cut = interrupted(cloud, since)
        into = daemon.mark()
        assert 0 < len(cut.text) < len(LONG), cut
        assert cut.text.strip().rstrip(".") in LONG
        understood("lv_0920.wav", cloud.user(into).text)
        assert cloud.reply(into, but=cut).text.strip() == "Go on, I am listening."

        # 4: typed.
        since = daemon.mark()
        daemon.send(f"{A}/par/Sendtext", "What time is it?")
        assert cloud.reply(since).text.strip() == "It is late."

        # 5: a tool that this very socket executes.
        since = daemon.mark()
        cloud.play("lv_0890.wav")
        call = daemon.wait(f"{A}/tool/call", deadline_s=WAIT_S, since=since).args
        assert call[1] == "set_lights"
        assert json.loads(call[2]) == {"colour": "blue"}
        daemon.send(f"{A}/tool/result", call[0], "the lights are blue")
        assert cloud.reply(since).text.strip() == "The lights are blue now."
        assert ("tool", "the lights are blue") in cloud.rows(since)
        cloud.user(since)  # Words may be final long after they were obeyed.

        # 6: the service ends the connection with the visitor's words unanswered.
        since = daemon.mark()
        cloud.play("lv_0930.wav")
        refreshed = daemon.wait(
            f"{A}/conv/row", lambda *row: row[1] == "system" and "Refreshed" in row[2], WAIT_S,
            since=since,
        )  # fmt: skip
        print(refreshed.args[2])
        understood("lv_0930.wav", cloud.user(since).text)
        assert cloud.reply(since).text
        users = [message for role, message in cloud.rows(since) if role == "user"]
        assert len(users) == 1, "the turn is there once"
        cloud.disconnect()

        # 7: push to talk.
        daemon.send(f"{A}/par/Sessionmode", "push_to_talk")
        cloud.connect()
        since = daemon.mark()
        daemon.send(f"{A}/par/Talk", 1)
        cloud.play("lv_0930.wav")
        cloud.played(since)
        daemon.send(f"{A}/par/Talk", 0)
        understood("lv_0930.wav", cloud.user(since).text)
        assert cloud.reply(since).text
        cloud.disconnect()

        print(json.dumps(cloud.emulated.page("bill")))
        assert cloud.violations() == []
        assert [e for e in cloud.errors(begun) if e[0] not in ("provider",)] == []


def interrupted(cloud: Cloud, since: int) -> Said:
    """Return the row of the reply that was cut."""
    told = cloud.daemon.wait(
        f"{A}/conv/row",
        lambda *row: row[1] == "assistant" and json.loads(row[6]).get("interrupted"),
        WAIT_S, since=since,
    )  # fmt: skip
    return cloud.row(str(told.args[3]))


def jpeg() -> bytes:
    """Return a grey picture of 16 x 16, as any program saves it."""
    import io

    import numpy as np
    from matplotlib import image

    out = io.BytesIO()
    image.imsave(out, np.full((16, 16, 3), 128, np.uint8), format="jpeg")
    return out.getvalue()


JPEG = jpeg()
