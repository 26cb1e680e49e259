"""Every OSC address that is not a parameter: what it takes, what it sends, what it does."""

from __future__ import annotations

from enum import Enum

import msgspec


class Place(Enum):
    """Which part of the tree an address belongs to."""

    DAEMON = "daemon"
    AGENT = "agent"
    CHILD = "child"
    """Below a parameter."""
    CALLBACK = "callback"
    SIGNAL = "signal"


class Reading(Enum):
    """How a script's `info` holds an argument that OSC can carry only as a number or a text."""

    PLAIN = "plain"
    FLAG = "flag"
    """0 or 1; in `info` a bool."""
    JSON = "json"
    """JSON text; in `info` what it says."""


class Argument(msgspec.Struct, frozen=True):
    """One argument of a callback; its name is its key in a script's `info`."""

    name: str
    doc: str = ""
    """"" where the name says it all."""
    reading: Reading = Reading.PLAIN


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address; `<agent>`, `<Name>` and `<...>` stand for a segment."""

    address: str
    place: Place
    takes: str | None = None
    """Type tags in; "" = no argument, "[i]" = optional, "*" = any; None = out only."""
    sends: str = ""
    """What comes back or goes out: address and type tags; "" = nothing."""
    admin: bool = False
    doc: str
    later: str = ""
    arguments: tuple[Argument, ...] = ()
    """Of a callback: what its type tags stand for."""


_LEARN = "this does nothing yet: write the binding into the configuration file, as [[midi.bind]]"


_TEXT = (
    Argument("text", "the whole turn so far"),
    Argument("final", "0 or 1", Reading.FLAG),
    Argument("row_id"),
)


# fmt: off
def _daemon(address: str, takes: str | None, sends: str, doc: str, admin: bool = False,
            later: str = "") -> Address:
    return Address(address=f"/voiced/{address}", place=Place.DAEMON, takes=takes, sends=sends,
                   doc=doc, admin=admin, later=later)


def _agent(address: str, takes: str | None, sends: str, doc: str, later: str = "") -> Address:
    return Address(address=f"/<agent>/{address}", place=Place.AGENT, takes=takes, sends=sends,
                   doc=doc, later=later)


def _child(address: str, takes: str, sends: str, doc: str) -> Address:
    return Address(address=f"/<agent>/par/<Name>/{address}", place=Place.CHILD, takes=takes,
                   sends=sends, doc=doc)


def _callback(name: str, sends: str, doc: str, *arguments: Argument) -> Address:
    told = ", ".join(f"{a.name} ({a.doc})" if a.doc else a.name for a in arguments)
    return Address(address=f"/<agent>/cb/{name}", place=Place.CALLBACK, sends=sends,
                   doc=f"{doc}: {told}.", arguments=arguments)


def _signal(name: str, doc: str, later: str = "") -> Address:
    return Address(address=f"/<agent>/sig/{name}", place=Place.SIGNAL, sends="f", doc=doc,
                   later=later)


ADDRESSES: tuple[Address, ...] = (
    _daemon("ping", "*", "/voiced/pong *", "Answers with the same arguments."),
    _daemon("status", "", "/voiced/status sisfi",
            "Tells version, agents, worst Enginestatus, uptime in seconds, targets."),
    _daemon("sync", "i", "/voiced/synced i",
            "Answers when everything this sender sent before is done."),
    _daemon("subscribe", "[i port] [s pattern] [i lease s] [s flat or bundle]",
            "/voiced/subscribed sisi, then a dump",
            "Sends what matches the pattern to this sender's host; lease 0 lasts."),
    _daemon("unsubscribe", "[i port]", "/voiced/unsubscribed i", "Ends a subscription."),
    _daemon("replyport", "i", "/voiced/replyport i",
            "Sends answers to another port of this sender's host from now on."),
    _daemon("shell", "", "",
            "Says on a TCP connection that a shell speaks: a Talk it holds outlasts it."),
    _daemon("targets", "", "/voiced/target siss each", "Lists who is sent what."),
    _daemon("dump", "[s pattern]", "each readable address, then /voiced/dump/done i",
            "Tells every value once."),
    _daemon("help", "s address", "/voiced/help ssssss",
            "Tells address, tags, access, range, applies and a sentence."),
    _daemon("agents", "", "/voiced/agents s...", "Lists the agents."),
    _daemon("mute", "[i]", "/voiced/mute i",
            "Closes every gate and fades every loudspeaker within 20 ms; sessions stay."),
    _daemon("forget", "s address", "",
            "Lets the configuration's value count again, of one parameter or of a whole /<agent>.",
            admin=True),
    _daemon("audio/input", "[s]", "/voiced/audio/input s", "Sets the input device by name.",
            admin=True),
    _daemon("audio/output", "[s]", "/voiced/audio/output s", "Sets the output device by name.",
            admin=True),
    _daemon("audio/play", "ss", "/voiced/audio/started ssi, /voiced/audio/ended ssi",
            "Lets a visitor before the virtual card's microphone speak: agent, path of a wav.",
            admin=True),
    _daemon("audio/started", None, "ssi",
            "Tells agent, path and the near frame at which a played file began."),
    _daemon("audio/ended", None, "ssi", "Tells agent, path and the near frame behind its last."),
    _daemon("midi/learn", "s address", "/voiced/midi/learned sssi",
            "Binds the next MIDI message to an address.", later=_LEARN),
    _daemon("midi/bindings", "", "/voiced/midi/binding sssi each", "Lists the MIDI bindings."),
    _daemon("midi/unbind", "s address", "/voiced/midi/unbound s", "Removes a learned binding.",
            later=_LEARN),
    _daemon("midi/ports", "", "/voiced/midi/ports s...", "Lists the MIDI input ports."),
    _daemon("heartbeat", None, "i", "Counts up once a second."),
    _daemon("startup", None, "s", "Tells the version, once the doors are open."),
    _daemon("shutdown", None, "s", "Tells why, before the doors close."),
    _daemon("error", None, "sss", "Tells address, code and sentence of what was refused."),
    _agent("par/<Name>", "the row's tags", "the row's tags",
           "Sets a parameter; without argument, asks for it."),
    _agent("<provider>/<Name>", "the row's tags", "the row's tags",
           "Sets a parameter of a provider's own page, whichever provider is active."),
    _child("norm", "[f]", "f", "Sets a number by 0 to 1 of its range; not money."),
    _child("toggle", "", "", "Switches a 0/1 parameter over."),
    _child("append", "s", "", "Adds to a text: the way in for long ones."),
    _child("clear", "", "", "Empties a text."),
    _child("default", "", "", "Sets the default again; not money."),
    _child("options", "", "s...", "Lists what a menu offers."),
    Address(address="/<agent>/par/Apikey/set", place=Place.CHILD, takes="", sends="i",
            doc="Tells whether there is a key; asking for Apikey is answered here."),
    _agent("say", "s", "", "Speaks this word for word, without a model turn where it can."),
    _agent("note", "s", "", "Tells the model something that it does not answer."),
    _agent("conv/get", "[i n=20]", "/<agent>/conv/row isssssss each, /<agent>/conv/done i",
           "Asks for the last rows of the conversation."),
    _agent("conv/row", None, "isssssss",
           "Tells a new or rewritten row: index role message id timestamp type metadata "
           "session_id."),
    _agent("conv/more", None, "siis",
           "Continues a long text: its row's id (or par/<Name>), part, parts, text; part 0 is "
           "where the text belongs."),
    _agent("conv/done", None, "i", "Ends the answer to conv/get with the count of rows."),
    _agent("conv/clear", None, "", "Tells that the conversation's table is empty again."),
    _agent("caption/user", None, "s", "Tells the visitor's line on show."),
    _agent("caption/assistant", None, "s", "Tells the voice's line on show, as heard."),
    _agent("caption/word", None, "s", "Tells the word just heard."),
    _agent("text", None, "s", "Tells text that the model shows without speaking it."),
    _agent("audio/file", None, "s", "Tells that a recording was finished: its path."),
    _agent("tool/register", "sss[s]", "/<agent>/tool/registered ss",
           "Declares a tool that the sender executes: name description json_schema mode."),
    _agent("tool/registered", None, "ss", "Tells an executor that its tool is there: name mode."),
    _agent("tool/unregister", "s", "/<agent>/tool/unregistered s", "Takes a tool back."),
    _agent("tool/unregistered", None, "s", "Tells an executor that its tool is gone."),
    _agent("tool/list", "", "/<agent>/tool/listed sssss each, then /<agent>/tool/list/done i",
           "Lists the tools."),
    _agent("tool/listed", None, "sssss", "Tells a tool: name mode executor schema description."),
    _agent("tool/list/done", None, "i", "Ends the answer to tool/list with the count."),
    _agent("tool/result", "s[s]", "", "Answers a tool call: call_id, result."),
    _agent("tool/error", "s[s]", "", "Answers a tool call with a failure: call_id, sentence."),
    _agent("tool/progress", "s[s]", "", "Tells that a tool call is still running: call_id."),
    _agent("tool/approve", "s", "", "Approves one tool call by its call_id."),
    _agent("tool/deny", "s", "", "Denies one tool call by its call_id."),
    _agent("tool/call", None, "sss", "Tells the executor to run: call_id name args_json."),
    _agent("tool/do/<name>", None, "s...",
           "Tells the executor to run: call_id and the arguments in schema order."),
    _agent("tool/cancelled", None, "ss",
           "Tells the executor that a result is not wanted: call_id name."),
    _agent("tool/timeout", None, "ss", "Tells the executor that its time is over: call_id name."),
    _callback("onSessionStart", "sss", "Tells that a session has opened",
              Argument("session_id"), Argument("provider"), Argument("model")),
    _callback("onSessionEnd", "sssf", "Tells that a session is over",
              Argument("session_id"), Argument("end_reason"),
              Argument("trace_file", "empty where none was written"), Argument("cost", "USD")),
    _callback("onStatus", "ss", "Tells how a session gets on",
              Argument("status", "one word, such as expiring, refreshing or expired"),
              Argument("sentence")),
    _callback("onUserText", "sis", "Tells the visitor's words", *_TEXT),
    _callback("onAssistantText", "sis", "Tells the voice's words", *_TEXT),
    _callback("onUserSpeechStarted", "i", "Tells that the visitor begins to speak",
              Argument("started", "always 1", Reading.FLAG)),
    _callback("onUserSpeechEnded", "i", "Tells that the visitor has spoken",
              Argument("ended", "always 1", Reading.FLAG)),
    _callback("onToolCall", "sss", "Tells that the model calls a tool",
              Argument("call_id"), Argument("name"),
              Argument("arguments", "JSON", Reading.JSON)),
    _callback("onToolResult", "ssis", "Tells what a tool call came to",
              Argument("call_id"), Argument("name"),
              Argument("ok", "0 or 1", Reading.FLAG), Argument("result")),
    _callback("onProviderChange", "ss", "Tells that another provider is in force",
              Argument("old"), Argument("new")),
    _callback("onError", "sss", "Tells what went wrong",
              Argument("source", "such as budget, network, audio, tools or scripts"),
              Argument("code"), Argument("sentence")),
    _callback("onAffect", "ss", "Tells what is heard in the visitor's voice",
              Argument("row_id", "empty before its first words"),
              Argument("scores", "JSON of name and score", Reading.JSON)),
    _callback("onAudioIn", "i", "Tells the microphone's frames, at Signalrate, when Audioevents",
              Argument("frames")),
    _callback("onAudioOut", "i", "Tells the voice's frames, at Signalrate, when Audioevents",
              Argument("frames")),
    _signal("connected", "1 while a service is connected"),
    _signal("model_ready", "1 when the provider can be used"),
    _signal("worker_active", "1 while the network process runs"),
    _signal("cost_in_seconds", "seconds of audio sent in this session"),
    _signal("cost_out_seconds", "seconds of audio received in this session"),
    _signal("<provider>_<channel>", "a provider's own channels"),
    _signal("hume_affect_<name>", "an expression in the visitor's voice, 0 to 1: see Affect"),
    _signal("hume_voice_<name>", "a quality of the visitor's voice, 0 to 1: see Affect"),
    _signal("level_in", "the microphone's level, before the gate, 0 to 1"),
    _signal("level_out", "the loudspeaker's level, 0 to 1"),
    _signal("mic_open", "1 while the microphone is really sent"),
    _signal("talk", "1 while anybody holds Talk"),
    _signal("user_speaking", "1 while a visitor speaks"),
    _signal("assistant_speaking", "1 while the voice sounds"),
    _signal("phase", "0 off 1 idle 2 listening 3 thinking 4 speaking 5 waiting 6 muted"),
    _signal("state", "Sessionstate as a number, in the order its doc lists"),
    _signal("ok", "1 while Enginestatus is ready"),
    _signal("muted", "1 while /voiced/mute is on"),
    _signal("session_seconds", "seconds since the session opened"),
    _signal("session_cost", "Sessioncost in USD"),
    _signal("conversation_cost", "Conversationcost in USD"),
    _signal("budget_left", "the smallest remainder in USD, -1 for none"),
    _signal("latency", "seconds from the visitor's end to the first sound of the last reply"),
    _signal("buffer", "seconds of voice that wait to sound"),
    _signal("gaps", "how often the voice ran dry"),
    _signal("xruns", "how often the sound card was not served in time"),
    _signal("rx_age", "seconds since the service last said anything"),
    _signal("retry_in", "seconds to the next attempt to connect"),
)
"""The whole address space beside the parameters, in the order of the documentation."""

CALLBACKS = {a.address.rsplit("/", 1)[1]: a for a in ADDRESSES if a.place is Place.CALLBACK}
"""Every callback by its name."""
