"""The picture of the lifecycle, drawn from its table: text only, no drawing program."""

from __future__ import annotations

from voiced.mind.session import TRANSITIONS, Lifecycle, Trigger

_LABEL_OF = {Lifecycle.OPEN: "open<br/><i>active</i> while the gate is open, else <i>armed</i>"}

_HEAD = """\
# The lifecycle of a session

Drawn from `TRANSITIONS` in `voiced/mind/session.py` by `python -m voiced.mind.diagram`; a test
tells when it is old. `Sessionstate` shows the name of the state, for `open` it shows `active` or
`armed`. Whatever is not drawn cannot happen.

"""


def arrows() -> list[tuple[Lifecycle, Lifecycle, list[Trigger]]]:
    """Return each pair of states with the triggers that lead from the one to the other."""
    found: dict[tuple[Lifecycle, Lifecycle], list[Trigger]] = {}
    for state, row in TRANSITIONS.items():
        for trigger, to in row.items():
            found.setdefault((state, to), []).append(trigger)
    return [(state, to, triggers) for (state, to), triggers in found.items()]


def mermaid() -> str:
    """Return the state diagram in Mermaid's language."""
    lines = ["stateDiagram-v2", f"    [*] --> {Lifecycle.DISCONNECTED.value}"]
    lines += [f"    {state.value}: {_LABEL_OF.get(state, state.value)}" for state in Lifecycle]
    for state, to, triggers in arrows():
        words = "<br/>".join(trigger.value for trigger in triggers)
        lines.append(f"    {state.value} --> {to.value}: {words}")
    return "\n".join(lines) + "\n"


def table() -> str:
    """Return the same as a table, for readers without a renderer."""
    lines = ["| state | trigger | next |", "|---|---|---|"]
    for state, to, triggers in arrows():
        words = ", ".join(trigger.value for trigger in triggers)
        lines.append(f"| {state.value} | {words} | {to.value} |")
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """Return docs/lifecycle.md."""
    return f"{_HEAD}```mermaid\n{mermaid()}```\n\n{table()}"


if __name__ == "__main__":
    print(markdown(), end="")
