"""What every address is: /voiced/help and docs/addresses.md, both from the tables."""

from __future__ import annotations

from voiced.control.osc.address import (
    AtAgent,
    AtDaemon,
    AtParameter,
    AtSignal,
    Nowhere,
    OutOnly,
    resolve,
)
from voiced.control.osc.surface import Surface
from voiced.parameters import ADDRESSES, ROWS, Access, Address, Kind, Place, Refusal, Row

Description = tuple[str, str, str, str, str, str]
"""Address, tags, access, range, applies, text."""

_CHILDREN = {
    a.address.rsplit("/", 1)[1]: a for a in ADDRESSES if a.place is Place.CHILD
}  # fmt: skip
_SIGNALS = {a.address.rsplit("/", 1)[1]: a for a in ADDRESSES if a.place is Place.SIGNAL}
_OUT = {a.address: a for a in ADDRESSES}


def access_text(row: Row) -> str:
    """Return R, W, RW or P, with an A for admin."""
    access = Access.READ if row.config_only else row.access
    return access.value + (" A" if row.admin else "")


def range_text(row: Row, options: tuple[str, ...] | None = None) -> str:
    """Return what a parameter takes, in words."""
    if row.kind is Kind.MENU:
        names = " ".join(row.options if options is None else options)
        if row.open_menu:
            return f"{names} or any other" if names else "any name"
        return names
    if row.kind is Kind.NAMES:
        return f"up to {row.maximum:g} names"
    if row.minimum is None or row.maximum is None:
        return ""
    low = f"{'above ' if row.above_minimum else ''}{row.minimum:g}"
    return f"{low} to {row.maximum:g}{' ' + row.unit if row.unit else ''}"


def default_text(row: Row) -> str:
    """Return a default as it is written."""
    if not row.stored or row.secret:
        return ""
    if row.kind is Kind.TOGGLE:
        return str(int(row.default))
    return '""' if row.default == "" else str(row.default)


def _text(row: Row) -> str:
    parts = [row.doc if row.doc.endswith((".", "?", "!")) else f"{row.doc}."]
    default = default_text(row)
    if default and row.access is not Access.READ:
        parts.append(f"Default: {default}.")
    if row.config_only:
        parts.append("Set in the configuration file.")
    if row.later:
        parts.append(f"{row.later[0].upper()}{row.later[1:]}.")
    return " ".join(parts)


def described(surface: Surface, address: str) -> Description | Refusal:
    """Return what /voiced/help tells of an address."""
    at = resolve(surface, address)
    match at:
        case AtParameter():
            return _parameter(surface, at)
        case AtSignal():
            entry = _SIGNALS.get(at.channel)
            doc = entry.doc if entry is not None else "a channel of the provider"
            return (address, "f", "R", "", "now", doc)
        case AtDaemon() | AtAgent():
            return _entry(address, at.entry)
        case OutOnly():
            first = address.split("/", 2)[1]
            known = _OUT.get(address) or _OUT.get(address.replace(first, "<agent>", 1))
            if known is not None:
                return _entry(address, known)
            return (address, "", "R", "", "now", "Is sent by voiced; sent here it does nothing.")
        case Nowhere():
            return Refusal("unknown_address", at.sentence())


def _parameter(surface: Surface, at: AtParameter) -> Description | Refusal:
    row = surface.row(at.agent, at.page, at.name)
    if row is None:
        return Refusal("unknown_address", f"there is no parameter {at.name}")
    if at.child:
        entry = _CHILDREN[at.child]
        return (at.address, entry.takes or entry.sends, "RW" if entry.sends else "W", "",
                row.applies.value, entry.doc)  # fmt: skip
    options = tuple(surface.options(at.agent, at.page, at.name)) if row.kind is Kind.MENU else None
    return (at.address, row.tag, access_text(row), range_text(row, options), row.applies.value,
            _text(row))  # fmt: skip


def _entry(address: str, entry: Address) -> Description:
    tags = entry.sends if entry.takes is None else entry.takes
    access = ("R" if entry.takes is None else "W") + (" A" if entry.admin else "")
    text = entry.doc
    if entry.takes is not None and entry.sends:
        text += f" Answer: {entry.sends}."
    if entry.later:
        text += f" {entry.later[0].upper()}{entry.later[1:]}."
    return (address, tags, access, "", "now", text)


# --- docs/addresses.md


_INTRO = """# Addresses

Made by `voiced addresses --markdown` from the tables the daemon itself works with: do not edit.
A running daemon tells the same with `/voiced/help`.

Access: R readable, W writable, P pulse, A from loopback and `osc.admin` only. An asterisk marks
what is voiced's own; the others have their names from TouchDesigner's Voice Realtime operator
([how to move](../integrations/touchdesigner.md#from-the-voice-realtime-operator)). `applies`: from
when on a written value counts; a `session` one written while a session is open is kept and told.
A message without argument asks; a pulse it fires.
"""


def markdown() -> str:
    """Return docs/addresses.md."""
    lines = [_INTRO]
    pages = dict.fromkeys(row.page for row in ROWS.values())
    lines.append("## Parameters: /&lt;agent&gt;/par/&lt;Name&gt;\n")
    for page in pages:
        lines += [f"### {page}\n", "| Name | tags | access | range | default | applies | what |",
                  "|---|---|---|---|---|---|---|"]  # fmt: skip
        lines += [_parameter_line(row) for row in ROWS.values() if row.page == page]
        lines.append("")
    titles = {
        Place.CHILD: "Below a parameter",
        Place.AGENT: "An agent's other addresses",
        Place.CALLBACK: "Callbacks, out only",
        Place.SIGNAL: "Signals, out",
        Place.DAEMON: "The daemon",
    }
    for place, title in titles.items():
        lines += [f"## {title}\n", "| address | in | out | what |", "|---|---|---|---|"]
        lines += [_address_line(entry) for entry in ADDRESSES if entry.place is place]
        lines.append("")
    lines += ["## Codes of /voiced/error\n", " ".join(f"`{code}`" for code in CODES), ""]
    return "\n".join(lines)


CODES = (
    "unknown_address", "bad_type", "bad_value", "out_of_range", "read_only", "write_only",
    "denied", "busy", "too_long", "rate", "no_effect", "later",
)  # fmt: skip


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def _parameter_line(row: Row) -> str:
    what = row.doc + (f" *{row.later[0].upper()}{row.later[1:]}.*" if row.later else "")
    cells = (
        row.name + ("\\*" if row.own else ""), row.tag, access_text(row), range_text(row),
        default_text(row), row.applies.value if row.stored and row.writable else "", what,
    )  # fmt: skip
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _address_line(entry: Address) -> str:
    takes = "" if entry.takes is None else (entry.takes or "-")
    what = entry.doc + (f" *{entry.later[0].upper()}{entry.later[1:]}.*" if entry.later else "")
    name = entry.address + (" (A)" if entry.admin else "")
    return "| " + " | ".join(_cell(cell) for cell in (name, takes, entry.sends, what)) + " |"
