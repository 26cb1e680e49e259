"""The web door on loopback: what is taken, from whom, and how everything else is refused."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import os
import random
import socket
import threading
from collections.abc import Iterator

import pytest

from voiced.control.config import WebConfig
from voiced.control.web.door import PICTURES_PER_S, WebDoor, _is_number
from voiced.control.web.server import MAX_CONNECTIONS, MAX_HEAD, MAX_TOLD, Connection, Head
from voiced.messages.pictures import MAX_PICTURE

JPEG = b"\xff\xd8\xff\xe0frame\xff\xd9"
TOKEN = "planted-token-0123456789"


class House:
    """A door in a loop of its own, and what it let through."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.problem = ""
        self.token = TOKEN
        self.door = WebDoor(
            lambda: ["alice", "bob"], self._take, lambda agent: self.problem, lambda: self.token
        )
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        assert self.run(self.door.start(WebConfig(port=0))) == ""

    def _take(self, agent: str, jpeg: bytes) -> str:
        self.taken.append((agent, jpeg))
        return ""

    def run(self, coroutine):  # noqa: ANN001, ANN201
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self) -> None:
        self.run(self.door.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def ask(
        self, method: str, path: str, body: bytes = JPEG, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=30)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())


@pytest.fixture
def house() -> Iterator[House]:
    there = House()
    yield there
    there.close()


def test_a_jpeg_is_taken_by_put_and_by_post(house: House) -> None:
    assert house.ask("PUT", "/alice/picture")[0] == 202
    assert house.ask("POST", "/bob/picture?n=1", Content_Type="image/jpeg")[0] == 202
    assert house.ask("POST", "/bob/picture", Content_Type="application/octet-stream")[0] == 202
    assert house.taken == [("alice", JPEG), ("bob", JPEG), ("bob", JPEG)]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [
        ("GET", "/", b"", {}, 404, "/alice/picture, /bob/picture"),
        ("PUT", "/alice", JPEG, {}, 404, "nothing here"),
        ("PUT", "/alcie/picture", JPEG, {}, 404, "Did you mean alice?"),
        ("GET", "/alice/picture", b"", {}, 405, "PUT or POST"),
        ("POST", "/alice/picture", JPEG, {}, 415, "Content-Type: image/jpeg"),
        ("POST", "/alice/picture", JPEG, {"Content_Type": "text/plain"}, 415, "image/jpeg"),
        ("PUT", "/alice/picture", b"\x89PNG", {}, 415, "no JPEG"),
        ("PUT", "/alice/picture", b"", {}, 415, "no JPEG"),
        ("PUT", "/alice/picture", JPEG[:-2], {}, 400, "cut off"),
        ("PUT", "/alice/picture", JPEG + bytes(MAX_PICTURE), {}, 413, "512 KiB"),
        ("PUT", "/alice/picture", JPEG, {"Origin": "http://shop.example"}, 403, "browser"),
        ("PUT", "/alice/picture", JPEG, {"Host": "rebound.example:9371"}, 403, "browser"),
        ("PUT", "/alice/picture", JPEG, {"X_Forwarded_For": "10.0.0.9"}, 401, "a token"),
        ("PUT", "/alice/picture", JPEG, {"Forwarded": "for=10.0.0.9"}, 401, "a token"),
        ("PUT", "/alice/picture", JPEG, {"Authorization": "Bearer guessed"}, 401, "another"),
        ("PUT", "/alice/picture", JPEG, {"Authorization": "Bearer \xff"}, 401, "another"),
    ],
)
def test_what_is_refused(
    house: House, method: str, path: str, body: bytes, headers: dict[str, str], status: int,
    words: str,
) -> None:  # fmt: skip
    found, sentence, told = house.ask(method, path, body, **headers)
    assert (found, words in sentence) == (status, True), sentence
    assert house.taken == []
    if status == 401:
        assert told["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in sentence


def test_the_token_opens_the_door_for_those_from_elsewhere(house: House) -> None:
    elsewhere = {"X_Forwarded_For": "10.0.0.9", "Host": "show.example"}
    assert (
        house.ask("PUT", "/alice/picture", Authorization=f"Bearer {TOKEN}", **elsewhere)[0] == 202
    )
    house.token = ""
    for given in ("Bearer ", "Bearer", f"Bearer {TOKEN}", "Basic YTpi"):
        status, sentence, _ = house.ask("PUT", "/alice/picture", Authorization=given, **elsewhere)
        assert status == 401, given
    assert "voiced key set web" in sentence
    assert len(house.taken) == 1


def test_without_anybody_to_see_it_a_picture_is_refused_before_it_is_sent(house: House) -> None:
    house.problem = "the session is disconnected: pulse Connect first"
    with socket.create_connection(("127.0.0.1", house.door.port), timeout=30) as client:
        client.sendall(
            b"PUT /alice/picture HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        told = client.recv(65_536)
        assert told.startswith(b"HTTP/1.1 409 ")
        house.problem = ""
    assert house.taken == []


def test_one_who_asks_first_is_told_to_go_on(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.door.port), timeout=30) as client:
        head = b"PUT /alice/picture HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(JPEG))
        assert client.recv(65_536).startswith(b"HTTP/1.1 100")
        client.sendall(JPEG)
        assert client.recv(65_536).startswith(b"HTTP/1.1 202")


def test_a_sender_without_a_length_is_bounded_too(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.door.port), timeout=30) as client:
        client.sendall(
            b"PUT /alice/picture HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        told = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                client.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        with contextlib.suppress(ConnectionError):
            told = client.recv(65_536)
    assert told.startswith(b"HTTP/1.1 413")
    assert house.taken == []


def test_a_connection_is_used_again(house: House) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", house.door.port, timeout=30)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("PUT", "/alice/picture", JPEG)
            answer = connection.getresponse()
            assert answer.status == 202
            answer.read()
            assert not answer.will_close
    assert len(house.taken) == 3


def test_two_requests_in_one_packet_are_two_pictures(house: House) -> None:
    one = b"PUT /%s/picture HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
    both = b"".join(one % (name, len(JPEG)) + JPEG for name in (b"alice", b"bob"))
    with socket.create_connection(("127.0.0.1", house.door.port), timeout=30) as client:
        client.sendall(both)
        told = b""
        while told.count(b"HTTP/1.1 202") < 2:
            received = client.recv(65_536)
            assert received, told
            told += received
    assert [agent for agent, _ in house.taken] == ["alice", "bob"]


def test_more_pictures_than_anybody_sees_are_refused_for_each_agent(house: House) -> None:
    statuses = [house.ask("PUT", "/alice/picture")[0] for _ in range(PICTURES_PER_S)]
    status, _, told = house.ask("PUT", "/alice/picture")
    if status == 202:
        pytest.skip("this machine took more than a second for six requests: none was too many")
    assert (statuses, status, told["Retry-After"]) == ([202] * PICTURES_PER_S, 429, "1")
    assert house.ask("PUT", "/bob/picture")[0] == 202


def test_connections_are_counted(house: House) -> None:
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", house.door.port)
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(socket.create_connection(address, timeout=30))
        late = stack.enter_context(socket.create_connection(address, timeout=30))
        assert late.recv(65_536).startswith(b"HTTP/1.1 503")


def test_a_crowd_of_connections_takes_no_more_files_than_are_counted(house: House) -> None:
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", house.door.port)
        for _ in range(MAX_TOLD):
            stack.enter_context(socket.create_connection(address, timeout=30))
        late = stack.enter_context(socket.create_connection(address, timeout=30))
        assert late.recv(65_536) == b""


class Gone(asyncio.Transport):
    """A client that took the answer and went, before the door has closed its side."""

    aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: object) -> None: ...

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def abort(self) -> None:
        self.aborted = True


def test_a_client_that_goes_with_its_answer_is_let_go(house: House) -> None:
    async def refuse() -> bool:
        connection, transport = Connection(house.door, set()), Gone()
        connection.connection_made(transport)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.connection_lost(None)
        return transport.aborted

    assert house.run(refuse())


def test_a_head_that_never_ends_is_cut(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.door.port), timeout=30) as client:
        client.sendall(b"PUT /alice/picture HTTP/1.1\r\n")
        told = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(MAX_HEAD // 1024 * 2):
                client.sendall(b"X: " + b"a" * 1021)
        with contextlib.suppress(ConnectionError):
            told = client.recv(65_536)
    assert told.startswith(b"HTTP/1.1 431")


def test_a_request_that_stops_in_the_middle_is_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiced.control.web.server.REQUEST_S", 0.1)
    with socket.create_connection(("127.0.0.1", house.door.port), timeout=30) as client:
        client.sendall(b"PUT /alice/picture HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
        assert client.recv(65_536).startswith(b"HTTP/1.1 408")


def test_noise_breaks_nothing(house: House) -> None:
    rounds = int(os.environ.get("VOICED_FUZZ", "150"))
    chance = random.Random(9371)
    whole = b"PUT /alice/picture HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 11\r\n\r\n" + JPEG
    for _ in range(rounds):
        noise = bytearray(whole if chance.random() < 0.8 else chance.randbytes(200))
        for _ in range(chance.randrange(1, 6)):
            noise[chance.randrange(len(noise))] = chance.randrange(256)
        address = ("127.0.0.1", house.door.port)
        with (
            socket.create_connection(address, timeout=30) as client,
            contextlib.suppress(ConnectionError),
        ):
            client.sendall(bytes(noise))
            client.shutdown(socket.SHUT_WR)
            while client.recv(65_536):
                pass
    house.door._windows.clear()
    assert house.ask("PUT", "/alice/picture")[0] == 202


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", {}, True), ("127.8.8.8", {}, True), ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True), ("::ffff:10.0.0.9", {}, False),
        ("192.168.1.7", {}, False), ("fe80::1", {}, False),
        ("127.0.0.1", {"x-forwarded-for": ""}, False),
    ],
)  # fmt: skip
def test_who_is_this_machine(peer: str, headers: dict[str, str], local: bool) -> None:
    assert Head("PUT", "/", headers, peer).local == local


@pytest.mark.parametrize(
    ("host", "number"),
    [
        ("", True), ("127.0.0.1", True), ("127.0.0.1:9371", True), ("[::1]:9371", True),
        ("[::1]", True), ("localhost:9371", True), ("LOCALHOST", True),
        ("localhost.shop.example", False), ("127.0.0.1.shop.example:80", False),
        ("shop.example", False),
    ],
)  # fmt: skip
def test_a_name_that_somebody_may_have_turned_is_no_number(host: str, number: bool) -> None:
    assert _is_number(host) == number


def test_a_port_in_use_is_a_sentence(house: House) -> None:
    other = WebDoor(list, lambda agent, jpeg: "", lambda agent: "", str)
    problem = asyncio.run(other.start(WebConfig(port=house.door.port)))
    assert f"web 127.0.0.1:{house.door.port} cannot be opened" in problem
    assert problem.endswith("set another web.port, or stop what uses it")
    asyncio.run(other.close())
