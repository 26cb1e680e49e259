"""A strict stand-in of Hume EVI.

    chat_metadata -> audio_input and user_input in, user_message and answers out -> close

An answer is an assistant_message, its audio_outputs and its assistant_prosody for each sentence,
then assistant_end. What a client says wrongly is answered by an error, ten identical ones end the
chat.

Not as the real one: scores are made from the words, slugs and the codes from E07xx on are made up.
Source: wire reference, part 2.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final, Self

from websockets.datastructures import Headers

from voiced.emulators.hume_options import Options
from voiced.emulators.hume_session import HumeSession, Turn
from voiced.emulators.link import Link
from voiced.emulators.server import Answer, Emulator

PATH: Final = "/v0/evi/chat"


class Hume(Emulator):
    """Hume EVI on a port of its own."""

    OPTIONS = Options
    groups: dict[str, list[Turn]]
    """What was said in each chat group, by its id."""

    async def __aenter__(self) -> Self:
        self.groups = {}
        self._serial = itertools.count(1)
        return await super().__aenter__()

    def admit(self, path: str, query: Mapping[str, str], headers: Headers) -> Answer | None:
        """Refuse a wrong address with 404, a missing or wrong key with 401."""
        if path != PATH:
            return Answer(status=404, body={"message": "Not Found"})
        key = headers.get("X-Hume-Api-Key") or query.get("api_key") or query.get("access_token")
        if not key or (self.keys and key not in self.keys):
            return Answer(status=401, body={"message": "Invalid authentication credentials"})
        return None

    def session(self, link: Link) -> HumeSession:
        """Return the chat on a connection."""
        return HumeSession(self, link)

    def new_id(self, kind: int) -> str:
        """Return an id of the service's form; `kind` tells groups, chats and requests apart."""
        return f"{kind:08x}-0000-4000-8000-{next(self._serial):012x}"
