"""The vendor's own types as judges: what they do not take is a mistake of ours.

Their models allow unknown fields; here a field that they do not name is a mistake too.
"""

from __future__ import annotations

import json
import typing
import warnings

import pydantic
from hypothesis import strategies as st

with warnings.catch_warnings():
    # Their client imports the deprecated side of websockets.
    warnings.simplefilter("ignore")
    from hume.empathic_voice.chat.types.publish_event import PublishEvent
    from hume.empathic_voice.types.connect_session_settings import ConnectSessionSettings
    from hume.empathic_voice.types.emotion_scores import EmotionScores
    from hume.empathic_voice.types.subscribe_event import SubscribeEvent
    from hume_expression_measurement import types as expression


def _by_type(union: object) -> dict[str, type[pydantic.BaseModel]]:
    members = typing.get_args(union)
    return {member.model_fields["type"].default: member for member in members}


PUBLISH = _by_type(PublishEvent)
"""Client event's type -> model."""
SUBSCRIBE = _by_type(SubscribeEvent)
"""Server event's type -> model."""
DIMENSIONS = tuple(field.alias for field in EmotionScores.model_fields.values())
"""The names of the prosody model's scores."""
EXPRESSION_SAYS = {
    "session.created": expression.AudioSessionCreated,
    "session.updated": expression.AudioSessionUpdated,
    "utterance.start": expression.UtteranceStart,
    "measurement.result": expression.AudioMeasurementResult,
    "utterance.end": expression.UtteranceEnd,
    "error": expression.Error,
    "session.closed": expression.AudioSessionClosed,
}
EXPRESSION_TOLD = {
    "session.update": expression.AudioSessionUpdate,
    "session.close": expression.SessionClose,
}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def strategy(annotation: object) -> st.SearchStrategy:
    """Return values of a field of the vendor's models, as JSON has them."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return strategy(arguments[0])
    if origin is typing.Union:
        return st.one_of(*[strategy(one) for one in arguments if one is not typing.Any])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(strategy(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(TEXT, strategy(arguments[1]), max_size=3)
    if annotation is typing.Any:
        return TEXT
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        fields = annotation.model_fields.items()
        named = {field.alias or name: field for name, field in fields}
        return st.fixed_dictionaries(
            {n: strategy(f.annotation) for n, f in named.items() if f.is_required()},
            optional={n: strategy(f.annotation) for n, f in named.items() if not f.is_required()},
        )
    plain = {
        str: TEXT,
        bool: st.booleans(),
        int: st.integers(-(2**40), 2**40),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
    }
    return plain[annotation]


def check(frame: str | bytes, models: dict[str, type[pydantic.BaseModel]]) -> dict[str, object]:
    """Return a frame as the vendor's types read it.

    Raises:
        AssertionError, pydantic.ValidationError: they do not take it.
    """
    raw = json.loads(frame)
    assert raw["type"] in models, f"there is no {raw['type']}"
    _known(raw, models[raw["type"]].model_validate(raw), raw["type"])
    return raw


def settings(raw: dict[str, object]) -> None:
    """Check the settings of a chat's address."""
    _known(raw, ConnectSessionSettings.model_validate(raw), "session_settings")


def _known(raw: object, model: object, path: str) -> None:
    if isinstance(model, pydantic.BaseModel):
        assert isinstance(raw, dict)
        unknown = model.__pydantic_extra__ or {}
        assert not unknown, f"{path} has {sorted(unknown)}"
        for name, value in raw.items():
            _known(value, getattr(model, name), f"{path}.{name}")
    elif isinstance(model, list):
        assert isinstance(raw, list)
        for n, (value, member) in enumerate(zip(raw, model, strict=True)):
            _known(value, member, f"{path}[{n}]")
