"""A service on a stage: does what a typed text tells it to, and writes down what it is given.

A drop-in for tests. A text that is a JSON list is a script: each entry is a callback's name and its
arguments; `tone response item ms [share]` sends a 440 Hz tone in one delta, `ramp response item
frames` samples that rise by one every four frames from 1000 on. Any other text is answered with its
own words and 200 ms of tone. Files beside the path in the parameter `tape`: `.pcm` the samples,
`.log` a JSON line for each call: samples taken before it, nanoseconds of the monotonic clock, name,
arguments.

Kinder than a real service: it is as fast as the loop, and takes everything at once.
"""

from __future__ import annotations

import asyncio
import json
import time
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
KEY_SERVER = None
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS = {}
METERING = "token"
CATCHUP_PACE = 20.0
RESPONSE_TIMEOUT_S = 0.0  # Scripts leave texts unanswered on purpose.
PRICE = Price(input_usd_min=0.6, text="0.60 USD/min")


def get_parameters():
    return [
        ProviderParameter(
            name="Model", tag="s", default="comedy", options=["comedy", "tragedy"], open_menu=True
        ),
        ProviderParameter(name="tape", tag="s", default="", applies="now"),
        ProviderParameter(name="start", tag="s", default="", applies="now"),
        ProviderParameter(name="Cue", tag="f", default=0.5, minimum=0, maximum=2, applies="turn"),
        ProviderParameter(name="Cast", tag="s", default="", applies="session"),
    ]


def pricing(model_id):
    return PRICE if model_id in ("comedy", "tragedy") else None


def voices():
    return ["harlequin", "columbine"]


def is_available():
    return Availability(True)


class Connection:
    def __init__(self, request, callbacks):
        self.resumed = bool(request.handle)
        self.session_id = "stage"
        self.callbacks = callbacks
        self.samples = self.replies = 0
        path = request.text("tape")
        self.pcm = Path(f"{path}.pcm").open("ab", buffering=0)  # noqa: SIM115
        self.out = Path(f"{path}.log").open("a", buffering=1)  # noqa: SIM115

    def log(self, *what):
        self.out.write(json.dumps([self.samples, time.monotonic_ns(), *what]) + "\n")


async def start_session(request, callbacks):
    match request.text("start").split():
        case ["refuse"]:
            raise ProviderRefused("the stage is closed", "closed_house")
        case ["unreachable"]:
            raise ProviderUnavailable("the stage door does not open", "door")
        case ["slow", seconds]:
            await asyncio.sleep(float(seconds))
    conn = Connection(request, callbacks)
    conn.log("open", dict(request.parameters), request.handle, request.push_to_talk,
             [tool.name for tool in request.tools])  # fmt: skip
    return conn


async def send_audio_frame(conn, chunk):
    conn.pcm.write(chunk)
    conn.samples += len(chunk) // 2


async def send_activity(conn, active):
    conn.log("activity", active)


async def send_text(conn, text):
    conn.log("text", text)
    try:
        script = json.loads(text)
    except ValueError:
        conn.replies += 1
        response = f"typed{conn.replies}"
        script = [
            ["response_started", response],
            ["assistant_text", response, response, f"you typed {text}"],
            ["tone", response, response, 200],
            ["response_done", response],
        ]
    for name, *arguments in script:
        play(conn, name, arguments)


def play(conn, name, arguments):
    told = conn.callbacks
    match name, arguments:
        case "tone", [response, item, ms, *share]:
            loud = 32767 * (share[0] if share else 0.5)
            wave = loud * np.sin(2 * np.pi * 440 * np.arange(48 * ms) / 48000)
            told.audio(response, item, np.rint(wave).astype("<i2").tobytes())
        case "ramp", [response, item, frames]:
            wave = 1000 + np.arange(frames) // 4
            told.audio(response, item, wave.astype("<i2").tobytes())
        case "user_text", [item, text, final]:
            told.user_text(item, text, final=bool(final))
        case "closed", [code]:
            told.closed(ProviderUnavailable("the curtain fell", code))
        case "closed_for_good", [code]:
            told.closed(ProviderRefused("no ticket", code))
        case _:
            getattr(told, name)(*arguments)


async def send_tool_response(conn, call_id, name, ok, result):
    conn.log("tool", call_id, name, ok, result)


def get_persistable_state(conn):
    return "act two"


async def interrupt(conn, heard):
    conn.log("interrupt", [[item.item, item.ms, item.received_ms] for item in heard])


async def say(conn, text):
    conn.log("say", text)


async def note(conn, text):
    conn.log("note", text)


async def update_session(conn, parameters, tools):
    conn.log("update", dict(parameters))
    if tools is not None:
        conn.log("tools", [[tool.name, tool.blocking, tool.schema] for tool in tools])


async def end_session(conn):
    conn.log("end")
    conn.pcm.close()
    conn.out.close()
