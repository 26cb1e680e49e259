"""What goes wrong in a conversation: errors, limits, the session's end, and what follows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.providers.dial import Closing
from voiced.providers.realtime_dialect import server
from voiced.providers.realtime_dialect.faults import Meaning, Verdict
from voiced.providers.realtime_dialect.hearing import COMMIT
from voiced.providers.realtime_dialect.items import DELETE, TRUNCATE
from voiced.providers.realtime_dialect.responses import REQUEST

if TYPE_CHECKING:
    from voiced.providers.realtime_dialect.conversation import Conversation

LIMIT_S = 5.0
"""Waited where a limit is reached and the service does not say until when."""
LIMIT_MOST_S = 60.0
TYPES_LOGGED = 100
"""Unknown and malformed types that are logged; a service that sends more of them is broken."""

logger = logging.getLogger(__name__)


class Troubles:
    """Judges what the service objects to.

    Args:
        conversation: whose troubles.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._talk = conversation
        self._told: set[str] = set()
        self._logged: set[str] = set()
        self._limit_s = 0.0
        self._retried = False
        self._expired: Verdict | None = None
        self._reason: Verdict | None = None
        """The last error that no event of ours has caused: it may be why a reply fails."""
        self.takes: dict[type[server.ServerEvent], Callable[..., None]] = {
            server.RateLimitsUpdated: self._rate_limits,
            server.ErrorEvent: self._error,
        }

    # --- telling

    def log_once(self, kind: str, why: str = "") -> None:
        """Log a frame of no use, once a type."""
        if kind not in self._logged and len(self._logged) < TYPES_LOGGED:
            self._logged.add(kind)
            logger.warning("! %s: %s%s", self._talk.dialect.service.title, kind, why)

    def once(self, code: str, sentence: str) -> None:
        """Tell a trouble, once a connection."""
        if code not in self._told:
            self._told.add(code)
            self._talk.callbacks.trouble(code, sentence)

    # --- errors

    def _error(self, event: server.ErrorEvent) -> None:
        talk = self._talk
        verdict = talk.dialect.faults.judge(event.error)
        asked = event.error.event_id or ""
        if verdict.meaning is Meaning.TOLD and asked.startswith((TRUNCATE, DELETE)):
            verdict = talk.dialect.faults.stale(verdict)
        if not talk.is_open:
            self._not_opened(verdict)
            return
        if not asked and verdict.meaning in (Meaning.RETRY, Meaning.BACK_OFF, Meaning.TOLD):
            self._reason = verdict
        talk.refused(asked)
        if asked.startswith(COMMIT):
            talk.hearing.uncommitted(asked)
        # First what it means: a limit must hold before anything is asked for again.
        self._follow(verdict, failed=False)
        if verdict.meaning is Meaning.BUSY:
            talk.responses.collided(asked or talk.responses.requested)
        elif asked.startswith(REQUEST):
            if verdict.meaning is Meaning.BACK_OFF or self._may_retry(verdict):
                talk.responses.postponed(asked)
            else:
                talk.responses.refused(asked)

    def _may_retry(self, verdict: Verdict) -> bool:
        """Whether to ask again after an error of the service's own: once until a reply succeeds."""
        if verdict.meaning is not Meaning.RETRY or self._retried:
            return False
        self._retried = True
        return True

    def failed(self, fault: server.Fault | None) -> None:
        """A reply has failed for this reason; None = an error before it told why."""
        reason, self._reason = self._reason, None
        if fault is not None:
            self._follow(self._talk.dialect.faults.judge(fault), failed=True)
        elif reason is not None and self._may_retry(reason):
            self._again()

    def succeeded(self) -> None:
        """A reply was completed: the next one that fails is asked for again."""
        self._retried, self._reason = False, None

    def _not_opened(self, verdict: Verdict) -> None:
        """The service objects while the session is being opened."""
        match verdict.meaning:
            case Meaning.BENIGN | Meaning.NOT_RUNNING | Meaning.BUSY:
                pass
            case Meaning.FATAL | Meaning.TOLD | Meaning.WARN:
                self._talk.shell.end(ProviderRefused(verdict.sentence, verdict.code))
            case _:
                self._talk.shell.end(ProviderUnavailable(verdict.sentence, verdict.code))

    def _follow(self, verdict: Verdict, *, failed: bool) -> None:
        """Do what a fault leads to; `failed`: it ended a reply."""
        talk = self._talk
        match verdict.meaning:
            case Meaning.BENIGN | Meaning.BUSY:
                logger.debug("< %s %s", talk.dialect.service.title, verdict.code)
            case Meaning.NOT_RUNNING:
                talk.not_running()
            case Meaning.WARN:
                self.once(verdict.code, verdict.sentence)
            case Meaning.TOLD:
                talk.callbacks.trouble(verdict.code, verdict.sentence)
            case Meaning.BACK_OFF:
                self._back_off(verdict)
                if failed and not self._retried:
                    self._again()
            case Meaning.RETRY:
                talk.callbacks.trouble(verdict.code, verdict.sentence)
                if failed and self._may_retry(verdict):
                    self._again()
            case Meaning.EXPIRED | Meaning.GOAWAY:
                self._expire(verdict)
            case Meaning.FATAL:
                talk.shell.end(ProviderRefused(verdict.sentence, verdict.code))

    def _again(self) -> None:
        """Have a reply that failed asked for once more; a second failure stands."""
        self._retried = True
        talk = self._talk
        if talk.dialect.answers_bare or not talk.terms.manual:
            talk.responses.want(talk.name("again"), acked=True)

    # --- limits

    def _rate_limits(self, event: server.RateLimitsUpdated) -> None:
        reached = [limit for limit in event.rate_limits if limit.remaining == 0]
        waits = [limit.reset_seconds or 0.0 for limit in reached or event.rate_limits]
        self._limit_s = max(waits, default=0.0)
        channels = self._talk.dialect.limit_signals
        shown = {
            channels[limit.name]: limit.remaining
            for limit in event.rate_limits
            if limit.name in channels and limit.remaining is not None
        }
        if shown:
            self._talk.callbacks.signals(shown)

    def _back_off(self, verdict: Verdict) -> None:
        wait = min(max(self._limit_s, 0.0) or LIMIT_S, LIMIT_MOST_S)
        sentence = f"{verdict.sentence}; it goes on in {wait:.0f} s"
        self._talk.callbacks.trouble(verdict.code, sentence)
        self._talk.responses.hold("limit")
        self._talk.shell.after(wait, lambda: self._talk.responses.release("limit"))

    # --- the end

    def _expire(self, verdict: Verdict) -> None:
        if self._expired is None:
            self._expired = verdict
            reason = "cap" if verdict.meaning is Meaning.EXPIRED else "goaway"
            self._talk.callbacks.goaway(reason, 0.0)

    def expiring(self, left_s: float) -> None:
        """The session's end is near, by what the service said at its start."""
        if self._expired is None:
            self._talk.callbacks.goaway("cap", left_s)

    def over(self, closing: Closing) -> ProviderError:
        """The connection is closed; return what that means."""
        title = self._talk.dialect.service.title
        verdict = self._talk.dialect.faults.closing(closing.reason)
        if verdict is not None and verdict.meaning is Meaning.FATAL:
            return ProviderRefused(verdict.sentence, verdict.code)
        if verdict is not None and verdict.meaning in (Meaning.EXPIRED, Meaning.GOAWAY):
            if self._talk.is_open:
                self._expire(verdict)
            self._expired = self._expired or verdict
        if self._expired is not None:
            return ProviderUnavailable(self._expired.sentence, self._expired.code)
        if self._reason is not None:
            return ProviderUnavailable(self._reason.sentence, self._reason.code)
        if closing.code == 1006:
            return ProviderUnavailable(f"the connection to {title} broke", "1006")
        return ProviderUnavailable(
            f"{title} closed the connection ({closing.code})", str(closing.code)
        )
