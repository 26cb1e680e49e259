"""A provider's page as a struct: its fields are the values, and control's rows are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

from voiced.messages.network import ProviderParameter


def row(
    doc: str,
    applies: str = "turn",
    options: Sequence[str] = (),
    ge: float | None = None,
    le: float | None = None,
) -> msgspec.Meta:
    """Return what an annotated field of a page says of its row.

    Args:
        doc: the row's sentence.
        applies: when a change counts: now, turn or session.
        options: a menu to which other values may be written too; a `Literal` is a closed one.
        ge: the least value.
        le: the greatest value.
    """
    extra = {"applies": applies, "options": list(options)}
    return msgspec.Meta(description=doc, extra=extra, ge=ge, le=le)


def rows(page: type[msgspec.Struct]) -> list[ProviderParameter]:
    """Return the rows of a struct each of whose fields is annotated with `row`."""
    hints = get_type_hints(page, include_extras=True)
    kind = inspect.type_info(page)
    assert isinstance(kind, inspect.StructType)
    return [_row(field, hints[field.name]) for field in kind.fields]


def _row(field: inspect.Field, hint: Any) -> ProviderParameter:
    meta = field.type
    assert isinstance(meta, inspect.Metadata)
    assert meta.extra is not None
    assert meta.extra_json_schema is not None
    options, tag = list(meta.extra["options"]), "s"
    is_open = bool(options)
    low: float | None = None
    high: float | None = None
    match meta.type:
        case inspect.LiteralType():
            # Not from `inspect`, which sorts them: the first one is the default.
            options = list(get_args(get_args(hint)[0]))
        case inspect.BoolType():
            tag = "i"
        case inspect.IntType(ge=low, le=high):
            tag = "i"
        case inspect.FloatType(ge=low, le=high):
            tag = "f"
        case _:
            pass
    return ProviderParameter(
        name=field.name,
        tag=tag,
        default=field.default,
        minimum=None if low is None else float(low),
        maximum=None if high is None else float(high),
        options=options,
        open_menu=is_open,
        applies=meta.extra["applies"],
        doc=meta.extra_json_schema["description"],
    )
