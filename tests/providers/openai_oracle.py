"""The vendor's own types as the judge of what is sent, and as a source of what is received."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

from voiced.emulators import openai_wire
from voiced.providers.realtime_dialect.client import ClientEvent, encode

_client_events: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
_server_events: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def members() -> list[type[BaseModel]]:
    """Return the server events that there are."""
    union = get_args(RealtimeServerEvent)[0]
    return list(get_args(union))


def type_of(member: type[BaseModel]) -> str:
    """Return an event's `type`."""
    return str(get_args(member.model_fields["type"].annotation)[0])


def check_sent(event: ClientEvent | dict[str, Any]) -> dict[str, Any]:
    """Hold a client event to the vendor's types and to the stand-in's; return it as values."""
    raw = event if isinstance(event, dict) else msgspec.json.decode(encode(event))
    read = _client_events.validate_python(raw)
    assert read.type == raw["type"]
    assert unknown(read) == []
    msgspec.convert(raw, openai_wire.ClientEvent)
    return raw


def check_received(event: dict[str, Any]) -> None:
    """Hold a server event that a test makes to the vendor's types."""
    read = _server_events.validate_python(event)
    assert read.type == event["type"]


def unknown(value: Any, path: str = "$") -> list[str]:
    """Return the places of fields that the vendor's types do not know."""
    found: list[str] = []
    if isinstance(value, BaseModel):
        found += [f"{path}.{name}" for name in value.model_extra or ()]
        for name in type(value).model_fields:
            found += unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            found += unknown(each, f"{path}[{number}]")
    return found


def sample(kind: Any, depth: int = 0) -> Any:
    """Return a value of a type, every field of a model filled in, as JSON values."""
    origin = get_origin(kind)
    if origin is typing.Annotated:
        return sample(get_args(kind)[0], depth)
    if origin is Literal:
        return get_args(kind)[0]
    if origin in (Union, types.UnionType):
        options = [each for each in get_args(kind) if each is not type(None)]
        return sample(options[0], depth)
    if origin is list:
        return [sample(get_args(kind)[0], depth + 1)] if depth < 6 else []
    if origin is dict:
        return {"key": sample(get_args(kind)[1], depth + 1)}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {
            field.alias or name: sample(field.annotation, depth + 1)
            for name, field in kind.model_fields.items()
        }
    return {str: "AAAA", int: 1, float: 1.5, bool: True, object: {}}.get(kind)
