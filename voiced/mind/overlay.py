"""What profiles and skills do to an agent: found in their folders, laid on, appended, lifted."""

from __future__ import annotations

from voiced.messages import network as wire
from voiced.mind import profiles
from voiced.mind.effects import ScanFolder, Told
from voiced.mind.inputs import FilesFound, Origin, Press, Write
from voiced.mind.parameters import FOR_LEG, PAR, Place
from voiced.mind.profiles import Profile, Shelf, Skill
from voiced.mind.session import Lifecycle
from voiced.mind.state import AgentState
from voiced.parameters import Applies

FOLDERS = {"profiles": "Profilesfolder", "skills": "Skillsfolder"}
CHOICES = {"profiles": "Profile", "skills": "Skillscomp"}


def scan(s: AgentState, command: Press | Write, what: str) -> None:
    """Have a folder read anew; `FilesFound` tells what is in it."""
    asked = isinstance(command, Press)
    if asked and not s.parameters.text(FOLDERS[what]):
        s.refuse(command.origin, command.name, "no_effect", f"{FOLDERS[what]} names no folder yet")
        return
    s.emit(ScanFolder(what=what, asked=asked))


def found(s: AgentState, event: FilesFound) -> None:
    """Take what a folder holds; where it cannot be read, what it held stays."""
    shelf = _shelf(s, event.what)
    if event.problem:
        s.error(event.what, "folder", event.problem)
        return
    if event.left_out:
        s.error(event.what, "folder", event.left_out)
    before = dict(shelf.damaged)
    shelf.put(event.files, s.parameters)
    _offer(s, event.what, {} if event.asked else before)
    names = ", ".join(shelf.names) or "none"
    damaged = f"; damaged: {', '.join(shelf.damaged)}" if shelf.damaged else ""
    s.status(event.what, f"{len(shelf.names)} in {event.folder or 'no folder'}: {names}{damaged}")


def _shelf(s: AgentState, what: str) -> Shelf[Profile] | Shelf[Skill]:
    return s.profiles if what == "profiles" else s.skills


def _offer(s: AgentState, what: str, told: dict[str, str]) -> None:
    """Let what is good be chosen, and tell what is wrong with the rest, once."""
    shelf = _shelf(s, what)
    s.parameters.offer(CHOICES[what], shelf.names)
    if shelf.blind:
        return  # All that is wrong is told together, once the providers are known.
    for name, why in shelf.damaged.items():
        if told.get(name) != why:
            s.error(what, "damaged", f"{name}.json cannot be used: {why}")


def learned(s: AgentState) -> None:
    """The providers have become known, or others: what profiles say of them is checked again."""
    blind = s.profiles.blind
    for what in FOLDERS:
        shelf = _shelf(s, what)
        told = {} if shelf.blind else dict(shelf.damaged)
        shelf.check_again(s.parameters)
        _offer(s, what, told)
    session = s.session
    if not blind or session is None or session.sought or s.lifecycle is not Lifecycle.CONNECTING:
        return
    # Connect came first: nothing was dialled yet, so all of the profile still counts.
    put_on(s)
    s.parameters.freeze()
    if session.provider != s.parameters.text("Provider"):
        session.provider, session.model = s.parameters.text("Provider"), ""


# --- laying


def chosen(s: AgentState, command: Write) -> None:
    """Profile was written: empty lifts at once, names wait for Connect or Applyprofiles."""
    names = profiles.names_in(command.value)
    if not names:
        _lay(s, [])
    elif s.session is not None:
        s.status("pending", command.name)
    _tell_unknown(s, command, names, "profiles")


def skills_chosen(s: AgentState, command: Write) -> None:
    """Skillscomp was written: they are appended when the next session begins."""
    if s.session is not None:
        s.status("pending", command.name)
    _tell_unknown(s, command, profiles.names_in(command.value), "skills")


def _why_not(s: AgentState, what: str, name: str) -> str:
    """Return why a name cannot be used, "" where it can."""
    shelf = _shelf(s, what)
    if not shelf.names and not shelf.damaged and not s.parameters.text(FOLDERS[what]):
        return f"{name} is not there: {FOLDERS[what]} names no folder."
    return shelf.why_not(name)


def _tell_unknown(s: AgentState, command: Write, names: list[str], what: str) -> None:
    """Say which of the names that are kept now have no file yet: they count once there is one."""
    missing = [why for name in names if (why := _why_not(s, what, name))]
    if missing and command.origin.kind != "config":
        s.refuse(
            command.origin, command.name, "later",
            f"{command.name} is kept, and counts when its files are good: {' '.join(missing)}",
        )  # fmt: skip


def apply(s: AgentState, command: Press) -> None:
    """Applyprofiles: lay what Profile names now; what applies per session waits for the next."""
    if not _wanted(s) and not s.laid:
        s.refuse(command.origin, command.name, "no_effect", "Profile is empty: name a profile")
        return
    count = _lay_wanted(s)
    over = "lies over the parameters" if s.laid else "every profile is lifted"
    s.status("profiles", f"{', '.join(s.laid)} {over}, {count} changed".strip())


def put_on(s: AgentState) -> None:
    """A session begins: lay its profiles, and take what its skills append."""
    _lay_wanted(s)
    texts = []
    for name in profiles.names_in(s.parameters.value(PAR, "Skillscomp")):
        if name in s.skills.good:
            texts.append(s.skills.good[name].text)
        else:
            s.error("skills", "unknown", f"{_why_not(s, 'skills', name)} It is left out.")
    s.parameters.chunks = tuple(texts)


def _wanted(s: AgentState) -> list[str]:
    return profiles.names_in(s.parameters.value(PAR, "Profile"))


def _lay_wanted(s: AgentState) -> int:
    names = _wanted(s)
    for name in names:
        if name not in s.profiles.good:
            s.error("profiles", "unknown", f"{_why_not(s, 'profiles', name)} It is left out.")
    return _lay(s, [s.profiles.good[name] for name in names if name in s.profiles.good])


def _lay(s: AgentState, wanted: list[Profile]) -> int:
    """Lay profiles in the place of those that lie there; return how many parameters changed."""
    changed = s.parameters.lay(profiles.laid(wanted, s.parameters.provider_below))
    names = tuple(profile.name for profile in wanted)
    origin = Origin(kind="profile", id=",".join(names or s.laid))
    s.laid = names
    for place in changed:
        _tell(s, place, origin)
    return len(changed)


def _tell(s: AgentState, place: Place, origin: Origin) -> None:
    page, name = place
    value = s.parameters.value(page, name)
    s.emit(Told(name=name, value=value, origin=origin, page=page))
    row = s.parameters.row(page, name)
    if row is not None and row.applies is Applies.SESSION:
        if s.session is not None:
            s.status("pending", name)
    elif s.leg_open and (page == s.parameters.text("Provider") or name in FOR_LEG):
        s.send(wire.UpdateLeg(agent=s.name, leg=s.leg, parameters={name: value}))


# --- reading


def skills_text(s: AgentState) -> str:
    """Return Skillscount."""
    names = profiles.names_in(s.parameters.value(PAR, "Skillscomp"))
    if not names and not s.skills.names:
        return ""
    return f"{sum(name in s.skills.good for name in names)} of {len(s.skills.names)}"
