"""The values of one agent, in layers: default, config, written at run time, profile.

Each lies over the one before it. What is written at run time takes the profile away from over that
one parameter, so that a fader is never dead; the next time profiles are laid they cover it again.
Lifting the profile brings back what was written: it never touches the layers below.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from voiced.messages.network import Catalogue, ProviderCard
from voiced.parameters import ROWS, Access, Applies, Kind, Row, Value, row_of

PAR = "par"
PROMPT = "Systemprompt"
PER_PROVIDER = ("Model", "Voice")
"""Common names of which one value is remembered for each provider."""
FOR_LEG = frozenset(
    {"Model", "Voice", "Sessionmode", "Bargein", "Videoin", "Videointerval"}
    | {row.name for row in ROWS.values() if row.page == "Provider" and not row.secret}
)
"""Common names that a provider is told when a leg opens, and when they change."""

ENDPOINT = "endpoint"
"""Name on every provider's page that has no row: only the configuration can set it, since the key
goes there."""

Place = tuple[str, str]
"""(page, name): page "par", or a provider's name."""


class Parameters:
    """What every parameter of an agent holds, and what of it is in force.

    Args:
        config: first values from the configuration, of ("par", name) or (provider, name).
        kept: values written at run time in an earlier life of the daemon.
    """

    def __init__(self, config: Mapping[Place, Value], kept: Mapping[Place, Value]) -> None:
        self._config = dict(config)
        self._written = {p: v for p, v in kept.items() if p[0] != PAR or _persists(p[1])}
        self._profile: dict[Place, Value] = {}
        self._offered: dict[str, tuple[str, ...]] = {}
        self._readouts: dict[str, Value] = {}
        self._cards: dict[str, ProviderCard] = {}
        self._pages: dict[str, dict[str, Row]] = {}
        self._in_force: Mapping[Place, Value] | None = None
        self.keys: set[str] = set()
        """Key servers that have a key, and secret names of pages that were written."""
        self.learned = False
        """It is known what providers there are."""
        self.chunks: tuple[str, ...] = ()
        """What skills append to the system prompt of the session that is on."""

    # --- what there is

    def take_catalogue(self, catalogue: Catalogue) -> None:
        """Learn the providers and their pages."""
        self.learned = True
        self._cards = {card.name: card for card in catalogue.providers}
        self._pages = {
            card.name: {p.name: row_of(p, card.title) for p in card.parameters}
            for card in catalogue.providers
        }

    def card(self, provider: str) -> ProviderCard | None:
        """Return what is known of a provider."""
        return self._cards.get(provider)

    def row(self, page: str, name: str) -> Row | None:
        """Return the row of a parameter, None if there is no such."""
        if page == PAR:
            return ROWS.get(name)
        return self._pages.get(page, {}).get(name)

    def pages(self) -> Mapping[str, Mapping[str, Row]]:
        """Return the providers' own pages: provider -> name -> row."""
        return MappingProxyType(self._pages)

    def options(self, page: str, name: str) -> tuple[str, ...]:
        """Return what a menu offers now."""
        row = self.row(page, name)
        if row is None:
            return ()
        if page == PAR and name == "Provider":
            return tuple(dict.fromkeys((*row.options, *self._cards)))
        if page == PAR and row.listed:
            return self._offered.get(name, ())
        card = self.card(self.provider)
        if page == PAR and name in PER_PROVIDER and card is not None:
            return tuple(card.models if name == "Model" else card.voices)
        return row.options

    def offer(self, name: str, options: tuple[str, ...]) -> None:
        """Set what can be chosen by a row that takes names of files."""
        self._offered[name] = options

    # --- what it holds

    @property
    def provider(self) -> str:
        """The provider chosen for the next session."""
        return str(self.value(PAR, "Provider"))

    def place(self, page: str, name: str) -> Place:
        """Return under which name a value is kept: Model and Voice under their provider's."""
        if page == PAR and name in PER_PROVIDER:
            return (self.provider, name)
        return (page, name)

    def value(self, page: str, name: str) -> Value:
        """Return the stored value; of a secret, 1 or 0: whether there is one.

        Raises:
            KeyError: there is no such parameter, or it holds nothing.
        """
        if page == PAR and name in self._readouts:
            return self._readouts[name]
        row = self.row(page, name)
        if row is None or not row.stored:
            raise KeyError(f"{page}/{name}")
        if row.secret:
            return int(self.key_name(page, name) in self.keys)
        place = self.place(page, name)
        return self._profile[place] if place in self._profile else self._below(page, row)

    def _below(self, page: str, row: Row) -> Value:
        """Return what a parameter holds but for the profile."""
        place = self.place(page, row.name)
        if place in self._written:
            return self._written[place]
        if place in self._config:
            return self._config[place]
        if page == PAR and row.name in PER_PROVIDER:
            return self._shared(row.name)
        return row.default

    def _shared(self, name: str) -> Value:
        """A Model or Voice given in the config beside the Provider it belongs to."""
        configured = self._config.get((PAR, "Provider"), ROWS["Provider"].default)
        if self.provider == configured:
            return self._config.get((PAR, name), "")
        return ""

    @property
    def provider_below(self) -> str:
        """The provider chosen for the next session but for the profile."""
        return str(self._below(PAR, ROWS["Provider"]))

    def key_name(self, page: str, name: str) -> str:
        """Return under which name a secret is known to be there."""
        provider = self.provider if page == PAR else page
        card = self.card(provider)
        if page == PAR and card is not None and card.key_server:
            return card.key_server
        return f"{provider}/{name}"

    def write(self, page: str, name: str, value: Value) -> bool:
        """Store a value, and let it count before the profile's; return whether anything changed."""
        place = self.place(page, name)
        row = self.row(page, name)
        covered = self._profile.pop(place, value)
        if row is not None and self._below(page, row) == value:
            return covered != value
        self._written[place] = value
        return True

    def write_below(self, page: str, name: str, value: Value) -> bool:
        """Store a value, under the profile; return whether what counts changed."""
        place = self.place(page, name)
        if place not in self._profile:
            return self.write(page, name, value)
        self._written[place] = value
        return False

    def lay(self, values: Mapping[Place, Value]) -> list[Place]:
        """Let a profile's values count, in place of those of the profile before.

        Args:
            values: by `place`; none = lift it.

        Returns:
            (page, name) of every parameter that holds something else now.
        """
        seen = {*self._profile, *values, *((PAR, name) for name in PER_PROVIDER)}
        shown = {place: self.value(*place) for place in seen if self.row(*place) is not None}
        self._profile = dict(values)
        return sorted(place for place, value in shown.items() if self.value(*place) != value)

    def tell(self, name: str, value: Value) -> bool:
        """Set a readout; return whether it changed."""
        if self._readouts.get(name, "") == value:
            return False
        self._readouts[name] = value
        return True

    # --- what is in force

    def freeze(self) -> None:
        """A session begins: what applies per session stays as it is now, until `thaw`."""
        places = [(PAR, name) for name in PER_SESSION]
        for page, rows in self._pages.items():
            places += [(page, row.name) for row in rows.values() if _per_session(row)]
        self._in_force = {place: self.value(*place) for place in places}

    def thaw(self) -> None:
        """The session is over: what was written meanwhile is in force."""
        self._in_force = None

    def in_force(self, name: str, page: str = PAR) -> Value:
        """Return the value that counts now."""
        if self._in_force is not None and (page, name) in self._in_force:
            return self._in_force[(page, name)]
        return self.value(page, name)

    def flag(self, name: str) -> bool:
        """Return a toggle that counts now."""
        return bool(self.in_force(name))

    def number(self, name: str) -> float:
        """Return a number that counts now."""
        return float(self.in_force(name))

    def text(self, name: str) -> str:
        """Return a text that counts now."""
        return str(self.in_force(name))

    def for_leg(self) -> dict[str, Value]:
        """Return what the provider in force is told of when a leg opens; never a secret."""
        provider = self.text("Provider")
        told = {name: self.in_force(name) for name in sorted(FOR_LEG)}
        for row in self._pages.get(provider, {}).values():
            if not row.secret:
                told[row.name] = self.in_force(row.name, provider)
        if self.chunks:
            told[PROMPT] = "\n\n".join(filter(None, (str(told[PROMPT]).strip(), *self.chunks)))
        if endpoint := self._config.get((provider, ENDPOINT)):
            told[ENDPOINT] = endpoint
        return told

    def model(self) -> str:
        """Return the model in force by its name: the provider's first where none was chosen."""
        chosen = self.text("Model")
        card = self.card(self.text("Provider"))
        if not chosen and card is not None and card.models:
            return card.models[0]
        return chosen


def _persists(name: str) -> bool:
    row = ROWS.get(name)
    return row is not None and row.persists and row.kind is not Kind.PULSE


def _per_session(row: Row) -> bool:
    return (
        row.stored
        and row.applies is Applies.SESSION
        and row.access is not Access.READ
        and not row.secret
    )


PER_SESSION = tuple(row.name for row in ROWS.values() if _per_session(row))
"""Common names whose value counts from the next session on."""
