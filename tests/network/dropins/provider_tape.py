"""Writes down everything it is given. A drop-in for tests; it answers only what a test asks for.

Files, beside the path in the parameter `tape`: `.pcm` the chunks one after another, `.log` a line
for each call, with the number of samples taken before it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np

from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.messages.network import Price, ProviderParameter
from voiced.providers.contract import Availability

PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "none"
SAMPLE_RATE_IN = 48000
SAMPLE_RATE_OUT = 48000
FRAME_MS = None
MAX_SESSION_S = None
RESUMPTION = "native"
SUPPORTS_VIDEO_IN = False
SUPPORTS_VOICE_CLONING = False
FULL_DUPLEX = True
KEY_SERVER = "tape"
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS = {"tape_level": "of nothing"}
METERING = "wallclock"
CATCHUP_PACE = 20.0
PREROLL_MS = 300
HEARD_MARGIN_MS = 20


def get_parameters():
    return [ProviderParameter(name="tape", tag="s", default="")]


def pricing(model_id):
    return Price(wallclock_usd_min=0.01, text="0.01 USD/min")


def voices():
    return []


def is_available():
    return Availability(True)


class Connection:
    def __init__(self, request, callbacks):
        self.resumed = bool(request.handle)
        self.session_id = "tape"
        self.callbacks = callbacks
        path = request.text("tape")
        self.pcm = Path(f"{path}.pcm").open("ab", buffering=0)  # noqa: SIM115
        self.out = Path(f"{path}.log").open("a", buffering=1)  # noqa: SIM115
        self.samples = 0
        self.hold = Path(f"{path}.hold")

    def log(self, *what):
        self.out.write(json.dumps([self.samples, *what]) + "\n")


async def start_session(request, callbacks):
    if request.text("fail") == "refuse":
        raise ProviderRefused("the tape is not for you", "no_tape")
    if request.text("fail") == "unreachable":
        raise ProviderUnavailable("the tape is out", "out")
    if request.text("fail") == "bug":
        raise KeyError(request.api_key)
    if request.text("fail") == "hang":
        await asyncio.Event().wait()
    if request.text("fail") == "no connection":
        return object()
    conn = Connection(request, callbacks)
    conn.log("open", request.api_key, request.handle, request.push_to_talk)
    return conn


async def send_audio_frame(conn, chunk):
    while conn.hold.exists():  # noqa: ASYNC110, another process removes it
        await asyncio.sleep(0.01)
    conn.pcm.write(chunk)
    conn.samples += len(chunk) // 2


async def send_activity(conn, active):
    conn.log("activity", active)


async def prime_history(conn, rows, respond):
    conn.log("history", [[row.role, row.text] for row in rows], respond)


def get_persistable_state(conn):
    return "tape"


async def send_text(conn, text):
    """Do what a test asks for: a command and its arguments."""
    told = conn.callbacks
    match text.split():
        case ["speak", response, frames, deltas]:
            told.response_started(response)
            told.assistant_text(response, "i", "0123456789")
            ramp = np.arange(1, int(frames) + 1) % 30000
            for part in np.array_split(ramp.astype("<i2"), int(deltas)):
                told.audio(response, "i", part.tobytes())
        case ["done", response]:
            told.response_done(response)
        case ["interrupted"]:
            conn.log("heard", [[h.item, h.ms, h.received_ms] for h in await told.interrupted()])
        case ["close", "refused"]:
            told.closed(ProviderRefused("no money left", "insufficient_quota"))
        case ["close", code]:
            told.closed(ProviderUnavailable("the line was cut", code))
        case ["expire"]:
            told.expired("enough for today")
        case ["started", sample]:
            told.speech_started(int(sample))
        case ["lost", "task"]:
            asyncio.create_task(send_text(conn, "raise"))  # noqa: RUF006, the slip under test
        case ["wrong", "item"]:
            told.user_text(7, "good evening")
        case ["wrong", "response"]:
            told.response_started(None)
        case ["wrong", "audio"]:
            told.audio("r", 5, b"\0\0")
        case ["wrong", "mark"]:
            told.audio("r", "i", b"\0\0", "3")
        case ["wrong", "usage"]:
            told.usage("r", "a dollar")
        case ["wrong", "length"]:
            told.assistant_text("r", "i", "x" * 2_000_000)
        case ["wrong", "surrogate"]:
            told.assistant_text("r", "i", "\ud800")
        case ["raise"]:
            raise ZeroDivisionError("a visitor's words")
        case ["tell", *_]:
            told.handle("h1")
            told.goaway("goaway", 9.5)
            told.usage("r", 0.25, "all of it")
            told.tool_call("c", "lights", "{}")
            told.tool_cancelled("c")
            told.signals({"tape_level": 0.5})
            told.affect("u", "{}")
            told.trouble("odd", "something odd")
            told.user_turn_dropped("u", None)


async def interrupt(conn, heard):
    conn.log("interrupt", [[item.item, item.ms, item.received_ms] for item in heard])


async def send_tool_response(conn, call_id, name, ok, result):
    conn.log("tool", call_id, name, ok, result)


async def say(conn, text):
    conn.log("say", text)


async def note(conn, text):
    conn.log("note", text)


async def update_session(conn, parameters, tools):
    conn.log("update", parameters, None if tools is None else len(tools))


async def end_session(conn):
    conn.log("end")
    conn.pcm.close()
    conn.out.close()
