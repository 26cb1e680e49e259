import runpy
from pathlib import Path

import pytest

from voiced.mind import diagram
from voiced.mind.session import TRANSITIONS, Lifecycle

DOC = Path(__file__).parents[2] / "docs" / "lifecycle.md"


def test_the_document_is_as_new_as_the_table() -> None:
    assert DOC.read_text(encoding="utf-8") == diagram.markdown(), (
        "write it again: python -m voiced.mind.diagram > docs/lifecycle.md"
    )


def test_every_transition_is_drawn_once() -> None:
    drawn = [(state, t, to) for state, to, triggers in diagram.arrows() for t in triggers]
    table = [(state, t, to) for state, row in TRANSITIONS.items() for t, to in row.items()]
    assert sorted(drawn, key=str) == sorted(table, key=str)
    text = diagram.mermaid()
    for state, trigger, to in drawn:
        (line,) = (x for x in text.splitlines() if f"{state.value} --> {to.value}:" in x)
        assert trigger.value in line
    assert all(state.value in diagram.table() for state in Lifecycle)


def test_it_prints_itself(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(diagram.__file__, run_name="__main__")
    assert capsys.readouterr().out == diagram.markdown()
