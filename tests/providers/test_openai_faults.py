"""Every row of the table of errors: what the operator hears, and what happens next."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Connection, Fault, Reply, Script
from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.providers import provider_openai_realtime as provider
from voiced.providers.dial import Closing, rejected
from voiced.providers.realtime_dialect import server
from voiced.providers.realtime_dialect.faults import LONGEST, Meaning, shown

from . import openai_oracle as oracle
from .openai_hand import Bench, Recorder, kinds, request


class Scene:
    """An open conversation on a workbench."""

    def __init__(self, *, push_to_talk: bool = False, **parameters: Any) -> None:
        self.recorder = Recorder()
        self.live = provider.Live(request(parameters, push_to_talk=push_to_talk), self.recorder)
        self.talk = self.live.conversation
        self.bench = Bench(self.talk)
        self.says("session.created", session={"id": "sess_1"})
        self.says("session.updated", session={"id": "sess_1"})

    def says(self, kind: str, **fields: Any) -> None:
        self.talk.take(msgspec.json.encode({"type": kind, **fields}))

    def objects(self, code: str | None, kind: str, message: str, asked: str | None = None) -> None:
        event = {
            "type": "error",
            "event_id": "event_1",
            "error": {
                "type": kind, "code": code, "message": message, "param": None, "event_id": asked,
            },
        }  # fmt: skip
        oracle.check_received(event)
        self.talk.take(msgspec.json.encode(event))

    def fails(self, response: str, code: str, kind: str) -> None:
        error = {"type": kind, "code": code, "message": "It failed."}
        self.says("response.created", response={"id": response})
        self.says(
            "response.done",
            response={"id": response, "status": "failed",
                      "status_details": {"type": "failed", "error": error}, "usage": None},
        )  # fmt: skip


INVALID = "invalid_request_error"
KEY = "OpenAI refused the key: set it with voiced key set openai"
CREDIT = "the credit with OpenAI is used up: add some at https://platform.openai.com/usage"


class Fatal(NamedTuple):
    code: str | None
    kind: str
    sentence: str


FATAL = [
    Fatal("invalid_api_key", INVALID, KEY),
    Fatal("insufficient_quota", "insufficient_quota", CREDIT),
    # They have changed the code and kept the type.
    Fatal("some_new_word", "insufficient_quota", CREDIT),
    Fatal(None, "insufficient_quota", CREDIT),
    Fatal("credit_balance_exhausted", INVALID, CREDIT),
    Fatal(
        "billing_hard_limit_reached",
        INVALID,
        "the account with OpenAI has reached its spending limit: raise it at "
        "https://platform.openai.com/usage",
    ),
    Fatal(
        "account_deactivated",
        INVALID,
        "OpenAI has deactivated the account of this key: use another key",
    ),
]


@pytest.mark.parametrize("row", FATAL)
@pytest.mark.parametrize("where", ["event", "reply", "opening"])
def test_what_is_fatal_ends_it_for_good(row: Fatal, where: str) -> None:
    scene = Scene()
    if where == "reply":
        scene.fails("resp_1", row.code or "", row.kind)
    else:
        scene.talk.is_open = where == "event"
        scene.objects(row.code, row.kind, "Incorrect API key provided: sk-1234****wxyz.")
    assert isinstance(scene.bench.error, ProviderRefused)
    assert str(scene.bench.error) == row.sentence
    assert scene.bench.error.code == (row.code or row.kind)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("response_cancel_not_active", "Cancellation failed: no active response found"),
        (None, "Cancellation failed: no active response found"),
        ("conversation_already_has_active_response", "Conversation already has an active response"),
        ("input_audio_buffer_commit_empty",
         "Error committing input audio buffer: buffer too small. Expected at least 100ms"),
    ],
)  # fmt: skip
def test_races_are_nobodys_business(code: str | None, message: str) -> None:
    scene = Scene()
    scene.objects(code, INVALID, message)
    assert scene.bench.error is None
    assert scene.recorder.troubles == []
    scene.says("response.created", response={"id": "resp_1"})
    assert scene.recorder.named("response_started") == [("response_started", "resp_1")]


def test_a_cancel_of_nothing_frees_the_place_that_it_was_sent_for() -> None:
    scene = Scene()
    scene.says("response.created", response={"id": "resp_1"})
    scene.talk.interrupted([])
    scene.talk.text("And now?")
    assert kinds(scene.bench.sent()) == ["response.cancel", "conversation.item.create"]
    scene.objects("response_cancel_not_active", INVALID, "no active response found", "cancel_1")
    assert scene.recorder.ended == {"resp_1": "cancelled"}
    assert kinds(scene.bench.sent()) == ["response.create"]


def test_a_second_request_waits_for_the_reply_that_it_met() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    scene.bench.sent()
    for edge in ("started", "stopped"):
        scene.says(f"input_audio_buffer.speech_{edge}", item_id="u1")
    scene.says("response.created", response={"id": "resp_1"})
    message = "Conversation already has an active response in progress: resp_1."
    scene.objects("conversation_already_has_active_response", INVALID, message, "rc_1")
    assert scene.bench.sent() == []
    scene.says("response.done", response={"id": "resp_1", "status": "completed"})
    assert kinds(scene.bench.sent()) == ["response.create"]
    assert scene.recorder.troubles == []


def test_a_second_request_that_met_a_reply_already_over_does_not_stall() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    scene.bench.sent()
    for edge in ("started", "stopped"):
        scene.says(f"input_audio_buffer.speech_{edge}", item_id="u1")
    scene.says("response.created", response={"id": "resp_1"})
    scene.says("response.done", response={"id": "resp_1", "status": "completed"})
    scene.objects("conversation_already_has_active_response", INVALID, "It has one.", "rc_1")
    assert kinds(scene.bench.sent()) == ["response.create"]


def test_a_commit_of_too_little_drops_the_turn() -> None:
    scene = Scene(push_to_talk=True)
    scene.talk.hearing.activity(True)
    scene.talk.hearing.hear(bytes(9600))
    scene.talk.hearing.activity(False)
    commit, create = scene.bench.sent()[-2:]
    message = "buffer too small. Expected at least 100ms of audio"
    scene.objects("input_audio_buffer_commit_empty", INVALID, message, str(commit.event_id))
    assert len(scene.recorder.named("user_turn_dropped")) == 1
    assert scene.recorder.troubles == []
    assert create.event_id == "rc_1"


@pytest.mark.parametrize(
    ("code", "message", "asked"),
    [
        ("invalid_value", "Audio content of 3700ms is already shorter than 3760ms", "cut_item_1"),
        ("item_create_duplicate_item_id", "an item with the same id already exists", "it_1"),
        ("item_retrieve_invalid_item_id", "the item with id 'x' does not exist", None),
        ("item_truncate_invalid_item_id", "the item with id 'x' does not exist", "cut_x"),
        ("a_code_nobody_knows_yet", "there is no such item", "cut_x"),
        ("a_code_nobody_knows_yet", "there is no such item", "del_x"),
    ],
)
def test_stale_names_are_told_once_and_survived(code: str, message: str, asked: str | None) -> None:
    scene = Scene()
    for _ in range(3):
        scene.objects(code, INVALID, message, asked)
    assert scene.recorder.troubles == [code]
    assert scene.bench.error is None
    scene.talk.text("Still there?")
    assert kinds(scene.bench.sent())[-1] == "response.create"


def test_a_duplicate_of_history_counts_as_there() -> None:
    scene = Scene()
    scene.talk.prime([provider.HistoryRow(role="user", text="Hello.")], False)
    name = str(scene.bench.sent()[0].event_id)
    assert not scene.bench.is_primed
    scene.objects("item_create_duplicate_item_id", INVALID, "It exists.", name)
    assert scene.bench.is_primed


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "inference_rate_limit_exceeded"])
def test_a_rate_limit_waits_and_keeps_the_session(code: str) -> None:
    scene = Scene()
    scene.says(
        "rate_limits.updated",
        rate_limits=[
            {"name": "tokens", "limit": 40000, "remaining": 0, "reset_seconds": 7.2},
            {"name": "requests", "limit": 100, "remaining": 99, "reset_seconds": 60.0},
        ],
    )
    scene.fails("resp_1", code, INVALID)
    assert scene.recorder.named("trouble")[0][1:] == (
        code,
        "the rate limit of the account with OpenAI is reached; it goes on in 7 s",
    )
    assert scene.bench.error is None
    assert scene.bench.sent() == []
    assert scene.bench.timers[0][0] == 7.2
    scene.bench.pass_time()
    assert kinds(scene.bench.sent()) == ["response.create"]
    assert scene.recorder.named("signals") == [
        ("signals", {"openai_realtime_tokens_left": 0, "openai_realtime_requests_left": 99})
    ]


def test_an_error_of_the_service_is_tried_once_more() -> None:
    scene = Scene()
    scene.fails("resp_1", "server_error", "server_error")
    assert kinds(scene.bench.sent()) == ["response.create"]
    scene.fails("resp_2", "server_error", "server_error")
    assert scene.recorder.troubles == ["server_error"] * 2
    assert scene.recorder.ended == {"resp_1": "failed", "resp_2": "failed"}
    scene.objects("server_error", "server_error", "The server had an error.")
    assert scene.bench.error is None


def test_the_cap_is_told_at_once_and_its_close_is_no_failure() -> None:
    scene = Scene()
    message = "Your session hit the maximum duration of 60 minutes."
    scene.objects("session_expired", INVALID, message)
    assert scene.recorder.named("goaway") == [("goaway", "cap", 0.0)]
    error = scene.talk.troubles.over(Closing(1001, message, False))
    assert isinstance(error, ProviderUnavailable)
    assert error.code == "session_expired"
    assert scene.recorder.troubles == []


def test_the_cap_may_come_as_a_close_alone() -> None:
    scene = Scene()
    message = "Your session hit the maximum duration of 60 minutes."
    error = scene.talk.troubles.over(Closing(1001, message, False))
    assert error.code == "session_expired"
    assert scene.recorder.named("goaway") == [("goaway", "cap", 0.0)]


def test_an_error_that_is_not_known_is_told_with_the_services_words() -> None:
    scene = Scene()
    scene.objects("unknown_parameter", INVALID, "Unknown parameter: 'session.pace'.", "su_9")
    assert scene.recorder.named("trouble") == [
        ("trouble", "unknown_parameter", "OpenAI reports: Unknown parameter: 'session.pace'.")
    ]


def test_settings_that_the_service_refuses_at_the_start_are_refused() -> None:
    scene = Scene()
    scene.talk.is_open = False
    scene.objects("invalid_value", INVALID, "Invalid value: 'nobody'.", "su_0")
    assert isinstance(scene.bench.error, ProviderRefused)
    assert "Invalid value: 'nobody'." in str(scene.bench.error)


def test_an_error_of_the_service_at_the_start_may_pass() -> None:
    scene = Scene()
    scene.talk.is_open = False
    scene.objects("server_error", "server_error", "The server had an error.")
    assert isinstance(scene.bench.error, ProviderUnavailable)


@pytest.mark.parametrize(
    ("closing", "kind", "code"),
    [
        (Closing(1006, "", False), ProviderUnavailable, "1006"),
        (Closing(1000, "", False), ProviderUnavailable, "1000"),
        (Closing(1011, "internal error", False), ProviderUnavailable, "1011"),
        (Closing(3000, "invalid_request_error.invalid_api_key", False), ProviderRefused,
         "invalid_api_key"),
        (Closing(4000, "insufficient_quota", False), ProviderRefused, "insufficient_quota"),
    ],
)  # fmt: skip
def test_a_close_is_known_by_its_reason(
    closing: Closing, kind: type[ProviderError], code: str
) -> None:
    error = Scene().talk.troubles.over(closing)
    assert type(error) is kind
    assert error.code == code


def test_a_reply_that_ends_early_says_what_to_do() -> None:
    scene = Scene()
    for number, reason in enumerate(["max_output_tokens", "max_output_tokens", "content_filter"]):
        details = {"type": "incomplete", "reason": reason}
        response = {"id": f"resp_{number}", "status": "incomplete", "status_details": details}
        scene.says("response.created", response={"id": f"resp_{number}"})
        scene.says("response.done", response=response)
    assert scene.recorder.troubles == ["max_output_tokens", "content_filter"]
    assert set(scene.recorder.ended.values()) == {"completed"}


def test_no_message_shows_a_key() -> None:
    message = "Incorrect API key provided: sk-proj-abcd****wxyz. See sk-1234567890 " + "x" * 500
    told = shown(message)
    assert "abcd" not in told
    assert "1234567890" not in told
    assert len(told) == LONGEST


def test_every_meaning_has_a_row() -> None:
    meanings = {row.meaning for row in provider.DIALECT.faults._rows}
    assert set(Meaning) - meanings == {Meaning.TOLD, Meaning.GOAWAY}
    fault = server.Fault(code="server_error", type="server_error")
    assert provider.DIALECT.faults.judge(fault).meaning is Meaning.RETRY


# --- on the wire -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key"])
def test_a_fatal_error_ends_a_running_connection(code: str) -> None:
    async def scene() -> None:
        recorder = Recorder()
        fault = Fault(what="error", error=code, after_s=0.05)
        async with OpenAI(Script(connection=[Connection(fault=[fault])])) as emulator:
            conn = await provider.start_session(request(endpoint=emulator.url), recorder)
            error = (await recorder.told("closed"))[1]
            assert isinstance(error, ProviderRefused)
            assert error.code == code
            await provider.end_session(conn)

    asyncio.run(asyncio.wait_for(scene(), 30))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(what="close", code=1011, reason="internal", after_s=0.05), "1011"),
        (Fault(what="close", code=1000, after_s=0.05), "1000"),
        (Fault(what="reset", after_s=0.05), "1006"),
    ],
)
def test_a_lost_connection_is_told_at_once(fault: Fault, code: str) -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with OpenAI(Script(connection=[Connection(fault=[fault])])) as emulator:
            conn = await provider.start_session(request(endpoint=emulator.url), recorder)
            error = (await recorder.told("closed"))[1]
            assert type(error) is ProviderUnavailable
            assert error.code == code
            await provider.send_audio_frame(conn, bytes(960))
            await provider.end_session(conn)
            assert len(recorder.named("closed")) == 1

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_garbage_is_survived() -> None:
    async def scene() -> None:
        recorder = Recorder()
        faults = [
            Fault(what="send", frame=frame, binary=binary, reply=1)
            for frame, binary in (
                ("{not json", False),
                ("\x00\x01", True),
                ('{"type":"new"}', False),
            )
        ]
        script = Connection(fault=faults, reply=[Reply(says="Hello.")])
        async with OpenAI(Script(connection=[script])) as emulator:
            conn = await provider.start_session(request(endpoint=emulator.url), recorder)
            await provider.send_text(conn, "Hello?")
            await recorder.told("response_done")
            await provider.send_text(conn, "Still there?")
            await recorder.told("response_done", 2)
            await provider.end_session(conn)
            assert recorder.troubles == []

    asyncio.run(asyncio.wait_for(scene(), 30))


@pytest.mark.parametrize(("model", "code"), [("gpt-nothing", "not_found"), ("", "")])
def test_a_model_that_is_not_there(model: str, code: str) -> None:
    async def scene() -> None:
        async with OpenAI() as emulator:
            asked = request({"Model": model}, endpoint=emulator.url)
            if not code:
                await provider.end_session(await provider.start_session(asked, Recorder()))
                return
            with pytest.raises(ProviderRefused) as refused:
                await provider.start_session(asked, Recorder())
            assert refused.value.code == code

    asyncio.run(asyncio.wait_for(scene(), 30))


async def _expiring(socket: ServerConnection) -> None:
    assert socket.request is not None
    assert "OpenAI-Beta" not in socket.request.headers
    await socket.recv()
    session = {"id": "s", "expires_at": int(time.time()) + 2}
    await socket.send(msgspec.json.encode({"type": "session.updated", "session": session}).decode())
    await socket.wait_closed()


def test_the_end_that_the_service_names_at_the_start_is_told_before_it_comes() -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with serve(_expiring, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            asked = request(endpoint=f"ws://127.0.0.1:{port}")
            conn = await provider.start_session(asked, recorder)
            _, reason, left = await recorder.told("goaway")
            assert reason == "cap"
            assert 0 < left < 1
            await provider.end_session(conn)

    asyncio.run(asyncio.wait_for(scene(), 30))


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (429, b'{"error":{"code":"insufficient_quota"}}', "insufficient_quota"),
        (401, b"", "invalid_key"),
        (404, b"", "not_found"),
    ],
)
def test_a_handshake_refused_for_good_is_not_tried_again(
    status: int, body: bytes, code: str
) -> None:
    error = rejected(provider.SERVICE, status, body)
    assert isinstance(error, ProviderRefused)
    assert error.code == code


def test_without_a_key_nothing_is_dialled() -> None:
    async def scene() -> None:
        with pytest.raises(ProviderRefused) as refused:
            await provider.start_session(request(key="", endpoint="ws://127.0.0.1:9"), Recorder())
        assert refused.value.code == "no_key"

    asyncio.run(scene())


def test_a_request_that_is_refused_is_not_made_for_ever() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    scene.bench.sent()
    scene.objects("invalid_value", INVALID, "Invalid value.", "rc_1")
    assert scene.recorder.troubles == ["invalid_value"]
    assert scene.bench.sent() == []
    scene.talk.text("And now?")
    assert kinds(scene.bench.sent()) == ["conversation.item.create", "response.create"]


def test_an_item_that_is_refused_wants_no_answer() -> None:
    scene = Scene()
    scene.says("response.created", response={"id": "resp_1"})
    scene.talk.text("Hello?")
    name = str(scene.bench.sent()[0].event_id)
    scene.objects("invalid_value", INVALID, "Invalid value.", name)
    scene.says("response.done", response={"id": "resp_1", "status": "completed"})
    assert scene.bench.sent() == []


def test_a_request_that_meets_a_limit_is_made_later() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    scene.bench.sent()
    for number in range(1, 4):
        scene.objects("rate_limit_exceeded", INVALID, "Later.", f"rc_{number}")
        assert scene.bench.sent() == []
        assert scene.bench.timers[-1][0] == 5.0
        scene.bench.pass_time()
        assert kinds(scene.bench.sent()) == ["response.create"]


def test_a_request_that_the_service_fails_is_made_once_more() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    scene.bench.sent()
    scene.objects("server_error", "server_error", "It failed.", "rc_1")
    assert kinds(scene.bench.sent()) == ["response.create"]
    scene.objects("server_error", "server_error", "It failed.", "rc_2")
    assert scene.bench.sent() == []
    assert scene.recorder.troubles == ["server_error"] * 2
