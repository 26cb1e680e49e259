"""Every server event is read; what cannot be read is named and costs nothing else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.providers.realtime_dialect import server

from . import openai_oracle as oracle


def test_the_union_has_as_many_members_as_ever() -> None:
    assert len(oracle.members()) == 46


@pytest.mark.parametrize("member", oracle.members(), ids=oracle.type_of)
def test_every_event_of_the_vendors_is_read(member) -> None:
    event = oracle.sample(member)
    oracle.check_received(event)
    read = server.decode(msgspec.json.encode(event))
    assert isinstance(read, server.Event), read
    assert (type(read) is server.Ignored) == (oracle.type_of(member) in server._IGNORED)


@pytest.mark.parametrize("member", oracle.members(), ids=oracle.type_of)
def test_every_event_is_read_with_its_optional_fields_null_or_absent(member) -> None:
    for empty in (True, False):
        event = oracle.sample(member)
        for name, field in member.model_fields.items():
            if not field.is_required():
                if empty:
                    del event[name]
                else:
                    event[name] = None
        read = server.decode(msgspec.json.encode(event))
        assert isinstance(read, server.Event), read


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("response.audio.delta", server.AudioDelta),
        ("response.audio_transcript.delta", server.TranscriptDelta),
        ("response.text.delta", server.TextDelta),
        ("response.audio.done", server.AudioDone),
        ("response.audio_transcript.done", server.TranscriptDone),
        ("response.text.done", server.TextDone),
    ],
)
def test_names_of_the_beta_are_known(old: str, new: type) -> None:
    event = {"type": old, "response_id": "r", "item_id": "i", "delta": "AAAA"}
    read = server.decode(msgspec.json.encode(event))
    assert type(read) is new


def test_xais_account_and_words_in_place_of_objects() -> None:
    event = {
        "type": "response.done",
        "response": {"id": "r", "status": "completed", "status_details": "unimplemented",
                     "usage": {}, "metadata": None, "output": []},
        "usage": {"billable_audio_seconds": 3},
    }  # fmt: skip
    read = server.decode(msgspec.json.encode(event))
    assert isinstance(read, server.ResponseDone)
    assert msgspec.json.decode(read.usage) == {"billable_audio_seconds": 3}


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ('{"type":3}', ""),
        ('{"type":"error","error":"secret words"}', "error"),
        ('{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"*"}',
         "response.output_audio.delta"),
        (b"\xff\xfe", ""),
        ('{"type":"error","error":' + "[" * 50_000, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_without_what_it_holds(frame: str | bytes, kind: str) -> None:
    read = server.decode(frame)
    assert isinstance(read, server.Malformed)
    assert read.type == kind
    assert "secret" not in read.why


@given(st.text(max_size=300))
def test_an_unknown_type_is_shown_short_and_printable(kind: str) -> None:
    read = server.decode(msgspec.json.encode({"type": kind}))
    if kind not in server.KNOWN:
        assert isinstance(read, server.Unknown)
        assert len(read.type) <= server.LONGEST_TYPE
        assert read.type.isprintable()


@given(st.binary(max_size=200))
def test_anything_at_all_is_answered(frame: bytes) -> None:
    assert isinstance(server.decode(frame), server.Event | server.Unknown | server.Malformed)
