"""From the tables of a TOML file to a `Config`, with everything that is wrong told at once.

The declaration is walked as msgspec sees it (`msgspec.inspect`), so a key is declared in one place.
A key that is wrong takes its default, and the walk goes on: the operator mends the file once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect as shape

from voiced.control.config.model import AgentConfig, Config
from voiced.control.osc.settings import problems as osc_problems
from voiced.messages.network import Value
from voiced.parameters import ROWS, Coerced, Kind, Refusal, Row, coerce, nearest

MISSING = object()


def read_config(tables: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """Return the configuration and every problem, a sentence each.

    With problems the configuration holds defaults in their places and must not be run.
    """
    problems: list[str] = []
    config = _read(shape.type_info(Config), _with_pages(tables), "", problems)
    if not isinstance(config, Config):
        return Config(), problems
    problems += osc_problems(config.osc)
    return config, problems


def shown(value: object) -> str:
    """Return a value as the file would have it, cut short."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    if isinstance(value, str):
        text = f'"{value}"'
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_value(name: str, value: Value) -> str:
    """Return what is wrong with a first value of a parameter, "" if nothing."""
    row = ROWS.get(name)
    if row is None:
        return f"there is no such parameter.{nearest(name, ROWS)}"
    if row.secret:
        return (
            "a key never stands in this file; put it into a file that only voiced can read: "
            "`voiced key set`"
        )
    if not row.stored or (not row.writable and not row.config_only):
        return "this is no value that can be set"
    outcome = coerced(row, value)
    if isinstance(outcome, Refusal):
        return outcome.sentence
    if outcome.adjusted:
        return f"must be {allowed_of(row)}"
    return ""


def coerced(row: Row, value: Value) -> Coerced | Refusal:
    """Run a configuration's value through the parameter's own rules.

    A list is a parameter of several names. A provider that is not built in is taken for a drop-in,
    unless it looks like a slip: which drop-ins there are is known later.
    """
    if row.kind is Kind.NAMES and isinstance(value, str):
        return coerce(row, value.split(","))
    if row.name == "Provider" and isinstance(value, str) and not nearest(value, row.options):
        return coerce(row, [value], (*row.options, value))
    return coerce(row, [value])


def allowed_of(row: Row) -> str:
    """Return what a parameter takes, in words."""
    if row.options:
        return f"one of {', '.join(row.options)}"
    if row.minimum is not None and row.maximum is not None:
        unit = f" {row.unit}" if row.unit else ""
        return f"{row.minimum:g} to {row.maximum:g}{unit}"
    return "a text"


def _with_pages(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Move tables with a provider's name inside `[[agent]]` under `pages`."""
    agents = tables.get("agent")
    if not isinstance(agents, list):
        return dict(tables)
    known = AgentConfig.__struct_fields__
    moved = []
    for agent in agents:
        if not isinstance(agent, dict):
            moved.append(agent)
            continue
        own = {k: v for k, v in agent.items() if k in known or not _is_page(k, v)}
        pages = {k: v for k, v in agent.items() if k not in own}
        moved.append({**own, "pages": pages} if pages else own)
    return {**tables, "agent": moved}


def _is_page(key: str, value: object) -> bool:
    # `[agent.pars]` is a slip, not a provider: drop-ins can have any other name.
    slip = difflib.get_close_matches(key.lower(), ["par", "tool"], n=1, cutoff=0.75)
    return isinstance(value, dict) and not slip


def _read(expected: shape.Type, value: Any, key: str, problems: list[str]) -> Any:
    """Return `value` as `expected`, or MISSING with its problems told."""
    expected = _plain(expected)
    match expected:
        case shape.StructType():
            return _read_table(expected, value, key, problems)
        case shape.VarTupleType() | shape.ListType():
            return _read_list(expected, value, key, problems)
        case shape.DictType():
            return _read_dict(expected, value, key, problems)
        case shape.UnionType():
            return _read_union(expected, value, key, problems)
        case _:
            return _read_leaf(expected, value, key, problems)


def _plain(expected: shape.Type) -> shape.Type:
    while isinstance(expected, shape.Metadata):
        expected = expected.type
    return expected


def _read_table(expected: shape.StructType, value: Any, key: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{key} = {shown(value)}: this must be a table, [{key}]")
        return MISSING
    fields = {field.encode_name: field for field in expected.fields}
    before = len(problems)
    read: dict[str, Any] = {}
    left_out = False
    for name, inner in value.items():
        path = f"{key}.{name}" if key else name
        if name not in fields:
            problems.append(f"{path}: there is no such key.{nearest(name, fields)}")
            continue
        got = _read(fields[name].type, inner, path, problems)
        if got is MISSING:
            left_out = True
        else:
            read[fields[name].name] = got
    for field in expected.fields:
        if field.required and field.encode_name not in value:
            path = f"{key}.{field.encode_name}"
            problems.append(f"{path} is missing: it must be {_allowed(field.type)}")
    try:
        return expected.cls(**read)
    except ValueError as error:
        # Where a key is wrong, its default stands in its place, and what is said of that misleads.
        if not left_out:
            problems.append(f"{key}: {error}" if key else str(error))
    except TypeError:
        # A required key is missing or wrong; that is told already.
        assert len(problems) > before
    return MISSING


def _read_list(
    expected: shape.VarTupleType | shape.ListType, value: Any, key: str, problems: list[str]
) -> Any:
    if not isinstance(value, list):
        problems.append(f"{key} = {shown(value)}: this must be a list, [...]")
        return MISSING
    if expected.min_length is not None and len(value) < expected.min_length:
        problems.append(f"{key} = {shown(value)}: this list must not be empty")
        return MISSING
    items = []
    for number, item in enumerate(value):
        name = item.get("name") if isinstance(item, Mapping) else None
        path = f"{key}.{name}" if isinstance(name, str) else f"{key}[{number}]"
        items.append(_read(expected.item_type, item, path, problems))
    kept = [item for item in items if item is not MISSING]
    return tuple(kept) if isinstance(expected, shape.VarTupleType) else kept


def _read_dict(expected: shape.DictType, value: Any, key: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{key} = {shown(value)}: this must be a table, [{key}]")
        return MISSING
    read = {k: _read(expected.value_type, v, f"{key}.{k}", problems) for k, v in value.items()}
    read = {k: v for k, v in read.items() if v is not MISSING}
    if key.endswith(".par"):
        for name, each in read.items():
            problem = check_value(name, each)
            if problem:
                told = "…" if _is_secret(name) else shown(each)
                problems.append(f"{key}.{name} = {told}: {problem}")
    return read


def _is_secret(name: str) -> bool:
    """Tell whether what stands behind a name may be a key, though no parameter is called so."""
    row = ROWS.get(name)
    if row is not None:
        return row.secret
    return any(word in name.lower() for word in ("key", "token", "secret", "password"))


def _read_union(expected: shape.UnionType, value: Any, key: str, problems: list[str]) -> Any:
    for choice in expected.types:
        plain = _plain(choice)
        containers = (shape.StructType, shape.DictType)
        if isinstance(value, Mapping) and isinstance(plain, containers):
            return _read(choice, value, key, problems)
    for choice in expected.types:
        attempt: list[str] = []
        got = _read(choice, value, key, attempt)
        if got is not MISSING:
            return got
    problems.append(f"{key} = {shown(value)}: this must be {_allowed(expected)}")
    return MISSING


def _read_leaf(expected: shape.Type, value: Any, key: str, problems: list[str]) -> Any:
    if _fits(expected, value):
        return float(value) if isinstance(expected, shape.FloatType) else value
    hint = ""
    if isinstance(expected, shape.LiteralType) and isinstance(value, str):
        hint = nearest(value, [str(each) for each in expected.values])
        hint = f".{hint}" if hint else ""
    problems.append(f"{key} = {shown(value)}: this must be {_allowed(expected)}{hint}")
    return MISSING


def _fits(expected: shape.Type, value: Any) -> bool:
    match expected:
        case shape.BoolType():
            return isinstance(value, bool)
        case shape.NoneType():
            return value is None
        case shape.IntType() | shape.FloatType():
            kinds = int if isinstance(expected, shape.IntType) else (int, float)
            if not isinstance(value, kinds) or isinstance(value, bool):
                return False
            low, high = expected.ge, expected.le
            # NaN is neither above nor below anything.
            return (
                (low is None or value >= low)
                and (high is None or value <= high)
                and (value == value)
            )
        case shape.StrType():
            return isinstance(value, str)
        case shape.LiteralType():
            return value in expected.values
        case shape.AnyType():
            return True
        case _:
            try:
                msgspec.convert(value, expected)
            except msgspec.ValidationError:
                return False
            return True


def _allowed(expected: shape.Type) -> str:
    """Return what a type takes, in words."""
    match _plain(expected):
        case shape.BoolType():
            return "true or false"
        case shape.IntType(ge=low, le=high):
            return f"a whole number{_range(low, high)}"
        case shape.FloatType(ge=low, le=high):
            return f"a number{_range(low, high)}"
        case shape.StrType():
            return 'a text in "quotes"'
        case shape.LiteralType(values=values):
            return f"one of {', '.join(str(each) for each in values)}"
        case shape.VarTupleType() | shape.ListType():
            return "a list, [...]"
        case shape.UnionType(types=types):
            words = [_allowed(each) for each in types if not isinstance(each, shape.NoneType)]
            return " or ".join(dict.fromkeys(words))
        case _:
            return "a table, { ... }"


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return "" if high is None else f" of at most {high:g}"
