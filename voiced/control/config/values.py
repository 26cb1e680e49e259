"""What the configuration says of parameters: their first values, and what only shows later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from voiced.control.config.model import Config
from voiced.control.config.reader import coerced
from voiced.messages.network import Catalogue, Value
from voiced.parameters import ROWS, Coerced, Kind, nearest


def first_values(config: Config, agent: str, folder: Path) -> dict[tuple[str, str], Value]:
    """Return an agent's first values by (page, name), in their parameters' own types.

    Files and folders are made absolute, from `folder` on. A provider's page is taken as it stands:
    its rows are known once the provider is.
    """
    values: dict[tuple[str, str], Value] = {}
    for each in config.agent:
        if each.name != agent:
            continue
        for name, value in config.first_values(each).items():
            row = ROWS[name]
            outcome = coerced(row, value)
            if not isinstance(outcome, Coerced):
                continue
            values["par", name] = outcome.value
            if row.is_path(outcome.value):
                values["par", name] = str(folder / Path(str(outcome.value)).expanduser())
        for page, rows in each.pages.items():
            values.update({(page, name): value for name, value in rows.items()})
    return values


def folders_named(config: Config, folder: Path) -> list[Path]:
    """Return every folder that first values name: file parameters may point into these."""
    return [
        Path(str(value))
        for agent in config.agent
        for (page, name), value in first_values(config, agent.name, folder).items()
        if page == "par" and ROWS[name].kind is Kind.FOLDER and value
    ]


def unknown_pages(config: Config, catalogue: Catalogue) -> Iterable[str]:
    """Yield a sentence for each provider and each key of its page that does not exist."""
    cards = {card.name: card for card in catalogue.providers}
    for agent in config.agent:
        for page, rows in agent.pages.items():
            key = f"agent.{agent.name}.{page}"
            if page not in cards:
                yield f"{key}: there is no provider of this name.{nearest(page, cards)}"
                continue
            names = [parameter.name for parameter in cards[page].parameters]
            # `endpoint` is for every provider, and for its own process alone.
            for name in rows:
                if name not in names and name != "endpoint":
                    yield f"{key}.{name}: {page} has no such parameter.{nearest(name, names)}"
