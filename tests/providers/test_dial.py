"""How a service's socket is opened: what a key in a header must never do."""

from __future__ import annotations

import asyncio

import pytest

from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.providers.dial import Service, dial, placed

KEY = "planted-key-4711"
HEADERS = {"X-Hume-Api-Key": KEY, "x-goog-api-key": KEY, "Authorization": f"Bearer {KEY}"}


async def _elsewhere(status: str) -> tuple[str, bytes]:
    """Dial a server that sends its callers to another; return the sentence and what it got."""
    got = bytearray()

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read(8192))
        writer.close()

    async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        place = f"Location: ws://127.0.0.1:{there}/\r\nContent-Length: 0"
        writer.write(f"HTTP/1.1 {status}\r\n{place}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(other, "127.0.0.1", 0) as second,
        await asyncio.start_server(first, "127.0.0.1", 0) as server,
    ):
        there = second.sockets[0].getsockname()[1]
        here = server.sockets[0].getsockname()[1]
        with pytest.raises(ProviderUnavailable) as refused:
            await dial(Service("Hume", "hume"), f"ws://127.0.0.1:{here}/v0", HEADERS)
        return str(refused.value), bytes(got)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_nobody_is_followed_with_a_key(status: str) -> None:
    """A redirect is told; what it names is not even called, whatever the key's header is called."""
    sentence, got = asyncio.run(_elsewhere(status))
    assert got == b""
    assert "endpoint" in sentence
    assert KEY not in sentence
    assert status[:3] in sentence


def test_a_refused_connection_is_told_in_words() -> None:
    """The operator reads what is wrong, not how the library puts it."""

    async def refused() -> str:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(ProviderUnavailable) as error:
            await dial(Service("Hume", "hume"), f"ws://127.0.0.1:{port}/v0", HEADERS)
        return str(error.value)

    assert asyncio.run(refused()) == "Hume cannot be reached: Connection refused"


@pytest.mark.parametrize(
    "endpoint",
    ["http://host:1", "ws://", "ws://a:99999", "ws://a:b", "ws://a:0", "ws://[::1", "x" * 3000],
)
def test_an_endpoint_that_is_none_is_refused_for_good(endpoint: str) -> None:
    """With a sentence that can be read, and without another try."""
    with pytest.raises(ProviderRefused) as refused:
        placed("wss://service/v1?model=x", endpoint)
    assert "write ws://host:port" in str(refused.value)
    assert len(str(refused.value)) < 250


def test_an_endpoint_takes_the_services_place() -> None:
    """Path and query stay the service's own."""
    assert placed("wss://service/v1?model=x", "ws://[::1]:5/p/") == "ws://[::1]:5/p/v1?model=x"
