"""The vendor's own types as the judge of what goes over Gemini's wire, in both directions.

Their models refuse fields that they do not name, and warn of enum values that they do not know,
which is an error here. A set-up has no type of its own with all of its fields: it is taken apart
into the vendor's configuration, and what the vendor's client makes of that must be ours again.
"""

from __future__ import annotations

import json
from typing import Any

from google.genai import _live_converters, types
from pydantic.alias_generators import to_camel

OPAQUE = ("parametersJsonSchema", "args", "response")
"""Fields whose keys are the user's own."""


def client_message(frame: bytes) -> dict[str, Any]:
    """Return a client's frame, which has one key and is what the vendor's types say it is."""
    message = json.loads(frame)
    assert len(message) == 1, f"one key a frame, not {sorted(message)}"
    if "setup" in message:
        _setup(message["setup"])
    else:
        types.LiveClientMessage.model_validate(message)
        _one_field(message.get("realtimeInput"))
    return message


def _one_field(realtime: dict[str, Any] | None) -> None:
    assert realtime is None or len(realtime) == 1, f"one field a frame, not {sorted(realtime)}"


def _setup(setup: dict[str, Any]) -> None:
    bare = dict(setup)
    model = bare.pop("model")
    generation = bare.pop("generationConfig")
    known = types.LiveClientSetup.model_fields
    for key in bare:
        if key != "realtimeInputConfig":
            assert key in {to_camel(name) for name in known}, f"no field {key} of a set-up"
    types.GenerationConfig.model_validate(generation)
    config = types.LiveConnectConfig.model_validate({**bare, **generation})
    parent: dict[str, Any] = {}
    _live_converters._LiveConnectConfig_to_mldev(None, config.model_dump(exclude_none=True), parent)
    made = camel(json.loads(json.dumps(parent["setup"], default=_plain)))
    made["model"] = model
    assert made == setup


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(exclude_none=True, mode="json") if dump else value.value


def camel(value: Any) -> Any:
    """Return JSON with its fields' names in camelCase, as the service writes them."""
    if isinstance(value, dict):
        return {
            to_camel(key): (each if to_camel(key) in OPAQUE else camel(each))
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [camel(each) for each in value]
    return value


def server_message(message: dict[str, Any]) -> types.LiveServerMessage:
    """Return a server's message in the vendor's types."""
    made = _live_converters._LiveServerMessage_from_mldev(message)
    return types.LiveServerMessage.model_validate(made)
