"""The door over TCP, by voiced's own client and by bare sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.osc.fake import FakeSurface, Running
from tests.osc.wire import Udp, built
from voiced.control.osc.client import AnswerRefused, Client, NoAnswer, Said
from voiced.control.osc.codec import decode
from voiced.errors import ChannelClosed
from voiced.mind import effects
from voiced.mind.inputs import HolderGone, Write

VOLUME = "/voice_agent/par/Volume"


@pytest.fixture
def client(door: Running) -> Iterator[Client]:
    with Client("127.0.0.1", door.port) as one:
        yield one


def test_the_client_asks_and_does(client: Client, surface: FakeSurface) -> None:
    assert client.ask(VOLUME) == (1.0,)
    assert client.do(VOLUME, 0.5) == []
    assert client.do(VOLUME, 2.0) == [Said(VOLUME, (1.0,))]
    assert client.ask("/voiced/ping", 1, "a") == (1, "a")
    assert client.ask("/voice_agent/par/Apikey") == (0,)
    assert client.ask("/voiced/status")[0] == "1.2.3"
    assert client.do("/voice_agent/par/Connect") == []
    assert len(surface.pressed("Connect")) == 1


def test_the_client_hears_refusals(client: Client) -> None:
    with pytest.raises(AnswerRefused, match="Did you mean Volume") as caught:
        client.ask("/voice_agent/par/volume")
    assert caught.value.code == "unknown_address"
    with pytest.raises(AnswerRefused) as caught:
        client.do(VOLUME, "loud")
    assert caught.value.code == "bad_type"
    assert [said.args[1] for said in client.do("/voice_agent/par/Micin", "3")] == ["later"]


def test_nobody_there_is_a_sentence() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(ChannelClosed, match="is `voiced run` running"):
        Client("127.0.0.1", port)


def test_no_answer_in_time_is_one_too(client: Client) -> None:
    with pytest.raises(NoAnswer):
        client.receive(0.02)


def test_a_door_that_closes_is_told(door: Running, client: Client) -> None:
    client.ask(VOLUME)
    door.close()
    with pytest.raises(ChannelClosed):
        client.receive(5)
    door.close = lambda: None  # type: ignore[method-assign]


def test_texts_come_and_go_whole(client: Client, surface: FakeSurface) -> None:
    text = "wörter " * 7000
    assert client.do("/voice_agent/par/Systemprompt", text) == []
    assert client.ask("/voice_agent/par/Systemprompt") == (text,)
    with pytest.raises(AnswerRefused) as caught:
        client.do("/voice_agent/par/Systemprompt", "x" * 64_000)
    assert caught.value.code == "too_long"
    assert surface.value("voice_agent", "par", "Systemprompt") == text


def test_listening_begins_with_how_things_are(door: Running, client: Client) -> None:
    heard = client.listen("/*/{par,cb}/*")
    dump = []
    while len(dump) < 5:
        dump.append(next(heard))
    udp = Udp(door.port)
    udp.send(VOLUME, 0.25)
    while next(heard) != Said(VOLUME, (0.25,)):
        pass
    effect = effects.Callback(name="onAssistantText", args=("ü" * 9000, 1, "1.1"))
    door.call(lambda: door.surface.perform("voice_agent", effect))
    while (said := next(heard)).address != "/voice_agent/cb/onAssistantText":
        pass  # what is left of the dump
    assert said.args == ("ü" * 9000, 1, "1.1")
    udp.close()


def test_who_hangs_up_lets_go(door: Running, surface: FakeSurface) -> None:
    gone: list[HolderGone] = []
    before = surface.put
    surface.put = lambda agent, item: (  # type: ignore[method-assign]
        gone.append(item) if isinstance(item, HolderGone) else before(agent, item)
    )
    with Client("127.0.0.1", door.port) as client:
        client.do("/voice_agent/par/Talk", 1)
        held = [item.origin for _, _, item in surface.puts if isinstance(item, Write)]
    deadline = time.monotonic() + 5
    while not gone:
        assert time.monotonic() < deadline
        door.call(lambda: None)
    assert gone[0].origin == held[0]


def answer(sock: socket.socket, size: int) -> bytes:
    sock.settimeout(5)
    data = b""
    while len(data) < size:
        piece = sock.recv(4096)
        assert piece
        data += piece
    return data


def test_a_size_prefix_is_answered_with_one(door: Running) -> None:
    packet = built(VOLUME)
    with socket.create_connection(("127.0.0.1", door.port)) as sock:
        sock.sendall(struct.pack(">I", len(packet)) + packet)
        expected = built(VOLUME, 1.0)
        assert answer(sock, 4 + len(expected)) == struct.pack(">I", len(expected)) + expected


def test_slip_is_answered_with_slip(door: Running) -> None:
    with socket.create_connection(("127.0.0.1", door.port)) as sock:
        sock.sendall(b"\xc0" + built(VOLUME) + b"\xc0")
        expected = built(VOLUME, 1.0)
        framed = answer(sock, 2 + len(expected))
        assert framed[:1] + framed[-1:] == b"\xc0\xc0"
        assert decode(framed[1:-1])[0].args == (1.0,)


@pytest.mark.parametrize(
    "stream", [b"GET / HTTP/1.1\r\n\r\n", b"\0\xff\xff\xff", b"\xc0/\xdb\0\xc0"]
)
def test_what_is_no_framing_is_hung_up_on(door: Running, udp: Udp, stream: bytes) -> None:
    with socket.create_connection(("127.0.0.1", door.port)) as sock:
        sock.sendall(stream)
        sock.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(10) == b""
    assert udp.ask(VOLUME) == [1.0]


def test_there_are_at_most_so_many_connections(door: Running, udp: Udp) -> None:
    clients = [Client("127.0.0.1", door.port) for _ in range(32)]
    for client in clients:
        client.ask(VOLUME)
    with pytest.raises(ChannelClosed), Client("127.0.0.1", door.port) as one_more:
        one_more.ask(VOLUME)
    for client in clients:
        client.close()
    assert udp.ask(VOLUME) == [1.0]


def test_a_flood_by_tcp_takes_turns_with_others(
    door: Running, udp: Udp, surface: FakeSurface
) -> None:
    flood = b"".join(
        struct.pack(">I", len(p)) + p for p in (built(VOLUME, n / 20_000) for n in range(20_000))
    )
    with socket.create_connection(("127.0.0.1", door.port)) as sock:
        sock.sendall(flood)
        # The flood is in the door's hands, most of it not acted on yet.
        assert udp.ask("/voice_agent/par/Talk") == [0]
        between = len(surface.puts)
        end = built("/voiced/ping", 1)
        sock.sendall(struct.pack(">I", len(end)) + end)
        answer(sock, 4 + len(built("/voiced/pong", 1)))
    assert surface.value("voice_agent", "par", "Volume") == pytest.approx(0.99995)
    assert between <= len(surface.puts) < 20_000
