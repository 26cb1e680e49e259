"""The table of parameters: one row each, nothing twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from voiced.parameters.row import Access, Applies, Form, Kind, Row, Value

TOOL_SLOTS = 16
"""Tool0 to Tool15."""
PROFILE_SLOTS = 8
TOOL_MODES = ("enabled", "enabled_nonblocking", "disabled")

_TURN, _SESSION = Applies.TURN, Applies.SESSION

# fmt: off


def _pulse(page: str, name: str, doc: str, **more: Any) -> Row:
    return Row(
        name=name, kind=Kind.PULSE, tag="", page=page, doc=doc, access=Access.PULSE,
        persists=False, **more,
    )


def _toggle(page: str, name: str, default: bool, doc: str, **more: Any) -> Row:
    return Row(
        name=name, kind=Kind.TOGGLE, tag="i", page=page, doc=doc, default=default,
        minimum=0, maximum=1, **more,
    )


def _int(page: str, name: str, default: int, low: int, high: int, doc: str, **more: Any) -> Row:
    return Row(
        name=name, kind=Kind.INT, tag="i", page=page, doc=doc, default=default,
        minimum=low, maximum=high, **more,
    )


def _float(
    page: str, name: str, default: float, low: float, high: float, doc: str, **more: Any
) -> Row:
    return Row(
        name=name, kind=Kind.FLOAT, tag="f", page=page, doc=doc, default=default,
        minimum=low, maximum=high, **more,
    )


def _text(page: str, name: str, doc: str, default: Value = "", **more: Any) -> Row:
    return Row(name=name, kind=more.pop("kind", Kind.STRING), tag="s", page=page, doc=doc,
               default=default, **more)


def _menu(page: str, name: str, options: tuple[str, ...], default: str, doc: str,
          **more: Any) -> Row:
    return Row(name=name, kind=Kind.MENU, tag="s", page=page, doc=doc, default=default,
               options=options, **more)


def _readout(page: str, name: str, doc: str, **more: Any) -> Row:
    return Row(name=name, kind=Kind.STRING, tag="s", page=page, doc=doc, access=Access.READ,
               persists=False, **more)


def _voice() -> Iterable[Row]:
    page = "Voice"
    yield _pulse(page, "Connect", "Opens a session; after a one_turn exchange, re-arms it.")
    yield _pulse(page, "Disconnect", "Ends the session and cuts the voice at once.")
    yield _pulse(
        page, "Restart", "Ends the session, applies what waits and connects fresh: next visitor.",
        own=True,
    )
    yield _menu(
        page, "Provider", ("local", "gemini_live", "openai_realtime", "xai_grok", "hume_evi"),
        "local", "Chooses the voice service; `local` needs no key and no internet.",
        applies=_SESSION,
    )
    yield _menu(
        page, "Model", (), "", "Chooses the provider's model; empty is the provider's default.",
        open_menu=True, applies=_SESSION,
    )
    yield _menu(
        page, "Voice", (), "", "Chooses who speaks; empty is the provider's default voice.",
        open_menu=True, applies=_SESSION,
    )
    yield _menu(
        page, "Sessionmode", ("continuous", "one_turn", "push_to_talk"), "continuous",
        "Sets who may speak when: always, once per Connect, or while Talk is held.",
        applies=_SESSION,
    )
    yield _menu(
        page, "Streamingmode", ("live", "coalesce", "append"), "live",
        "Sets how words land in the conversation: growing rows, finished rows, or each piece.",
        applies=_TURN,
    )
    yield _toggle(
        page, "Talk", False,
        "Opens the microphone in push_to_talk while held; each holder lets go of its own only.",
        persists=False,
    )
    yield _int(page, "Talkmax", 120, 0, 600, "Lets go of Talk by itself after so many seconds.",
               unit="s", own=True)
    yield _int(
        page, "Talktail", 200, 0, 2000,
        "Keeps the microphone open so many milliseconds after Talk is let go.",
        unit="ms", own=True,
    )
    yield _toggle(
        page, "Talkconnects", False,
        "Lets a press of Talk while disconnected connect; the words wait for the session.",
        own=True,
    )
    yield _menu(
        page, "Bargein", ("auto", "on", "off"), "auto",
        "Sets whether visitors may interrupt the voice; off hears nothing while it sounds.",
        own=True,
    )
    yield _readout(page, "Sessionstate",
                   "Tells disconnected, connecting, active, armed, refreshing or ending.")
    yield _toggle(page, "Autosessionrefresh", True,
                  "Opens a new leg before the service's time limit ends the session.")
    yield _int(page, "Refreshwarning", 30, 0, 300,
               "Tells onStatus expiring so many seconds before the time limit; 0 tells nothing.",
               unit="s")
    yield _int(
        page, "Refreshkeep", 20, 0, 60,
        "Keeps so many seconds of speech across a refresh; 0 drops what was not answered.",
        unit="s", own=True,
    )
    yield _pulse(page, "Scanproviders", "Looks for providers again, drop-ins included.")
    yield _text(
        page, "Providersfolder", "Names the folder of drop-in providers; set in the config file.",
        kind=Kind.FOLDER, access=Access.READ, config_only=True,
    )
    yield _text(
        page, "Micin", "Names the device's input channels, as 3 or 3,4; empty is the config's.",
        form=Form.CHANNELS, applies=_SESSION,
    )
    yield _float(page, "Micgain", 1.0, 0.0, 4.0, "Multiplies the microphone.", own=True)
    yield _text(page, "Inputtext", "Holds the text that Sendtext sends.", persists=False)
    yield _pulse(page, "Sendtext",
                 "Sends Inputtext as the visitor's words; a text brought along is written first.",
                 takes_text=True)
    yield _readout(page, "Pricing", "Tells about what a minute costs with this provider and model.")
    yield _readout(page, "Conversationcost", "Tells what the conversation has cost over refreshes.")
    yield _readout(page, "Sessioncost", "Tells what the running leg of the session has cost.")
    yield _pulse(page, "Resetcostmeter", "Zeroes the cost readouts, never the ledger.")
    yield _toggle(page, "Enableconvdat", True, "Writes the conversation's rows.")
    yield _int(page, "Signalrate", 30, 1, 120, "Sets how often changed signals are sent.",
               unit="Hz", own=True)


def _provider() -> Iterable[Row]:
    page = "Provider"
    yield _text(
        page, "Endpointurl", "Sets the chat service's address for providers that need no key.",
        form=Form.URL, applies=_SESSION,
    )
    yield _text(
        page, "Apikey", "Takes the active provider's key; it is never told again.",
        access=Access.WRITE, admin=True, secret=True, persists=False, applies=_SESSION,
    )
    yield _text(page, "Languagecode",
                "Names the language spoken, as en or de-DE; empty lets the provider find out.",
                applies=_SESSION)
    yield _text(page, "Systemprompt", "Tells the model who it is and how to behave.",
                applies=_SESSION)
    yield _toggle(page, "Enableusertranscription", True, "Transcribes what visitors say.",
                  applies=_SESSION)
    yield _toggle(page, "Enableoutputtranscription", True, "Transcribes what the voice says.",
                  applies=_SESSION)
    yield _toggle(page, "Enablegrounding", False,
                  "Lets the service search the web for answers, where it can.", applies=_SESSION)
    yield _toggle(
        page, "Enablesessionresumption", True,
        "Uses the service's own resume handles, where it has them.",
        applies=_SESSION,
    )
    yield _menu(
        page, "Affect", ("off", "hume"), "off",
        "Measures how visitors speak, whichever provider talks; hume needs a key of Hume.",
        own=True, applies=_SESSION,
    )
    yield _int(page, "Affectinterval", 3000, 3000, 10000,
               "Sets after how many milliseconds of speech it is measured again.",
               unit="ms", own=True, applies=_SESSION)
    yield _text(
        page, "Affectendpoint",
        "Sends what Affect hears to an emulator's websocket; set in the config file.",
        form=Form.URL, access=Access.READ, config_only=True, own=True,
    )
    yield _int(page, "Thinkingbudget", 0, 0, 8192,
               "Limits the reasoning tokens of models that take such a limit.",
               unit="tokens", applies=_SESSION)


def _playback() -> Iterable[Row]:
    page = "Playback"
    yield _pulse(page, "Resetplayback", "Stops the voice and forgets the reply Replay would play.")
    yield _toggle(page, "Playbackactive", True,
                  "Sounds the voice; off, it is consumed in silence at its own pace.")
    yield _float(page, "Volume", 1.0, 0.0, 1.0, "Sets the loudness of this agent's voice.")
    yield _pulse(page, "Play", "Goes on after Pause.")
    yield _pulse(page, "Pause", "Holds the voice at the sample; the reply keeps arriving.")
    yield _pulse(page, "Stop", "Interrupts the voice by hand; the session stays.")
    yield _pulse(page, "Replay", "Plays the last complete reply again, free of charge.")
    yield _toggle(page, "Sessiontracing", True, "Writes a trace of every session.",
                  applies=_SESSION)
    yield _text(page, "Sessiontracedir", "Names the folder of traces; empty is the state folder's.",
                kind=Kind.FOLDER, admin=True, applies=_SESSION)
    yield _menu(
        page, "Recording", ("off", "session", "turns", "both"), "off",
        "Records into sound files: the whole session, each turn, or both.",
        own=True, applies=_SESSION,
    )
    yield _menu(page, "Recordingformat", ("wav", "flac"), "wav",
                "Sets what recordings are; flac needs the package soundfile.",
                own=True, applies=_SESSION)
    yield _toggle(
        page, "Resumelast", False,
        "Lets Connect go on with the newest conversation of this provider and model.",
        applies=_SESSION,
    )
    yield _text(
        page, "Loadsessionfile", "Names the trace the next Connect goes on with, once.",
        kind=Kind.FILE, admin=True, persists=False, applies=_SESSION,
    )
    yield _int(page, "Maxreplayrows", 20, 1, 200,
               "Limits how many messages prime a service that has no memory of its own.",
               applies=_SESSION)
    yield _readout(page, "Sessionresume", "Tells what the last Connect resumed, if anything.")
    yield _readout(page, "Sessionid", "Tells the session's name, which is its trace's.")


def _tools() -> Iterable[Row]:
    page = "Tools"
    yield _toggle(page, "Usetools", True, "Lets the model call the tools of this page.")
    yield _toggle(page, "Allowendconversation", True, "Lets the model hang up after its goodbye.",
                  applies=_SESSION)
    yield _toggle(page, "Outputtext", False, "Lets the model show text without speaking it.")
    yield _int(page, "Approvaltimeout", 0, 0, 600,
               "Denies a waiting tool call after so many seconds; 0 waits for ever.",
               unit="s")
    yield _readout(page, "Pendingtools", "Tells which tool calls wait for approval, one a line.")
    yield _pulse(page, "Approvetools", "Approves every waiting tool call.")
    yield _pulse(page, "Denytools", "Denies every waiting tool call.")
    yield _float(
        page, "Costbudget", 0.0, 0.0, 10.0,
        "Ends the session when the conversation has cost so many dollars; 0 is no limit.",
        unit="USD", money=True,
    )
    yield _int(page, "Tool", 0, 0, TOOL_SLOTS, "Sets how many tool slots are in use.")
    for slot in range(TOOL_SLOTS):
        yield _text(page, f"Tool{slot}toolop", f"Names the tool in slot {slot}.")
        yield _menu(
            page, f"Tool{slot}mode", TOOL_MODES, "enabled",
            f"Sets whether the model waits for the tool in slot {slot}, or may not call it.",
            own=True,
        )
    yield _text(
        page, "Videoin",
        "Names what the model sees: a JPEG file that is sent whenever it changes, or a camera as "
        "camera:0; empty takes what is posted.",
        kind=Kind.FILE, form=Form.PICTURE, own=True,
    )
    yield _int(page, "Videointerval", 1, 1, 3600,
               "Sends a picture at most every so many seconds; each costs what its tokens cost.",
               unit="s", own=True)


def _skills() -> Iterable[Row]:
    page = "Skills"
    yield _text(page, "Skillsfolder", "Names the folder of skills, JSON files.",
                kind=Kind.FOLDER, admin=True)
    yield _text(page, "Skillscomp",
                "Names the skills in use, separated by commas: each adds to the system prompt.",
                applies=_SESSION, listed=True)
    yield _pulse(page, "Scanskills", "Reads the folder of skills again and tells what is in it.")
    yield _readout(page, "Skillscount", "Tells how many skills are in use, and of how many.")


def _profiles() -> Iterable[Row]:
    page = "Profiles"
    yield _text(page, "Profilesfolder", "Names the folder of profiles, JSON files.",
                kind=Kind.FOLDER, admin=True)
    yield _pulse(page, "Scanprofiles",
                 "Reads the folder of profiles again and tells what is in it.")
    yield _pulse(page, "Applyprofiles",
                 "Lays the profiles over the parameters now, without waiting for Connect.")
    yield Row(
        name="Profile", kind=Kind.NAMES, tag="s...", page=page, maximum=PROFILE_SLOTS,
        doc="Names up to 8 profiles: Connect lays them over the parameters in order, empty lifts.",
        applies=_SESSION, listed=True,
    )
    yield _text(page, "Displayname", "Holds a name of this agent for whatever shows it.")
    for letter, word, default in (("r", "red", 0.98), ("g", "green", 0.52), ("b", "blue", 0.02)):
        yield _float(page, f"Displaycolor{letter}", default, 0.0, 1.0,
                     f"Sets the {word} part of this agent's colour.")
    yield Row(
        name="Displaycolor", kind=Kind.COLOR, tag="fff", page=page, minimum=0.0, maximum=1.0,
        doc="Sets this agent's colour: red, green and blue in one message.", persists=False,
        parts=("Displaycolorr", "Displaycolorg", "Displaycolorb"),
    )


def _callbacks() -> Iterable[Row]:
    page = "Callbacks"
    yield _text(
        page, "Callbackdat", "Names the Python file that takes callbacks; set in the config file.",
        kind=Kind.FILE, access=Access.READ, config_only=True,
    )
    yield _toggle(page, "Printcallbacks", False,
                  "Writes every callback's name to the service's log, never anybody's words.")
    yield _toggle(page, "Audioevents", False,
                  "Sends onAudioIn and onAudioOut at the signal rate.", own=True)


def _lifecycle() -> Iterable[Row]:
    page = "Lifecycle"
    yield _pulse(page, "Installdependencies",
                 "Installs the packages that the provider lacks, if the configuration allows it.",
                 admin=True)
    yield _pulse(page, "Initialize", "Starts or restarts the audio and network processes.")
    yield _pulse(page, "Shutdown", "Ends the sessions and stops the processes; the doors stay.",
                 admin=True)
    yield _readout(page, "Enginestatus",
                   "Tells starting, ready, degraded, no_device, retrying or stopped, and why.")
    yield _toggle(
        page, "Active", False,
        "Is the wish for a session: Connect sets it, Disconnect clears it; 0 closes the gate.",
    )
    yield _pulse(page, "Forget", "Erases the open or last conversation: rows, trace, recordings.",
                 own=True)


# fmt: on


def _table() -> Mapping[str, Row]:
    table: dict[str, Row] = {}
    for part in (_voice, _provider, _playback, _tools, _skills, _profiles, _callbacks, _lifecycle):
        for row in part():
            if row.name in table:
                raise ValueError(f"parameter {row.name} is in the table twice")
            table[row.name] = row
    return MappingProxyType(table)


ROWS: Mapping[str, Row] = _table()
"""Every parameter at /<agent>/par, by its name, in the order of its pages."""
