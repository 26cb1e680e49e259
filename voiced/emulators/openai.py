"""A strict stand-in of OpenAI Realtime (GA) over websockets.

Source: the Realtime API's reference and guides, and the types of the package openai 3.54.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from websockets.datastructures import Headers

from voiced.emulators.link import Link
from voiced.emulators.openai_session import OpenAISession
from voiced.emulators.openai_usage import MODELS
from voiced.emulators.realtime_options import OpenAIOptions
from voiced.emulators.refusal import INVALID
from voiced.emulators.server import Answer, Emulator

_CAP_S: Final = 3600.0


class OpenAI(Emulator):
    """OpenAI Realtime: /v1/realtime?model=..., and /v1/models for who asks with a key."""

    OPTIONS = OpenAIOptions
    longest_s = _CAP_S
    """The longest a session may last, seconds."""

    def admit(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Refuse a wrong address, key or model."""
        if not path.endswith("/realtime"):
            return _error(404, f"Invalid URL (GET {path})", None)
        if (refused := self._refused_key(headers)) is not None:
            return refused
        model = query.get("model")
        if not model:
            return _error(400, "You must provide a model parameter.", "missing_required_parameter")
        if model not in MODELS:
            return _error(404, f"The model '{model}' does not exist.", "model_not_found")
        return None

    def session(self, link: Link) -> OpenAISession:
        """Return the conversation on a connection that was opened."""
        return OpenAISession(self, link, link.query["model"])

    def page(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Answer who asks for the models."""
        if not path.startswith("/v1/models"):
            return None
        if (refused := self._refused_key(headers)) is not None:
            return refused
        rows = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "system"}
            for name in MODELS
        ]
        return Answer(status=200, body={"object": "list", "data": rows})

    def _refused_key(self, headers: Headers) -> Answer | None:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and key and (not self.keys or key in self.keys):
            return None
        return _error(401, "Incorrect API key provided.", "invalid_api_key")


def _error(status: int, message: str, code: str | None) -> Answer:
    error = {"message": message, "type": INVALID, "param": None, "code": code}
    return Answer(status=status, body={"error": error})
