from pathlib import Path

import msgspec
import pytest

from voiced.emulators import reference
from voiced.emulators.script import Script

DOC = Path(__file__).parents[2] / "docs" / "emulators.md"


def test_the_document_is_as_new_as_the_script() -> None:
    assert DOC.read_text(encoding="utf-8") == reference.markdown(), (
        "write it again: python -m voiced.emulators.reference > docs/emulators.md"
    )


def test_the_documents_own_script_is_one() -> None:
    text = DOC.read_text(encoding="utf-8")
    example = text.split("```toml\n[[tool]]")[1].split("```")[0]
    script = msgspec.toml.decode("[[tool]]" + example, type=Script)
    assert len(script.connection) == 2


@pytest.mark.parametrize(("title", "module", "name"), reference._PARTS)
def test_every_field_is_described(title: str, module, name: str) -> None:
    rows = reference.fields(module, name)
    names = [field.name for field in msgspec.structs.fields(getattr(module, name))]
    assert [row[0] for row in rows] == names
    if module.__name__.endswith("script"):
        assert [row[0] for row in rows if not row[2]] == []
