"""Every row of the table of errors: what the operator hears, and what happens next."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from voiced.emulators.script import Connection, Fault, Reply, Script
from voiced.emulators.xai import XAI
from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.providers import provider_xai_grok as provider
from voiced.providers.contract import HeardItem
from voiced.providers.dial import Closing
from voiced.providers.realtime_dialect.faults import Meaning

from .openai_hand import Recorder
from .xai_hand import Scene, request

INVALID = "invalid_request_error"
KEY = "xAI refused the key: set it with voiced key set xai"
CREDIT = "the credit with xAI is used up: look at https://console.x.ai/usage"
CAP = "Session has reached the maximum duration of 120 minutes"
IDLE = "Conversation timed out after 900.0 seconds due to inactivity"


class Fatal(NamedTuple):
    code: str | None
    kind: str
    message: str
    sentence: str
    told: str


FATAL = [
    Fatal("invalid_api_key", INVALID, "", KEY, "invalid_api_key"),
    Fatal("", INVALID, "Incorrect API key provided: xai-1234****. See x.ai.", KEY, INVALID),
    Fatal(None, "authentication_error", "Who?", KEY, "authentication_error"),
    Fatal("insufficient_quota", INVALID, "", CREDIT, "insufficient_quota"),
    Fatal("", "credit_balance_exhausted", "", CREDIT, "credit_balance_exhausted"),
]


@pytest.mark.parametrize("row", FATAL)
@pytest.mark.parametrize("opening", [False, True])
def test_what_is_fatal_ends_it_for_good(row: Fatal, opening: bool) -> None:
    scene = Scene()
    scene.talk.is_open = not opening
    scene.objects(row.kind, row.message, row.code)
    assert isinstance(scene.bench.error, ProviderRefused)
    assert str(scene.bench.error) == row.sentence
    assert scene.bench.error.code == row.told


@pytest.mark.parametrize(
    "message",
    [
        "Cancellation failed: no active response found",
        "Cancellation failed: No Active Response found",
        "Conversation already has an active response: resp_1.",
        "Failed to truncate item: not found",
        "Cannot truncate an item of a response in progress.",
        "Audio content of 400ms is already shorter than 620ms",
    ],
)
def test_races_are_nobodys_business(message: str) -> None:
    scene = Scene()
    scene.objects(INVALID, message)
    assert scene.bench.error is None
    assert scene.recorder.troubles == []
    scene.begins("resp_1")
    assert scene.recorder.named("response_started") == [("response_started", "resp_1")]


def test_a_second_request_waits_for_the_reply_that_it_met() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    scene.bench.sent()
    scene.talk.hearing.awaits_answer = True
    scene.begins("resp_1")
    scene.objects(INVALID, "Conversation already has an active response: resp_1.", asked="rc_1")
    assert scene.sent() == []
    scene.done("resp_1")
    assert scene.sent() == ["response.create"]
    assert scene.recorder.troubles == []


@pytest.mark.parametrize("kind", ["internal_error", "server_error", "timeout"])
def test_an_error_of_the_service_is_told_and_its_reply_asked_for_once_more(kind: str) -> None:
    scene = Scene()
    for number in (1, 2):
        scene.begins(f"resp_{number}")
        scene.objects(kind, "Internal server error")
        scene.done(f"resp_{number}", "failed")
    assert scene.sent() == ["response.create"]
    assert (
        scene.recorder.named("trouble")
        == [("trouble", kind, "xAI had an error of its own: Internal server error")] * 2
    )
    assert scene.recorder.ended == {"resp_1": "failed", "resp_2": "failed"}
    assert scene.bench.error is None


def test_by_push_to_talk_nothing_is_asked_for_that_would_be_dropped() -> None:
    scene = Scene(request(push_to_talk=True))
    scene.begins("resp_1")
    scene.objects("internal_error", "Internal server error")
    scene.done("resp_1", "failed")
    assert scene.sent() == []


def test_a_request_of_ours_that_fails_is_made_once_more() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    for token in ("rc_1", "rc_2"):
        scene.bench.sent()
        scene.objects("internal_error", "Internal server error", asked=token)
    assert scene.sent() == []
    assert len(scene.recorder.troubles) == 2


def test_the_cap_is_told_at_once_and_its_close_is_no_failure() -> None:
    scene = Scene()
    scene.objects("max_duration", CAP)
    scene.objects("max_duration", CAP)
    assert scene.recorder.named("goaway") == [("goaway", "cap", 0.0)]
    error = scene.talk.troubles.over(Closing(1000, CAP, False))
    assert type(error) is ProviderUnavailable
    assert error.code == "max_duration"
    assert str(error) == "the session with xAI has reached its longest duration"
    assert scene.recorder.troubles == []


def test_the_cap_may_come_as_a_close_alone() -> None:
    scene = Scene()
    assert scene.talk.troubles.over(Closing(1000, CAP, False)).code == "max_duration"
    assert scene.recorder.named("goaway") == [("goaway", "cap", 0.0)]


@pytest.mark.parametrize("by_close", [False, True])
def test_a_session_in_which_nobody_spoke_is_taken_up_again_without_a_word(by_close: bool) -> None:
    scene = Scene()
    if not by_close:
        scene.objects("timeout", IDLE, None)
    error = scene.talk.troubles.over(Closing(1000, IDLE if by_close else "", False))
    assert scene.recorder.named("goaway") == [("goaway", "goaway", 0.0)]
    assert type(error) is ProviderUnavailable
    assert str(error) == "xAI ended a session in which nobody spoke"
    assert scene.recorder.troubles == []


def test_a_rate_limit_waits_and_keeps_the_session() -> None:
    scene = Scene()
    scene.talk.text("Hello?")
    scene.bench.sent()
    scene.objects("rate_limit_exceeded", "Too many.", asked="rc_1")
    assert scene.recorder.named("trouble") == [
        ("trouble", "rate_limit_exceeded",
         "the rate limit of the account with xAI is reached; it goes on in 5 s")
    ]  # fmt: skip
    assert scene.sent() == []
    scene.bench.due(5.0)
    assert scene.sent() == ["response.create"]


@pytest.mark.parametrize("kind", ["invalid_event", INVALID])
def test_an_error_that_is_not_known_is_told_with_the_services_words(kind: str) -> None:
    scene = Scene()
    scene.objects(kind, "Unknown field 'pace' of xai-12345678", "", "su_9")
    assert scene.recorder.named("trouble") == [
        ("trouble", kind, "xAI reports: Unknown field 'pace' of (key)")
    ]
    assert scene.bench.error is None


def test_settings_that_the_service_refuses_at_the_start_are_refused() -> None:
    scene = Scene()
    scene.talk.is_open = False
    scene.objects(INVALID, "Invalid tool configuration.")
    assert isinstance(scene.bench.error, ProviderRefused)
    assert str(scene.bench.error) == "xAI reports: Invalid tool configuration."


@pytest.mark.parametrize("kind", ["internal_error", "max_duration"])
def test_what_may_pass_at_the_start_may_pass(kind: str) -> None:
    scene = Scene()
    scene.talk.is_open = False
    scene.objects(kind, "Not now.")
    assert type(scene.bench.error) is ProviderUnavailable


@pytest.mark.parametrize(
    ("closing", "kind", "code"),
    [
        (Closing(1006, "", False), ProviderUnavailable, "1006"),
        (Closing(1000, "", False), ProviderUnavailable, "1000"),
        (Closing(4001, "who knows", False), ProviderUnavailable, "4001"),
        (Closing(1008, "Incorrect API key provided", False), ProviderRefused, "invalid_api_key"),
    ],
)
def test_any_close_is_the_end(closing: Closing, kind: type[ProviderError], code: str) -> None:
    error = Scene().talk.troubles.over(closing)
    assert type(error) is kind
    assert error.code == code


def test_a_close_is_explained_by_the_error_before_it() -> None:
    scene = Scene()
    scene.objects("internal_error", "The conductor crashed.")
    error = scene.talk.troubles.over(Closing(1000, "", False))
    assert type(error) is ProviderUnavailable
    assert str(error) == "xAI had an error of its own: The conductor crashed."
    assert error.code == "internal_error"


def test_every_meaning_but_one_has_a_row() -> None:
    meanings = {row.meaning for row in provider.FAULTS._rows}
    # Stale truncations are the one thing that others are warned of.
    assert set(Meaning) - meanings == {Meaning.TOLD, Meaning.WARN}


def test_a_truncation_is_sent_when_the_reply_is_over_and_its_refusal_is_nothing() -> None:
    scene = Scene()
    scene.begins("resp_1")
    scene.speaks("resp_1", "item_1")
    heard = HeardItem(response="resp_1", item="item_1", ms=60, received_ms=100, complete=False)
    scene.talk.interrupted([heard])
    assert scene.sent() == ["response.cancel"]
    scene.done("resp_1", "cancelled")
    assert scene.sent() == ["conversation.item.truncate"]
    scene.objects(INVALID, "Failed to truncate", asked="cut_item_1")
    assert scene.recorder.troubles == []


# --- on the wire -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "code", "goaway"),
    [
        (Fault(what="cap", after_s=0.05), ProviderUnavailable, "max_duration", "cap"),
        (Fault(what="close", code=1011, reason="internal", after_s=0.05), ProviderUnavailable,
         "1011", ""),
        (Fault(what="reset", after_s=0.05), ProviderUnavailable, "1006", ""),
        (Fault(what="error", kind="authentication_error", reason="Who?", after_s=0.05),
         ProviderRefused, "authentication_error", ""),
    ],
)  # fmt: skip
def test_the_end_is_told_once(fault: Fault, kind: type, code: str, goaway: str) -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with XAI(Script(connection=[Connection(fault=[fault])])) as emulator:
            conn = await provider.start_session(request(endpoint=emulator.url), recorder)
            error = (await recorder.told("closed"))[1]
            assert type(error) is kind
            assert error.code == code
            assert recorder.named("goaway") == ([("goaway", goaway, 0.0)] if goaway else [])
            await provider.send_audio_frame(conn, bytes(960))
            await provider.end_session(conn)
            assert len(recorder.named("closed")) == 1

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_a_wrong_key_is_refused_with_what_to_do() -> None:
    async def scene() -> None:
        async with XAI(keys=frozenset({"xai-right"})) as emulator:
            with pytest.raises(ProviderRefused, match="voiced key set xai") as refused:
                await provider.start_session(request(endpoint=emulator.url), Recorder())
        assert refused.value.code == "invalid_key"
        with pytest.raises(ProviderRefused) as refused:
            await provider.start_session(request(key="", endpoint="ws://127.0.0.1:9"), Recorder())
        assert refused.value.code == "no_key"

    asyncio.run(scene())


def test_garbage_is_survived() -> None:
    async def scene() -> None:
        recorder = Recorder()
        faults = [
            Fault(what="send", frame=frame, binary=binary, reply=1)
            for frame, binary in (
                ("{not json", False), ("\x00\x01", True), ('{"type":"new"}', False),
                ('{"type":"ping","timestamp":1}', False),
            )
        ]  # fmt: skip
        script = Connection(fault=faults, reply=[Reply(says="Hello.")])
        async with XAI(Script(connection=[script])) as emulator:
            conn = await provider.start_session(request(endpoint=emulator.url), recorder)
            await provider.send_text(conn, "Hello?")
            await recorder.told("response_done")
            await provider.send_text(conn, "Still there?")
            await recorder.told("response_done", 2)
            await provider.end_session(conn)
            assert recorder.troubles == []
            assert list(emulator.violations) == []

    asyncio.run(asyncio.wait_for(scene(), 30))
