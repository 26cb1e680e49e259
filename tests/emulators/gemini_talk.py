"""A raw client of Gemini Live, and its messages."""

from __future__ import annotations

import base64
from typing import Any

from tests.emulators.talk import Client
from voiced.emulators.gemini import Gemini

LIVE = "gemini-3.8-live"
THINKING = "gemini-3.8-live-extended-thinking"
FLASH = "gemini-3.1-flash-live-preview"
NATIVE = "gemini-2.5-flash-native-audio-preview-12-2025"
START = {"realtimeInput": {"activityStart": {}}}
END = {"realtimeInput": {"activityEnd": {}}}
WEATHER = {
    "functionDeclarations": [
        {
            "name": "get_weather",
            "description": "the weather of a town",
            "parametersJsonSchema": {"type": "object", "properties": {"town": {"type": "string"}}},
        }
    ]
}


def path(version: str = "v1beta") -> str:
    return f"/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"


def client(gemini: Gemini, version: str = "v1beta", context: Any = None) -> Client:
    return Client(gemini.url + path(version), {"x-goog-api-key": "key"}, context)


def setup(model: str = LIVE, **fields: Any) -> dict[str, Any]:
    """Return a set-up that the model takes: push-to-talk, both transcripts, handles."""
    config: dict[str, Any] = {"responseModalities": ["AUDIO"]}
    if model == THINKING:
        config["thinkingConfig"] = {"thinkingLevel": "LOW"}
    body = {
        "model": f"models/{model}",
        "generationConfig": config,
        "realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}},
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        **fields,
    }
    return {"setup": {name: value for name, value in body.items() if value is not None}}


def audio(pcm: bytes, rate: int = 16000) -> dict[str, Any]:
    data = base64.urlsafe_b64encode(pcm).decode()
    return {"realtimeInput": {"audio": {"data": data, "mimeType": f"audio/pcm;rate={rate}"}}}


def chunks(pcm: bytes, size: int = 3200) -> list[dict[str, Any]]:
    return [audio(pcm[at : at + size]) for at in range(0, len(pcm), size)]


def typed(text: str, *, complete: bool = True, role: str | None = "user") -> dict[str, Any]:
    turn: dict[str, Any] = {"parts": [{"text": text}]}
    if role is not None:
        turn["role"] = role
    return {"clientContent": {"turns": [turn], "turnComplete": complete}}


def content(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = message.get("serverContent", {})
    return found


def complete(message: dict[str, Any]) -> bool:
    """Whether a message ends an exchange."""
    got = content(message)
    return bool(got.get("turnComplete")) and got.get("interactionStatus") != "IN_PROGRESS"


def handle(message: dict[str, Any]) -> bool:
    return bool(message.get("sessionResumptionUpdate", {}).get("resumable"))


def words(messages: list[dict[str, Any]], field: str = "outputTranscription") -> str:
    return "".join(content(message).get(field, {}).get("text", "") for message in messages)


def sound(messages: list[dict[str, Any]]) -> bytes:
    parts = [
        part
        for message in messages
        for part in content(message).get("modelTurn", {}).get("parts", [])
    ]
    blobs = [part["inlineData"] for part in parts if "inlineData" in part]
    assert all(blob["mimeType"] == "audio/pcm;rate=24000" for blob in blobs)
    return b"".join(base64.b64decode(blob["data"], validate=True) for blob in blobs)


def shapes(messages: list[dict[str, Any]]) -> list[str]:
    """Return what kinds of messages came, in order; pieces of one thing count once."""
    found: list[str] = []
    for message in messages:
        for name, body in message.items():
            kinds = [f"{name}.{key}" for key in body] if name == "serverContent" else [name]
            if name == "sessionResumptionUpdate":
                kinds = ["handle" if body else "no handle"]
            for kind in kinds:
                piece = kind.endswith(("Transcription", "modelTurn"))
                if not (piece and kind in found[-3:]):
                    found.append(kind)
    return found
