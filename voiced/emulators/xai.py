"""A strict stand-in of xAI's Grok Voice (the Speech to Speech API) over websockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from websockets.datastructures import Headers

from voiced.emulators.link import Link
from voiced.emulators.realtime_items import Item
from voiced.emulators.realtime_options import XAIOptions
from voiced.emulators.server import Answer, Emulator
from voiced.emulators.xai_session import VOICES, XAISession

MODELS: Final = (
    "grok-voice-latest", "grok-voice-3.0", "grok-voice-2.0", "grok-voice-think-fast-2.0",
    "grok-voice-think-fast-1.0", "grok-voice-fast-1.0",
)  # fmt: skip
_DEFAULT: Final = "grok-voice-latest"
_CAP_S: Final = 7200.0
_IDLE_S: Final = 900.0
_SECRET: Final = "xai-client-secret."


class XAI(Emulator):
    """xAI Grok Voice: /v1/realtime?model=...[&conversation_id=...]."""

    OPTIONS = XAIOptions
    longest_s = _CAP_S
    """The longest a session may last, seconds."""
    idle_s = _IDLE_S
    """How long a client may be silent, seconds."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.kept: dict[str, list[Item]] = {}
        """What can be resumed: the replies of each conversation that asked for it."""
        self.totals: dict[str, int] = {}
        """Seconds billed of each conversation, over all its connections."""

    def admit(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Refuse a wrong address or key; a wrong model is silently replaced."""
        if not path.endswith("/realtime"):
            return Answer(status=404, body={"error": "Not found", "code": "not_found"})
        return self._refused_key(headers)

    def session(self, link: Link) -> XAISession:
        """Return the conversation on a connection that was opened."""
        model = link.query.get("model", "")
        return XAISession(self, link, model if model in MODELS else _DEFAULT)

    def page(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Answer who asks for models and voices."""
        match path:
            case "/v1/tts/voices":
                body: Any = {"voices": [{"voice_id": v, "name": v.title()} for v in VOICES]}
            case "/v1/models":
                rows = [
                    {"id": m, "object": "model", "created": 0, "owned_by": "xai"} for m in MODELS
                ]
                body = {"object": "list", "data": rows}
            case _:
                return None
        return self._refused_key(headers) or Answer(status=200, body=body)

    def _refused_key(self, headers: Headers) -> Answer | None:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            offered = headers.get("Sec-WebSocket-Protocol", "").split(",")
            secrets = [o.strip() for o in offered if o.strip().startswith(_SECRET)]
            key = secrets[0].removeprefix(_SECRET) if secrets else ""
        if key and (not self.keys or key in self.keys):
            return None
        text = "Incorrect API key provided. You can obtain an API key from https://console.x.ai."
        return Answer(status=401, body={"error": text, "code": "invalid_api_key"})
