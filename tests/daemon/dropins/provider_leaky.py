"""A drop-in for tests that does with its key everything that a careless one might.

The session's name is the key's digest, so that a test sees which key came. A typed text is a way
to leak. What it prints and raises is the same key in the forms that real code puts it into.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
from urllib.parse import quote

from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.messages.network import ProviderParameter
from voiced.providers.contract import Availability

PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "none"
SAMPLE_RATE_IN = 24000
SAMPLE_RATE_OUT = 24000
FRAME_MS = None
MAX_SESSION_S = None
RESUMPTION = "none"
SUPPORTS_VIDEO_IN = False
SUPPORTS_VOICE_CLONING = False
FULL_DUPLEX = True
KEY_SERVER = "leaky"
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS: dict[str, str] = {}
METERING = "token"
CATCHUP_PACE = 8.0


def get_parameters():
    return [
        ProviderParameter(name="Model", tag="s", default="m", options=["m"]),
        ProviderParameter(name="start", tag="s", default="", applies="now"),
    ]


def pricing(model_id):
    return None


def voices():
    return []


def is_available():
    return Availability(True)


class Connection:
    def __init__(self, request, callbacks):
        self.resumed = False
        self.session_id = hashlib.sha256(request.api_key.encode()).hexdigest()
        self.key, self.callbacks, self.tasks = request.api_key, callbacks, set()
        callbacks.trouble("digest", self.session_id)


async def start_session(request, callbacks):
    key = request.api_key
    logging.getLogger("some.library").warning("connecting with headers {'X-Key': %r}", key)
    logging.getLogger("some.library").debug("GET /v1?key=%s", quote(key, safe=""))
    if request.text("start") == "refuse":
        raise ProviderRefused(f"the service did not take {key}", "invalid_key")
    return Connection(request, callbacks)


async def send_audio_frame(conn, chunk):
    pass


async def send_text(conn, text):
    url = f"wss://api.example/v1?key={quote(conn.key, safe='')}"
    # Text that no reply answers would be sent again to the next connection.
    conn.callbacks.response_started(text)
    conn.callbacks.response_done(text)
    match text:
        case "print":
            print("the key is", conn.key)
            sys.stderr.write(f"{url}\n")
        case "log":
            try:
                raise ValueError(f"bad header {conn.key!r}")
            except ValueError:
                logging.getLogger("some.library").exception("cannot connect")
        case "trouble":
            conn.callbacks.trouble("oops", f"{url} was answered with 500")
        case "task":
            conn.tasks.add(asyncio.create_task(fails(conn.key)))
        case "raise":
            raise RuntimeError(f"{conn.key} is not a tuple")
        case "closed":
            conn.callbacks.closed(ProviderUnavailable(f"{url} went away", conn.key))
    conn.callbacks.trouble("done", text)


async def fails(key):
    raise ValueError(key)


async def send_tool_response(conn, call_id, name, ok, result):
    pass


async def end_session(conn):
    pass
