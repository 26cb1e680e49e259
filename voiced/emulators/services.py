"""The services that can be emulated: a row each, imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final, NamedTuple

from voiced.emulators.server import Emulator


class Service(NamedTuple):
    """Where an emulator lies, and what it is called."""

    module: str
    name: str
    """The class in it."""
    title: str


SERVICES: Final = {
    "openai_realtime": Service("openai", "OpenAI", "OpenAI Realtime"),
    "xai_grok": Service("xai", "XAI", "xAI Grok Voice"),
    "gemini_live": Service("gemini", "Gemini", "Gemini Live"),
    "hume_evi": Service("hume", "Hume", "Hume EVI"),
    "hume_expression": Service("hume_expression", "HumeExpression", "Hume Expression Measurement"),
}


def emulator(name: str) -> type[Emulator]:
    """Return the emulator of this name; ImportError where it is not there."""
    row = SERVICES[name]
    found: type[Emulator] = getattr(import_module(f"voiced.emulators.{row.module}"), row.name)
    return found
