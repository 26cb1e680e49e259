"""What the web door takes and from whom: today a picture for the model.

    curl -T frame.jpg http://127.0.0.1:9371/voice_agent/picture

Programs of this machine may ask; everybody else needs the token, and so does what comes through a
proxy. A page in somebody's browser on this machine is not this machine: it could post without being
asked, or reach this address by a name of its own, so both are refused (RFC 6454, 7.3).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from http import HTTPStatus

from voiced.control.config import WebConfig
from voiced.control.osc.limits import Window
from voiced.control.web.server import Answer, Head, Server
from voiced.messages.pictures import MAX_PICTURE, is_jpeg, is_whole
from voiced.parameters import nearest

log = logging.getLogger("voiced")

PICTURE = "picture"
PICTURES_PER_S = 5
"""Of one agent; the service is shown one a second at most."""
_TYPES = ("image/jpeg", "application/octet-stream")
_NO_TYPE = "send it as Content-Type: image/jpeg, or with PUT"


class WebDoor:
    """Judges requests and passes on what is taken.

    Args:
        agents: returns the agents' names.
        picture: takes an agent's JPEG; returns why nobody would see it, "" where it is shown.
        asked: returns the same before there is a picture.
        token: returns what senders from elsewhere must know, "" = nobody from elsewhere may ask.
    """

    def __init__(
        self,
        agents: Callable[[], Collection[str]],
        picture: Callable[[str, bytes], str],
        asked: Callable[[str], str],
        token: Callable[[], str],
    ) -> None:
        self._agents, self._picture, self._asked, self._token = agents, picture, asked, token
        self._windows: defaultdict[str, Window] = defaultdict(lambda: Window(PICTURES_PER_S, 1.0))
        self._server = Server(self)

    @property
    def port(self) -> int:
        """The port it listens at; 0 = it does not."""
        return self._server.port

    async def start(self, config: WebConfig) -> str:
        """Listen; return why it does not, "" where it does. The daemon goes on without."""
        try:
            await self._server.start(config.bind, config.port)
        except OSError as error:
            return (
                f"web {config.bind}:{config.port} cannot be opened: {error.strerror or error}; "
                "set another web.port, or stop what uses it"
            )
        log.info("= web %s:%d", config.bind, self.port)
        return ""

    async def close(self) -> None:
        """Listen no more."""
        await self._server.close()

    # --- requests

    def begin(self, head: Head) -> Answer | int:
        """Judge a request by its head."""
        refusal = self._barred(head) or self._lost(head)
        if refusal is not None:
            return refusal
        kind = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        # A browser may send its user's POST to any address, but for these types it asks first.
        if kind not in _TYPES and (kind or head.method == "POST"):
            return Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a JPEG is taken: {_NO_TYPE}")
        agent = _agent_of(head)
        if problem := self._asked(agent):
            return Answer(HTTPStatus.CONFLICT, problem)
        if not self._windows[agent].take(asyncio.get_running_loop().time()):
            sentence = f"{PICTURES_PER_S} pictures a second are taken; the model sees one a second"
            return Answer(HTTPStatus.TOO_MANY_REQUESTS, sentence, (("Retry-After", "1"),))
        return MAX_PICTURE

    def take(self, head: Head, body: bytes) -> Answer:
        """Take a whole picture."""
        if not is_jpeg(body):
            return Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "this is no JPEG: save it as .jpg")
        if not is_whole(body):
            return Answer(HTTPStatus.BAD_REQUEST, "the JPEG is cut off: its end is missing")
        if problem := self._picture(_agent_of(head), body):
            return Answer(HTTPStatus.CONFLICT, problem)
        return Answer(HTTPStatus.ACCEPTED, f"{len(body)} bytes: the model sees it next")

    def _barred(self, head: Head) -> Answer | None:
        """Return why this sender may not ask, None where it may."""
        scheme, _, given = head.headers.get("authorization", "").partition(" ")
        token = self._token()
        if given and scheme.lower() == "bearer":
            told = given.strip().encode("latin-1")
            if token and hmac.compare_digest(told, token.encode()):
                return None
            return _unauthorized("the token is another one")
        if not head.local:
            lacks = "" if token else "; there is none yet: `voiced key set web` takes one"
            return _unauthorized(f"from elsewhere a token is needed: Authorization: Bearer{lacks}")
        if "origin" in head.headers or not _is_number(head.headers.get("host", "")):
            sentence = "pages of a browser may not ask; a program does, at the address in numbers"
            return Answer(HTTPStatus.FORBIDDEN, sentence)
        return None

    def _lost(self, head: Head) -> Answer | None:
        """Return why there is nothing to ask here, None where there is."""
        agent, _, what = head.path.strip("/").partition("/")
        agents = self._agents()
        if what != PICTURE:
            there = ", ".join(f"/{name}/{PICTURE}" for name in agents)
            return Answer(HTTPStatus.NOT_FOUND, f"there is nothing here; there is {there}")
        if agent not in agents:
            sentence = f"there is no such agent.{nearest(agent, agents)}"
            return Answer(HTTPStatus.NOT_FOUND, sentence)
        if head.method not in ("PUT", "POST"):
            sentence = "a picture is given with PUT or POST; it cannot be read"
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, sentence, (("Allow", "PUT, POST"),))
        return None


def _agent_of(head: Head) -> str:
    return head.path.strip("/").partition("/")[0]


def _unauthorized(sentence: str) -> Answer:
    return Answer(HTTPStatus.UNAUTHORIZED, sentence, (("WWW-Authenticate", "Bearer"),))


def _is_number(host: str) -> bool:
    """Tell a Host that no name server has a part in: an address in numbers, or localhost."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
