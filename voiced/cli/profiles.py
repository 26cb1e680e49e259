"""`voiced check`: do the profiles and skills hold, before anybody switches to one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from voiced.cli.finding import Finding, bad, good
from voiced.control.config import AgentConfig, Config
from voiced.control.config.values import first_values
from voiced.control.profiles import Listing, read_folder
from voiced.control.state import load_state
from voiced.messages.network import Catalogue, ProviderCard
from voiced.mind.overlay import CHOICES, FOLDERS
from voiced.mind.parameters import PAR, Parameters
from voiced.mind.profiles import Profile, Shelf, Skill, laid, names_in, read_profile, read_skill

FIX = "mend the file; docs/profiles.md shows a whole one"


def as_started(
    agent: AgentConfig, config: Config, folder: Path, state_dir: Path, cards: Iterable[ProviderCard]
) -> Parameters:
    """Return an agent's parameters, as a start now would find them."""
    values = first_values(config, agent.name, folder)
    state, _ = load_state(state_dir)
    parameters = Parameters(values, state.values_of(agent.name, values))
    parameters.take_catalogue(Catalogue(providers=list(cards)))
    return parameters


def findings(config: Config, folder: Path, state_dir: Path) -> Iterator[Finding]:
    """Yield what is wrong with the files that the agents' folders hold, and with what is chosen."""
    cards: list[ProviderCard] | None = None
    for agent in config.agent:
        if not any(_folder(as_started(agent, config, folder, state_dir, ()), w) for w in FOLDERS):
            continue
        if cards is None:
            cards = _cards(config, folder)
        parameters = as_started(agent, config, folder, state_dir, cards)
        for what, shelf in (("profiles", Shelf(read_profile)), ("skills", Shelf(read_skill))):
            yield from _findings(agent.name, what, shelf, parameters)


def _folder(parameters: Parameters, what: str) -> str:
    return str(parameters.value(PAR, FOLDERS[what]))


def _cards(config: Config, folder: Path) -> list[ProviderCard]:
    from voiced.providers.registry import Registry

    registry = Registry()
    registry.scan(config.providers_folder(folder))
    return registry.catalogue().providers


def _findings(
    agent: str, what: str, shelf: Shelf[Profile] | Shelf[Skill], parameters: Parameters
) -> Iterator[Finding]:
    folder = _folder(parameters, what)
    if not folder:
        return
    listing = read_folder(Path(folder), Listing())
    if listing.problem:
        yield bad(what, f"{agent}: {listing.problem}", f"make it, or mend {FOLDERS[what]}")
        return
    if listing.left_out:
        yield bad(what, f"{agent}: {listing.left_out}", "take some out of the folder")
    shelf.put(listing.files, parameters)
    for name, why in shelf.damaged.items():
        yield bad(what, f"{agent}: {name}.json cannot be used: {why}", FIX)
    for name in names_in(parameters.value(PAR, CHOICES[what])):
        if name not in shelf.good and name not in shelf.damaged:
            yield bad(what, f"{agent}: {shelf.why_not(name)}", f"mend {CHOICES[what]}")
    if shelf.good:
        yield good(what, f"{agent}: {', '.join(shelf.names)}")


def dressed(
    agent: AgentConfig, config: Config, folder: Path, state_dir: Path, cards: Iterable[ProviderCard]
) -> Iterator[tuple[str, Parameters]]:
    """Yield an agent's parameters as they are, and then with each profile laid over them alone."""
    cards = list(cards)
    plain = as_started(agent, config, folder, state_dir, cards)
    yield agent.name, plain
    named = _folder(plain, "profiles")
    shelf = Shelf(read_profile)
    shelf.put(read_folder(Path(named), Listing()).files if named else (), plain)
    for profile in shelf.good.values():
        parameters = as_started(agent, config, folder, state_dir, cards)
        parameters.lay(laid([profile], parameters.provider_below))
        yield f"{agent.name} with {profile.name}", parameters
