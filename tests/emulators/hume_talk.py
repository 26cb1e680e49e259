"""A raw client of Hume EVI, and its messages."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

from tests.emulators.talk import Client
from voiced.emulators.hume import PATH, Hume

KEY = {"X-Hume-Api-Key": "key"}
LINEAR = {"encoding": "linear16", "sample_rate": 16000, "channels": 1}
TOOL = {
    "type": "function",
    "name": "get_time",
    "description": "the time of a town",
    "parameters": '{"type": "object", "properties": {"town": {"type": "string"}}}',
    "fallback_content": "The clock stopped.",
}


def client(hume: Hume, **query: str) -> Client:
    return Client(f"{hume.url}{PATH}?{urlencode(query)}", KEY, None)


def settings(**fields: Any) -> dict[str, Any]:
    return {"type": "session_settings", "audio": LINEAR, **fields}


def audio(pcm: bytes) -> dict[str, Any]:
    return {"type": "audio_input", "data": base64.b64encode(pcm).decode()}


def chunks(pcm: bytes, size: int = 640) -> list[dict[str, Any]]:
    return [audio(pcm[at : at + size]) for at in range(0, len(pcm), size)]


def typed(text: str) -> dict[str, Any]:
    return {"type": "user_input", "text": text}


def of(kind: str) -> Any:
    return lambda message: message["type"] == kind


def said(messages: list[dict[str, Any]]) -> str:
    found = (m["message"]["content"] for m in messages if m["type"] == "assistant_message")
    return " ".join(found)


def wavs(messages: list[dict[str, Any]]) -> list[bytes]:
    found = (m["data"] for m in messages if m["type"] == "audio_output")
    return [base64.b64decode(data, validate=True) for data in found]
