"""Everything an agent is, between two inputs, and the effects of the present one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from voiced.messages.network import ProviderCard, ToNetwork, Value
from voiced.mind import journal, stamps
from voiced.mind.calls import Calls
from voiced.mind.captions import Captions
from voiced.mind.cost import Cost
from voiced.mind.effects import AgentEffect, Callback, Journal, Keep, Log, Refused, Send, Told
from voiced.mind.gate import Intent, Talk
from voiced.mind.inputs import Instant, Origin, Past, SetAllowance, ToolSettings
from voiced.mind.parameters import PAR, Parameters, Place
from voiced.mind.profiles import Profile, Shelf, Skill, read_profile, read_skill
from voiced.mind.refresh import Plan
from voiced.mind.session import SECOND, Attempts, Lifecycle, label, step
from voiced.mind.session import Trigger as Trigger
from voiced.mind.toolbox import Toolbox
from voiced.mind.transcript import Style, Transcript
from voiced.mind.watch import Watch

MIND = Origin(kind="mind")
HEARD_GRACE_S = 2.0
"""A reply counts as heard so long after its queued seconds have passed without a word of it."""


class AgentSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is made of."""

    name: str
    attempts: Attempts
    """Shared by all agents of the daemon."""
    values: Mapping[Place, Value] = {}
    """The configuration's, by ("par" or provider, name)."""
    kept: Mapping[Place, Value] = {}
    """What `Keep` effects of an earlier life asked to keep."""
    trace_dir: str = ""
    """Folder of this agent's traces where Sessiontracedir is empty: for onSessionEnd."""
    tools: ToolSettings = ToolSettings()
    """The configuration's tools, and what it says about all."""
    first_leg: int = 1


class Hands(msgspec.Struct, kw_only=True):
    """What is known of the other processes."""

    network_up: bool = False
    network_lost: str = ""
    """Why it is not up, "" before it ever was."""
    audio: str = "starting"
    """starting, ready, absent or lost."""
    audio_sentence: str = ""
    inference_lost: str = ""
    echo_free: bool = False
    samplerate: int = 48_000
    near_frame: int = -1
    mic_open: bool = False
    """The real gate, by the edge log."""
    stopped: bool = False
    """By Shutdown, until Initialize."""
    stop_owed: bool = False
    warm_owed: bool = False


class Reply(msgspec.Struct, kw_only=True):
    """The reply that was begun last."""

    leg: int = 0
    response: str = ""
    """"" = none yet."""
    running: bool = False
    """The service still sends."""
    status: str = ""
    words: bool = False
    """It has words, or sounded."""
    words_last: bool = False
    """It has words behind its last tool call."""
    speaking: bool = False
    """It sounds."""
    paused: bool = False
    """It has sounded so far as it came, and goes on with the result of a tool."""
    heard: bool = True
    """Its last frame sounded, or was cut, or never will."""
    exchanged: bool = False
    """one_turn took it for the exchange's end."""
    calls: bool = False
    """It called a tool: what it said so far is no answer yet, that comes with the result."""
    called: bool = False
    """It called a tool that need not be waited for; some services wait all the same."""
    heard_by: int | None = None
    """When it counts as heard even if nobody tells, ns."""

    @property
    def busy(self) -> bool:
        """Whether it still runs or sounds."""
        return self.running or not self.heard


class Session(msgspec.Struct, kw_only=True):
    """One session: from Connect to the end of its last leg."""

    id: str
    provider: str
    model: str
    opened_ns: int = -1
    """When its first leg opened; -1 = not yet: onSessionStart is not told either."""
    opened_frame: int = -1
    """Near frame at which it opened: no pre-roll of any of its legs reaches before it."""
    sought: bool = False
    """Its first dial has come: whether it goes on with a past conversation was decided then."""
    recalls: bool = False
    """A past conversation is being looked for: the first leg waits for it."""
    past: Past | None = None
    """The conversation this one goes on with; its rows are shown once it is open."""
    reason: str = "connect"
    """Why the next leg is dialled: connect, cap, goaway or lost."""
    handle: str = ""
    primed: int = 0
    """Rows given to the next leg."""
    told_bytes: int = 0
    """Text given to the next leg: prompt, tools and rows, UTF-8."""
    from_frame: int = -1
    respond: bool = False
    end_reason: str = ""
    end_by: int = 0
    expired: bool = False
    disarmed: bool = False
    """one_turn: the exchange is over, the next Connect re-arms."""
    closing: str = ""
    """End reason, once the words that are sounding were heard."""
    closing_by: int = 0
    awaits_goodbye: bool = False
    """Nothing was said when the model hung up: its goodbye may come behind the call."""
    said_goodbye: bool = False
    """It was said before the call, which is not answered: the model would go on talking."""
    press_frame: int = -1
    """Talkconnects: near frame of the press that connected."""
    turn_end: int = -1
    """Near frame where a turn ended that no edge closes; -1 = nothing to tell."""
    turn_end_leg: int = 0
    """The leg that was told of it; the next one must be told again if that one never opens."""


class Metered(msgspec.Struct, kw_only=True):
    """The last figures of a leg that only signals show."""

    buffered_s: float = 0.0
    rx_age_s: float = 0.0
    latency_s: float = -1.0
    provider: dict[str, float] = {}


class AgentState:
    """The state of one agent. Only modules of the mind touch it."""

    def __init__(self, setup: AgentSetup) -> None:
        self.setup = setup
        self.name = setup.name
        self.parameters = Parameters(setup.values, setup.kept)
        self.profiles: Shelf[Profile] = Shelf(read_profile)
        self.skills: Shelf[Skill] = Shelf(read_skill)
        self.laid: tuple[str, ...] = ()
        """Profiles that lie over the parameters."""
        self.hands = Hands()
        self.lifecycle = Lifecycle.DISCONNECTED
        self.session: Session | None = None
        self.leg = setup.first_leg - 1
        """Number of the present or last leg."""
        self.leg_alive = False
        """The network process holds it, opened or not."""
        self.leg_opened_ns: int | None = None
        self.dial_at: int | None = None
        self.allowance = SetAllowance(left_usd=math.inf, sentence="")
        self.resume_within_s = 0.0
        """The next session is the one that a start asked for: see `inputs.Started`."""
        self.failures = 0
        self.trouble = ""
        """Why there is no leg, "" as long as there is no trouble."""
        self.remembered = False
        """A Connect came while ending."""
        self.plan: Plan | None = None
        self.warned = False
        self.reply = Reply()
        self.watch = Watch()
        self.toolbox = Toolbox(setup.tools)
        self.calls = Calls()
        self.waiting = False
        """The user's turn is over, no reply sounds yet."""
        self.user_speaking = False
        self.talk = Talk()
        self.muted = False
        self.paused = False
        self.replayable = False
        self.replaying = False
        """Replay was asked for and has not sounded to its end."""
        self.replay_sounds = False
        self.stopping = False
        self.started = False
        self.gate_open = False
        self.lane: dict[str, Value] = {}
        self.provider_told = ""
        self.phase = 0
        self.metered = Metered()
        self.transcript = Transcript()
        self.captions = Captions()
        self.sounding: dict[tuple[int, str], int] = {}
        """(leg, item) that sounds -> the near frame at which it began."""
        self.cost = Cost()
        self.now = Instant(mono_ns=0, wall=0.0)
        self.out: list[AgentEffect] = []

    # --- reading

    @property
    def label(self) -> str:
        """Sessionstate's word."""
        return label(self.lifecycle, self.gate_open)

    @property
    def mode(self) -> str:
        """Sessionmode in force."""
        return self.parameters.text("Sessionmode")

    @property
    def active(self) -> bool:
        """The wish for a session."""
        return self.parameters.flag("Active")

    @property
    def card(self) -> ProviderCard | None:
        """The provider in force."""
        return self.parameters.card(self.parameters.text("Provider"))

    @property
    def leg_open(self) -> bool:
        """Whether a leg takes messages."""
        return self.lifecycle is Lifecycle.OPEN

    @property
    def tool_holds(self) -> bool:
        """Whether the present leg's model waits for a tool's result."""
        return self.calls.hold(self.leg)

    @property
    def intent(self) -> Intent:
        """What decides the gate."""
        return Intent(
            lifecycle=self.lifecycle,
            mode=self.mode,
            active=self.active,
            muted=self.muted,
            disarmed=self.session is not None and self.session.disarmed,
            closing=self.session is not None and self.session.closing != "",
            talk=self.talk.lets_through(self.now.mono_ns),
        )

    def after(self, seconds: float) -> int:
        """Return the monotonic ns so many seconds from now."""
        return self.now.mono_ns + int(seconds * SECOND)

    # --- moving

    def fire(self, trigger: Trigger) -> None:
        """Move the lifecycle: the only door to it."""
        before, self.lifecycle = self.lifecycle, step(self.lifecycle, trigger)
        self.log("info", f"= session {before.value} -> {self.lifecycle.value}: {trigger.value}")

    # --- telling

    def emit(self, *effects: AgentEffect) -> None:
        """Add effects, in order."""
        self.out.extend(effects)

    def send(self, message: ToNetwork) -> None:
        """Add a message to the network process."""
        self.out.append(Send(message=message))

    def log(self, level: str, line: str) -> None:
        """Add a line to the service's log."""
        self.out.append(Log(level=level, line=f"{self.name}: {line}"))

    def callback(self, name: str, *args: int | float | str) -> None:
        """Fire a callback."""
        self.out.append(Callback(name=name, args=args))

    def refuse(self, origin: Origin, name: str, code: str, sentence: str) -> None:
        """Tell that a command did nothing."""
        self.out.append(Refused(origin=origin, name=name, code=code, sentence=sentence))

    def status(self, word: str, sentence: str) -> None:
        """Fire onStatus."""
        self.callback("onStatus", word, sentence)
        self.journal(journal.StatusLine, source="status", code=word, sentence=sentence)

    def error(self, source: str, code: str, sentence: str) -> None:
        """Fire onError."""
        self.callback("onError", source, code, sentence)
        self.log("warning", f"! {source} {code}: {sentence}")
        self.journal(journal.StatusLine, source=source, code=code, sentence=sentence)

    @property
    def tracing(self) -> bool:
        """Whether a journal is running."""
        session = self.session
        return (
            session is not None
            and session.opened_ns >= 0
            and self.parameters.flag("Sessiontracing")
        )

    def journal(self, kind: type[journal.AnyLine], **fields: object) -> None:
        """Add a line to the running journal, if there is one."""
        if self.session is not None and self.tracing:
            line = kind(at=stamps.iso(self.now), mono_ns=self.now.mono_ns, **fields)  # type: ignore[arg-type]
            sync = kind in (journal.LegBegan, journal.HandleLine)
            self.out.append(
                Journal(session_id=self.session.id, line=journal.encode(line), sync=sync)
            )

    def restyle(self) -> None:
        """Hand the transcript what the operator wants of it now."""
        flag = self.parameters.flag
        self.transcript.style = Style(
            mode=self.parameters.text("Streamingmode"),
            rows=flag("Enableconvdat"),
            user=flag("Enableusertranscription"),
            assistant=flag("Enableoutputtranscription"),
            journal=self.tracing,
        )

    # --- parameters

    def store(
        self, name: str, value: Value, origin: Origin = MIND, page: str = PAR, *, keep: bool = True
    ) -> bool:
        """Store a value; tell and keep it if it changed."""
        place = self.parameters.place(page, name)
        # A configuration that was edited changes what lies under a profile, not what lies on top.
        below = origin.kind == "config"
        write = self.parameters.write_below if below else self.parameters.write
        if not write(page, name, value):
            return False
        self.out.append(Told(name=name, value=value, origin=origin, page=page))
        if keep:
            self.out.append(Keep(name=name, value=value, page=place[0]))
        return True

    def tell(self, name: str, value: Value) -> None:
        """Set a readout; tell it if it changed."""
        if self.parameters.tell(name, value):
            self.out.append(Told(name=name, value=value, origin=MIND))

    @property
    def budget_left(self) -> float:
        """USD that may still be spent, by the smallest budget; inf = there is none."""
        own, held = self.parameters.number("Costbudget"), self.cost.reserve
        left = own - self.cost.conversation if own > 0 and self.session is not None else math.inf
        return min(left, self.allowance.left_usd - self.cost.pending) - held

    def wish(self, active: bool, origin: Origin = MIND) -> bool:
        """Set Active."""
        return self.store("Active", active, origin)
