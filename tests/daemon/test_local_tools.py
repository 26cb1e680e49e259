"""Visitors speak to the local voice, and what they want is done: real sound, tools and sockets.

Their sentences are spoken by the packaged voice into the virtual microphone. What happens is
seen where it arrives: on sockets of the test, one of which the configuration names and one of which
registers its tool a moment before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from tests.analysis import write_wav
from tests.daemon.rig import Client, Daemon, Message
from voiced.inference.speech import synthesise

A = "/voice_agent"
RATE = 48_000
SPEED = 2.0
"""Of the virtual card: visitors talk fast."""
WAIT_S = 90.0
AGENT = """
[[agent]]
name = "voice_agent"
output_channels = [1]
on_start = "wait"
[agent.par]
Provider = "local"
[[agent.tool]]
name = "set_lights"
description = "Turn the lights to a colour"
args = {{ color = ["red", "green", "blue"], level = "0..1" }}
send = {{ host = "127.0.0.1", port = {port}, address = "/lights/{{color}}", args = ["{{level}}"] }}
"""
HORN = json.dumps(
    {
        "type": "object",
        "properties": {"times": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["times"],
    }
)


class Visit:
    """A conversation with the local voice."""

    def __init__(self, daemon: Daemon, lights: Client) -> None:
        self.daemon, self.lights = daemon, lights

    def say(self, sentence: str) -> int:
        """Speak a sentence into the microphone; return the place in the record before it."""
        path = self.daemon.folder / f"{abs(hash(sentence))}.wav"
        voice = soxr.resample(synthesise(sentence), 24_000, RATE)
        write_wav(path, RATE, np.concatenate([np.zeros(RATE // 2, np.int16), voice]))
        since = self.daemon.mark()
        self.daemon.send("/voiced/audio/play", "voice_agent", str(path))
        return since

    def understood(self, since: int) -> str:
        """Return what the voice understood."""
        return str(self._final("onUserText", since))

    def answered(self, since: int) -> str:
        """Return what the voice answered, once it is silent again."""
        text = str(self._final("onAssistantText", since))
        self.daemon.ask(f"{A}/sig/assistant_speaking", wanted=0.0, deadline_s=WAIT_S)
        return text

    def calls(self, since: int) -> list[Message]:
        """Return the calls so far."""
        return self.daemon.client.all(f"{A}/cb/onToolCall", since=since)

    def _final(self, name: str, since: int) -> object:
        told = self.daemon.wait(
            f"{A}/cb/{name}", lambda text, final, row: final == 1, WAIT_S, since=since
        )
        return told.args[0]


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    lights = Client()
    folder = tmp_path_factory.mktemp("local")
    with Daemon(
        folder, AGENT.format(port=lights.port), settings=[f"audio.virtual.speed={SPEED}"]
    ) as daemon:
        daemon.send(f"{A}/par/Connect")
        daemon.wait(f"{A}/par/Sessionstate", "active", WAIT_S)
        yield Visit(daemon, lights)
    lights.close()


@pytest.mark.parametrize("color", ["red", "green"])
def test_a_visitor_turns_the_lights(visit: Visit, color: str) -> None:
    arrived = visit.lights.mark()
    since = visit.say(f"Turn the lights {color}.")
    print(f"understood: {visit.understood(since)}")
    assert visit.lights.wait(f"/lights/{color}", None, WAIT_S, since=arrived).args == (1.0,)
    answer = visit.answered(since)
    print(f"/lights/{color} 1.0; answered: {answer}")
    assert answer == "Done."
    ((_, name, arguments),) = [call.args for call in visit.calls(since)]
    assert (name, json.loads(arguments)) == ("set_lights", {"color": color, "level": 1})


def test_do_not_does_not(visit: Visit) -> None:
    arrived = visit.lights.mark()
    since = visit.say("Please do not turn the lights red.")
    print(f"understood: {visit.understood(since)}")
    print(f"answered: {visit.answered(since)}")
    assert not visit.calls(since)
    # Whatever was sent before this message has arrived before it.
    visit.lights.send(visit.lights.port, "/fence")
    visit.lights.wait("/fence", since=arrived)
    found = [m.address for m in visit.lights.messages[arrived:]]
    assert found == ["/fence"]


def test_a_tool_that_was_registered_a_moment_ago_asks_for_what_is_missing(visit: Visit) -> None:
    horn = Client()
    horn.send(visit.daemon.port, f"{A}/tool/register", "blow_horn", "Blow the whale horn", HORN)
    horn.wait(f"{A}/tool/registered", "blow_horn")
    since = visit.say("Blow the whale horn.")
    print(f"understood: {visit.understood(since)}")
    question = visit.answered(since)
    print(f"asked: {question}")
    assert question == "Times goes from 1 to 9. How much?"
    since = visit.say("Three times, please.")
    print(f"understood: {visit.understood(since)}")
    call_id, name, arguments = horn.wait(f"{A}/tool/call", None, WAIT_S).args
    assert (name, json.loads(arguments)) == ("blow_horn", {"times": 3})
    horn.send(visit.daemon.port, f"{A}/tool/result", call_id, "The whale has answered")
    answer = visit.answered(since)
    print(f"answered: {answer}")
    assert answer == "The whale has answered."

    since = visit.say("Blow the whale horn four times.")
    call_id = horn.wait(f"{A}/tool/do/blow_horn", lambda _, n: n == 4, WAIT_S).args[0]
    again = visit.say("Thank you. That is enough for today.")
    assert horn.wait(f"{A}/tool/cancelled", call_id, WAIT_S).args[1] == "blow_horn"
    print(f"cancelled by: {visit.understood(again)}")
    assert visit.answered(again)
    horn.close()
