"""JSON as protobuf services read and write it (proto3 JSON), over msgspec structs.

Read: every name in camelCase or in snake_case, numbers of 64 bits also as text, bytes in standard
or url-safe base64 with or without padding, null for "not set", enumerations by name. Unknown names
are refused with the sentence Google's front end uses. Written: camelCase, fields at their default
left out, standard base64.

Pure: bytes in, a struct or `Malformed` out.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

DEEPEST: Final = 100
"""Levels of nesting that are read."""
_SNAKE: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_INTEGER: Final = re.compile(r"-?\d{1,20}(\.0+)?")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")

M = TypeVar("M", bound="Message")


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A protobuf message: a field that is None, empty, 0 or false is not on the wire."""


class Malformed(Exception):
    """What was read is not the message it should be.

    Args:
        sentence: as the service says it.
        path: where, in the service's spelling: `setup.generation_config.top_p`.
    """

    def __init__(self, sentence: str, path: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.path = path


def read(frame: str | bytes, kind: type[M]) -> M:
    """Return the message in a frame.

    Raises:
        Malformed: no JSON, no object, an unknown name or a wrong type.
    """
    try:
        value = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"Invalid JSON payload received. {error}", "") from None
    except RecursionError:
        raise Malformed("Invalid JSON payload received. Nested too deeply.", "") from None
    return msgspec.convert(_object(value, kind, "", 0), kind)


def write(message: Message) -> bytes:
    """Return a message as the service sends it."""
    return msgspec.json.encode(message)


def snake(name: str) -> str:
    """Return a camelCase name as protobuf files spell it."""
    return _SNAKE.sub(lambda found: "_" + found.group(1).lower(), name)


@functools.cache
def _spellings(cls: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    """Return both spellings of each field: its name on the wire and its type."""
    found: dict[str, tuple[str, Any]] = {}
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        kind = field.type
        if isinstance(kind, inspect.UnionType):
            (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
        for spelling in (field.encode_name, field.name.removesuffix("_")):
            found[spelling] = (field.encode_name, kind)
    return found


def _canonical(value: Any, kind: inspect.Type, path: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise Malformed("Invalid JSON payload received. Nested too deeply.", path)
    match kind:
        case inspect.StructType(cls=cls):
            return _object(value, cls, path, depth)
        case inspect.ListType(item_type=item):
            # A lone value stands for a list of one, as Google's front end reads it.
            values = value if isinstance(value, list) else [value]
            return [_canonical(v, item, f"{path}[{i}]", depth + 1) for i, v in enumerate(values)]
        case inspect.DictType(value_type=item):
            if not isinstance(value, dict):
                raise _wrong(value, "Map", path)
            return {k: _canonical(v, item, f"{path}.{k}", depth + 1) for k, v in value.items()}
        case inspect.AnyType():
            return value
    return _scalar(value, kind, path)


def _object(value: Any, cls: type[msgspec.Struct], path: str, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(value, cls.__name__, path)
    spellings = _spellings(cls)
    fields: dict[str, Any] = {}
    for name, given in value.items():
        if name not in spellings:
            where = f" at '{path}'" if path else ""
            raise Malformed(
                f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.',
                f"{path}.{name}".lstrip("."),
            )
        wire, kind = spellings[name]
        here = f"{path}.{snake(wire)}".lstrip(".")
        if wire in fields:
            raise Malformed(f"Invalid JSON payload received. '{here}' is given twice.", here)
        if given is not None:
            fields[wire] = _canonical(given, kind, here, depth + 1)
    return fields


def _scalar(value: Any, kind: inspect.Type, path: str) -> Any:
    match kind:
        case inspect.StrType():
            if isinstance(value, str):
                return value
            raise _wrong(value, "TYPE_STRING", path)
        case inspect.BoolType():
            if isinstance(value, bool):
                return value
            raise _wrong(value, "TYPE_BOOL", path)
        case inspect.IntType():
            return _integer(value, path)
        case inspect.FloatType():
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
            raise _wrong(value, "TYPE_FLOAT", path)
        case inspect.EnumType(cls=cls):
            if isinstance(value, str) and value in cls.__members__:
                return value
            raise _wrong(value, cls.__name__, path)
        case inspect.BytesType():
            return base64.b64encode(_bytes(value, path)).decode()
    raise TypeError(f"{path}: no protobuf field is a {kind}")


def _integer(value: Any, path: str) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    raise _wrong(value, "TYPE_INT64", path)


def _bytes(value: Any, path: str) -> bytes:
    if not isinstance(value, str) or not value.isascii():
        raise _wrong(value, "TYPE_BYTES", path)
    plain = value.encode().translate(_URL_SAFE).rstrip(b"=")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise _wrong(value, "TYPE_BYTES", path) from None


def _wrong(value: Any, kind: str, path: str) -> Malformed:
    shown = msgspec.json.encode(value).decode(errors="replace")
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return Malformed(f"Invalid value at '{path}' ({kind}), {shown}", path)
