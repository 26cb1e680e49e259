"""A strict stand-in of Gemini Live: its port, its addresses, its keys.

What comes in is checked by `protojson` (names and types), `gemini_rules` (what a model takes) and
`gemini_session` (what has its place in the order). A breach that the service closes for closes here
too, with its code and words.

Not as the real one: texts are counted at four letters a token, replies are the script's, and a
breach of the order of activities is written down without ending the connection.

Source: wire reference, part 1, and close_codes.json.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Final

from websockets.datastructures import Headers

from voiced.emulators.gemini_memory import Conversation, Handles
from voiced.emulators.gemini_models import CONTEXT, MODELS
from voiced.emulators.gemini_options import Options
from voiced.emulators.gemini_session import GeminiSession
from voiced.emulators.link import Link
from voiced.emulators.server import Answer, Emulator

_PATH: Final = re.compile(
    r"/ws/google\.ai\.generativelanguage\.(v1|v1beta|v1alpha)\.GenerativeService\."
    r"BidiGenerateContent(Constrained)?"
)


class Gemini(Emulator):
    """Gemini Live on a port of its own."""

    OPTIONS = Options
    handles: Handles
    conversations: list[Conversation]

    async def __aenter__(self) -> Gemini:
        self.handles, self.conversations = Handles(), []
        await super().__aenter__()
        return self

    @property
    def now_s(self) -> float:
        """The emulator's own time, seconds."""
        return asyncio.get_running_loop().time() * self.speed

    async def catch_up(self) -> None:
        """Wait until what the clients have sent was received.

        One that has hung up, and is back, is not told that it has not: the end of its connection
        may wait here behind its last frames.
        """
        for known in self.conversations:
            if known.link is not None:
                await known.link.caught_up()

    def admit(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Refuse a wrong address with 404, no key with 403, a wrong one with 400."""
        found = _PATH.fullmatch(path)
        if found is None:
            return _status(404, "NOT_FOUND", "Requested entity was not found.")
        if found.group(2):
            token = headers.get("Authorization", "").removeprefix("Token ")
            if found.group(1) == "v1alpha" and token.startswith("auth_tokens/"):
                return None
            return _status(401, "UNAUTHENTICATED", "Request had invalid authentication token.")
        return self._key_refused(query, headers)

    def session(self, link: Link) -> GeminiSession:
        """Return the conversation on a connection."""
        return GeminiSession(self, link)

    def page(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Return the list of models, as a key's owner may ask for it."""
        if path not in ("/v1/models", "/v1beta/models", "/v1alpha/models"):
            return None
        return self._key_refused(query, headers) or Answer(
            status=200,
            body={
                "models": [
                    {
                        "name": f"models/{name}",
                        "inputTokenLimit": CONTEXT,
                        "outputTokenLimit": model.max_out,
                        "supportedGenerationMethods": ["bidiGenerateContent"],
                    }
                    for name, model in MODELS.items()
                ]
            },
        )

    def _key_refused(self, query: Mapping[str, str], headers: Headers) -> Answer | None:
        key = headers.get("x-goog-api-key") or query.get("key", "")
        if not key:
            reason = "Method doesn't allow unregistered callers."
            return _status(403, "PERMISSION_DENIED", reason)
        if self.keys and key not in self.keys:
            reason = "API key not valid. Please pass a valid API key."
            return _status(400, "INVALID_ARGUMENT", reason)
        return None


def _status(code: int, name: str, message: str) -> Answer:
    return Answer(status=code, body={"error": {"code": code, "message": message, "status": name}})
