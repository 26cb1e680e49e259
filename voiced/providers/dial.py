"""How every cloud provider's websocket is opened, watched and talked about.

What all services share: the endpoint that a configuration may put in the service's place, the
options that tell a dead link within five seconds, a small send buffer (the microphone's ring is the
only queue), and the sentence for each way in which a connection is refused. No text made here holds
the key: it travels in a header, and headers are never shown.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.lane.seam import watch_link

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of one frame of a service; websockets' own limit of 1 MiB ends a conversation on a long
audio delta."""
SEND_BUFFER = 16 * 1024
"""Bytes that may wait in this process before a send waits: about 0.3 s of audio in base64."""
PING_EVERY_S = 20.0
PONG_WITHIN_S = 60.0
"""Gemini's pongs take 8 to 30 s."""
CLOSE_WITHIN_S = 1.0

# Its DEBUG lines show headers, which hold the key, and frames, which hold visitors' words.
_silent = logging.getLogger("voiced.websocket")
_silent.setLevel(logging.WARNING)
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


class Service(NamedTuple):
    """A cloud service as sentences speak of it."""

    title: str
    """As the operator knows it: "xAI"."""
    key_server: str
    """As `voiced key set` knows it: "xai"."""


class Closing(NamedTuple):
    """How a websocket ended."""

    code: int
    """Close code of the service; 1006 = the link broke without one."""
    reason: str
    by_us: bool
    """This side said goodbye first."""


def placed(url: str, endpoint: str) -> str:
    """Return `url` at the host that `endpoint` names; path and query stay the service's own.

    Raises:
        ProviderRefused: the endpoint is not ws://host:port or wss://host:port.
    """
    if not endpoint:
        return url
    wrong = ProviderRefused(
        f"endpoint {endpoint[:100]!r} is no address of a websocket: write ws://host:port",
        "endpoint",
    )
    try:
        service, there = urlsplit(url), urlsplit(endpoint)
        port = there.port
    except ValueError:  # a bracket that is not closed, a port that is no number
        raise wrong from None
    if there.scheme not in ("ws", "wss") or not there.hostname or port == 0:
        raise wrong
    path = there.path.rstrip("/") + service.path
    return urlunsplit((there.scheme, there.netloc, path, service.query, ""))


class _Straight(connect):
    """The library's connection without its following of redirects.

    It takes only `Authorization` off before it calls another host; two services have their key in
    a header of another name. No service of these sends its callers elsewhere.
    """

    def process_redirect(self, exc: Exception) -> Exception:
        """Return the answer itself: nobody is followed."""
        return exc


async def dial(
    service: Service, url: str, headers: Mapping[str, str], *, endpoint: str = ""
) -> ClientConnection:
    """Open a websocket to a service.

    Cancelling (the leg's own timeout) closes what was opened.

    Args:
        service: whose it is.
        url: the service's own address, path and query, without the key.
        headers: what the service wants, the key among them.
        endpoint: takes the place of the host in `url`; "" = the service itself.

    Raises:
        ProviderRefused: key, quota, model or address: trying again is useless.
        ProviderUnavailable: everything that may pass.
    """
    try:
        connection = await _Straight(
            placed(url, endpoint),
            additional_headers=headers,
            compression=None,
            open_timeout=None,
            ping_interval=PING_EVERY_S,
            ping_timeout=PONG_WITHIN_S,
            close_timeout=CLOSE_WITHIN_S,
            max_size=MAX_FRAME,
            max_queue=64,
            write_limit=SEND_BUFFER,
            user_agent_header="voiced",
            logger=_silent,
        )
    except InvalidStatus as error:
        body = bytes(error.response.body or b"")
        raise rejected(service, error.response.status_code, body) from None
    except InvalidURI:
        raise ProviderRefused(
            f"the address of {service.title} cannot be used: look at endpoint", "endpoint"
        ) from None
    except InvalidProxy:
        raise ProviderRefused(
            "the proxy that the environment names is no address", "proxy"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise ProviderUnavailable(
            f"the certificate of {service.title} is not trusted here ({error.verify_message}): "
            "look at the clock, at ca-certificates, or set SSL_CERT_FILE for an emulator",
            "certificate",
        ) from None
    except socket.gaierror:
        raise ProviderUnavailable(
            f"the name of {service.title} cannot be resolved: is this machine online?", "name"
        ) from None
    except (OSError, InvalidHandshake, ConnectionClosed) as error:
        # Only the kind: a handshake's text may quote what was sent.
        number = error.errno if isinstance(error, OSError) else None
        what = os.strerror(number) if number else _kind(error)
        raise ProviderUnavailable(f"{service.title} cannot be reached: {what}", "connect") from None
    link = connection.transport.get_extra_info("socket")
    if link is not None:
        watch_link(link)
    return connection


def rejected(service: Service, status: int, body: bytes = b"") -> ProviderError:
    """Return what an HTTP status in place of a websocket means."""
    title, server = service
    match status:
        case 401 | 403:
            sentence = f"{title} refused the key: set it with voiced key set {server}"
            return ProviderRefused(sentence, "invalid_key")
        case 402:
            sentence = f"{title} wants to be paid: look at the account's billing page"
            return ProviderRefused(sentence, "billing")
        case 400 if b"API_KEY" in body or b"API key" in body or b"api key" in body:
            sentence = f"{title} refused the key: set it with voiced key set {server}"
            return ProviderRefused(sentence, "invalid_key")
        case 404:
            sentence = f"{title} does not know this model or address: choose another Model"
            return ProviderRefused(sentence, "not_found")
        case 429 if b"insufficient_quota" in body or b"credit_balance_exhausted" in body:
            sentence = f"the credit with {title} is used up: look at the account's billing page"
            return ProviderRefused(sentence, "insufficient_quota")
        case 429:
            sentence = f"{title} takes no more connections now (rate or quota); it is tried again"
            return ProviderUnavailable(sentence, "rate_limit")
        case _ if 300 <= status < 400:
            sentence = (
                f"what answers for {title} sends its callers on (HTTP {status}), and the key "
                "goes nowhere else: look at endpoint, or does this network want a login first?"
            )
            return ProviderUnavailable(sentence, f"http_{status}")
        case _ if status >= 500:
            return ProviderUnavailable(f"{title} is out of order (HTTP {status})", f"http_{status}")
    return ProviderRefused(f"{title} refused the connection (HTTP {status})", f"http_{status}")


def closing(error: ConnectionClosed) -> Closing:
    """Return how a websocket ended."""
    if error.rcvd is None:
        sent = error.sent
        # Without an answer of the service: our own goodbye, or a link that broke (keepalive too).
        code = 1006 if sent is None or sent.code != 1000 else 1000
        return Closing(code, "" if sent is None else sent.reason, sent is not None)
    return Closing(error.rcvd.code, error.rcvd.reason, error.rcvd_then_sent is False)


def key_missing(service: Service) -> ProviderRefused:
    """Return the refusal for a provider without its key."""
    return ProviderRefused(
        f"there is no key for {service.title}: set it with voiced key set {service.key_server}",
        "no_key",
    )


def _kind(error: BaseException) -> str:
    return "the handshake failed" if isinstance(error, InvalidHandshake) else type(error).__name__
