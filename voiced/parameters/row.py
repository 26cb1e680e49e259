"""What one parameter is."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import msgspec

from voiced.messages.network import ProviderParameter
from voiced.messages.pictures import camera_of

Value: TypeAlias = bool | int | float | str


class Kind(Enum):
    """What a parameter holds, in TouchDesigner's terms."""

    PULSE = "pulse"
    """Holds nothing; fires."""
    TOGGLE = "toggle"
    """A bool; on the wire 0 or 1."""
    INT = "int"
    FLOAT = "float"
    STRING = "string"
    MENU = "menu"
    """One of `Row.options`, or free text as well where `Row.open_menu`."""
    NAMES = "names"
    """Up to `Row.maximum` names; one str, joined with commas, on the wire one string each."""
    COLOR = "color"
    """Holds nothing of its own: three numbers for the rows in `Row.parts`."""
    FILE = "file"
    FOLDER = "folder"


class Access(Enum):
    """What may be done with a parameter through a door."""

    READ = "R"
    WRITE = "W"
    READWRITE = "RW"
    PULSE = "P"


class Applies(Enum):
    """From when on a written value counts; a `SESSION` one written while open is kept and told."""

    NOW = "now"
    TURN = "turn"
    SESSION = "session"


class Form(Enum):
    """What a string must look like."""

    FREE = "free"
    CHANNELS = "channels"
    """"" or device channels from 1 on: "3" or "3,4"."""
    URL = "url"
    """"" or http, https, ws or wss with a host."""
    PICTURE = "picture"
    """"" or a file, or `camera:` and a camera's number or name."""
    PROVIDER_NAME = "name"
    """Letters, digits and underscores."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter, everything there is to know about it but its value."""

    name: str
    """The operator's own spelling: `Costbudget`."""
    kind: Kind
    tag: str
    """OSC type tags of its value: "i", "f", "s", "fff", "s..."; "" for a pulse."""
    page: str
    """operator.txt's page: Voice, Provider, Playback, Tools, Skills, Profiles, Callbacks,
    Lifecycle; a provider's title for its own."""
    doc: str
    """One sentence for the artist: what it does."""
    default: Value = ""
    minimum: float | None = None
    above_minimum: bool = False
    """The minimum itself is out of range."""
    maximum: float | None = None
    unit: str = ""
    options: tuple[str, ...] = ()
    """A menu's; where they depend on what is installed, those that are always there."""
    open_menu: bool = False
    access: Access = Access.READWRITE
    admin: bool = False
    """Writing it needs loopback, or `admin` in the configuration."""
    secret: bool = False
    """Its value is never told, only whether there is one."""
    money: bool = False
    """Out of range is refused, never clamped; no /norm and no /default."""
    config_only: bool = False
    """Set in the configuration file; readable everywhere, writable nowhere else."""
    applies: Applies = Applies.NOW
    persists: bool = True
    """A value written at run time survives a restart."""
    own: bool = False
    """voiced's own, beside operator.txt's."""
    form: Form = Form.FREE
    listed: bool = False
    """Names files of a folder: a value of several names, of those that /options lists."""
    takes_text: bool = False
    """A pulse that may bring its text along."""
    parts: tuple[str, ...] = ()
    """Of a COLOR: the rows that hold it."""
    later: str = ""
    """"", or a sentence: what it does not do yet."""

    @property
    def readable(self) -> bool:
        """Whether a query is answered with its value."""
        return self.access in (Access.READ, Access.READWRITE) and not self.secret

    @property
    def writable(self) -> bool:
        """Whether a door may set it."""
        return self.access in (Access.WRITE, Access.READWRITE) and not self.config_only

    @property
    def stored(self) -> bool:
        """Whether it has a value of its own."""
        return self.kind not in (Kind.PULSE, Kind.COLOR)

    @property
    def numeric(self) -> bool:
        """Whether its value is a number."""
        return self.kind in (Kind.INT, Kind.FLOAT, Kind.TOGGLE)

    def is_path(self, value: Value) -> bool:
        """Tell whether a value of this row leads to a file or folder of this machine."""
        named = str(value)
        return self.kind in (Kind.FILE, Kind.FOLDER) and named != "" and not camera_of(named)

    @property
    def has_norm(self) -> bool:
        """Whether it can be set by 0..1."""
        return (
            self.kind in (Kind.INT, Kind.FLOAT)
            and self.minimum is not None
            and self.maximum is not None
            and self.maximum > self.minimum
            and not self.money
        )


_KINDS = {"i": Kind.INT, "f": Kind.FLOAT, "s": Kind.STRING}


def row_of(parameter: ProviderParameter, page: str = "") -> Row:
    """Return the row of a parameter on a provider's own page.

    An int whose default is a bool is a toggle; a string with options is a menu. A tag or an
    `applies` that does not exist falls back to "s" and "session".
    """
    kind = _KINDS.get(parameter.tag, Kind.STRING)
    if parameter.options:
        kind = Kind.MENU
    elif kind is Kind.INT and (
        isinstance(parameter.default, bool) or (parameter.minimum, parameter.maximum) == (0, 1)
    ):
        kind = Kind.TOGGLE
    default: Value = parameter.default
    if kind is Kind.TOGGLE:
        default = bool(default)
    applies = {a.value: a for a in Applies}.get(parameter.applies, Applies.SESSION)
    return Row(
        name=parameter.name,
        kind=kind,
        tag={Kind.INT: "i", Kind.TOGGLE: "i", Kind.FLOAT: "f"}.get(kind, "s"),
        page=page,
        doc=parameter.doc,
        default="" if parameter.secret else default,
        minimum=0 if kind is Kind.TOGGLE else parameter.minimum,
        maximum=1 if kind is Kind.TOGGLE else parameter.maximum,
        options=tuple(parameter.options),
        open_menu=parameter.open_menu,
        access=Access.WRITE if parameter.secret else Access.READWRITE,
        admin=parameter.secret,
        secret=parameter.secret,
        applies=applies,
        persists=not parameter.secret,
    )
