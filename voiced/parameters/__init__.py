"""The operator's parameters: every name, type, range and default, once.

`ROWS` is the table, `coerce` turns what a door was given into a value or a refusal, `ADDRESSES`
lists every OSC address that is not a parameter. The doors, the help, the state file, the
configuration and the documentation are all made from these.
"""

from __future__ import annotations

from voiced.parameters.addresses import ADDRESSES, CALLBACKS, Address, Place, Reading
from voiced.parameters.coercion import (
    Coerced,
    PulseEdge,
    Refusal,
    coerce,
    expand,
    from_norm,
    nearest,
    press,
    spread,
    to_norm,
    toggled,
)
from voiced.parameters.row import Access, Applies, Form, Kind, Row, Value, row_of
from voiced.parameters.rows import ROWS

__all__ = [
    "ADDRESSES",
    "CALLBACKS",
    "ROWS",
    "Access",
    "Address",
    "Applies",
    "Coerced",
    "Form",
    "Kind",
    "Place",
    "PulseEdge",
    "Reading",
    "Refusal",
    "Row",
    "Value",
    "coerce",
    "expand",
    "from_norm",
    "nearest",
    "press",
    "row_of",
    "spread",
    "to_norm",
    "toggled",
]
