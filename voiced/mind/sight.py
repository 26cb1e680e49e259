"""Whether the model would see a picture now. Pictures themselves never come into the mind."""

from __future__ import annotations

import msgspec

from voiced.mind.session import Lifecycle
from voiced.mind.state import AgentState


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What a picture meets now."""

    leg: int
    """The leg that it is for."""
    source: str
    """`Videoin`: "" = what is posted, else a file or a camera."""
    problem: str = ""
    """Why nobody would see it, with what mends it; "" = it will be seen."""


def of(s: AgentState) -> Sight:
    """Return what a picture meets now."""
    return Sight(leg=s.leg, source=s.parameters.text("Videoin"), problem=_problem(s))


def _problem(s: AgentState) -> str:
    if s.lifecycle in (Lifecycle.DISCONNECTED, Lifecycle.ENDING):
        return f"the session is {s.label}: nobody would see the picture; pulse Connect first"
    provider = s.parameters.text("Provider")
    card = s.parameters.card(provider)
    if card is None or not card.supports_video_in:
        return f"{provider} takes no pictures: choose a Provider that does, see `voiced providers`"
    return ""
