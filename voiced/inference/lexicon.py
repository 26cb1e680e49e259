"""The words that sentences are judged by: functions, verbs, opposites, what says no.

English, but for the words of negation, of yes and of no: a sentence in another language is at least
never taken for its opposite.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def stem(word: str) -> str:
    """Return what forms of a word have in common: lights light, closing clos, colour color."""
    if len(word) > 4 and word.endswith(("our", "ours")):
        word = word.replace("our", "or")
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("ses", "xes", "zes", "ches", "shes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix, least in (("ing", 5), ("ed", 4)):
        rest = word.removesuffix(suffix)
        if rest != word and len(word) > least and re.search("[aeiouy]", rest):
            word = rest if not rest.endswith("e") else word
            break
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1].isalpha():
        word = word[:-1]
    return word


def stem_set(text: str) -> frozenset[str]:
    """Return the stems of a text's words."""
    return frozenset(stem(word) for word in text.split())


SUFFIXES: Final = {"d": "would", "ll": "will", "ve": "have", "re": "are", "m": "am"}
"""What stands behind an apostrophe, written out."""
BEFORE_IS: Final = word_set("it that this there here what who where when how she he everything")
"""Before 's, which is then "is" and no genitive."""
CONTRACTIONS: Final = {
    "dont": "do not",
    "cant": "can not",
    "cannot": "can not",
    "wont": "will not",
    "doesnt": "does not",
    "didnt": "did not",
    "shouldnt": "should not",
    "let's": "let us",
    "won't": "will not",
    "can't": "can not",
    "shan't": "shall not",
    "ain't": "is not",
    "gimme": "give me",
    "wanna": "want to",
    "gonna": "going to",
}

NEGATIONS: Final = word_set(
    "not never neither nor without nobody nothing nicht nie niemals kein keine keinen keiner "
    "keinem pas jamais aucun aucune nunca jamás tampoco niet geen nooit não non except"
)
REPLACED: Final = frozenset((("instead", "of"), ("rather", "than"), ("other", "than")))
"""Two words of negation: what follows them is not wanted."""
ALL_BUT: Final = word_set("all anything everything any every none")
"""Before a "but" that is "except"."""
YES: Final = word_set(
    "yes yeah yep yup sure ok okay please right correct exactly course ja oui si sí sim"
)
NO: Final = word_set("no nope nah nein nee cancel forget nevermind wait stop")

STOP: Final = word_set(
    "a an the this that these those some any all it its them they he she him her his hers their "
    "i me my mine you your yours we us our ours to of in on at by for from with into onto up "
    "down off out over and or as so then than if is are am was were be been being do does did "
    "have has had can could will would shall should may might must please kindly just now also "
    "again too very really quite bit little here there well hey hi hello oh um uh er okay ok no "
    "yes yeah not instead rather maybe perhaps go going want like need thanks thank one ones about "
    "right away every everything something anything thing things stuff different other another "
    "new more else what which when where who whose why how let"
)
"""Words that say nothing of what is wanted, unless a tool has them in its name."""
PLAIN: Final = word_set("a an the to of in at by for with and or please you me i it can")
"""Words that say nothing even then."""
GENERIC: Final = stem_set(
    "turn set switch make put change give get bring do use us run call start show tell say adjust "
    "move trigger send ask"
)
"""Stems of verbs that any command may have."""
VERBS: Final = GENERIC | stem_set(
    "open close play pause stop dim raise lower lift drop fade light lock unlock mute unmute read "
    "write find search look add remove create delete increase decrease activate deactivate enable "
    "disable blow ring launch load save record display paint fill clear reset rotate shake wake "
    "recall resume restart sound spin mix fire zoom scroll begin end announce invite list describe "
    "pick select choose take keep hold release"
)
"""Stems of verbs that commands begin with."""
BLOCKERS: Final = stem_set(
    "stop quit avoid cease leave forget ignore prevent refuse cancel undo keep remove kill spare"
)
"""Stems of verbs that call something off; a tool that is for that has the word itself."""
TALK: Final = stem_set("explain describe talk discuss")
"""Stems of verbs that want talk and no action."""
TELL: Final = stem_set("tell say speak")
"""With "about", so do these."""
KNOW: Final = stem_set("tell say know show see hear remember imagine guess believe wonder read ask")
"""Stems of verbs behind which "who", "why" or "whether" begins a question."""
REMARKS: Final = word_set(
    "be see hear know imagine remember believe think feel look watch wow great nice beautiful "
    "lovely wonderful amazing thanks thank enough"
)
"""Words that begin a remark, which is no command even where no verb follows."""
PONDERED: Final = word_set("ever even really like want wish dare say rather have imagine believe")
"""Behind "would you", "could you": a question of what might be."""
PAST: Final = word_set("was were been came had did done went gone arrived saw heard entered")
"""Words by which a clause tells what has been."""
EASE: Final = word_set("hurry rush problem worries matter doubt")
"""Behind a "no" that denies nothing: no hurry."""
RETRACTIONS: Final = (
    ("just", "kidding"), ("only", "kidding"), ("joking",), ("changed", "my", "mind"),
    ("never", "mind"), ("forget", "it"), ("scratch", "that"),
)  # fmt: skip
"""Words that take back what was said before them."""


def _opposites(pairs: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in pairs.split():
        one, other = (stem(word) for word in pair.split("/"))
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {one: frozenset(others) for one, others in found.items()}


OPPOSITES: Final = _opposites(
    "on/off open/close open/shut start/stop start/end start/pause play/stop play/pause begin/end "
    "begin/stop pause/resume stop/resume up/down raise/lower increase/decrease lock/unlock "
    "show/hide mute/unmute enable/disable add/remove activate/deactivate brighter/darker "
    "louder/quieter left/right"
)
"""Stems by stem."""

REQUESTS: Final = word_set("can could would will may")
WISHES: Final = word_set("want need like love wish prefer")
QUESTIONS: Final = word_set("what why who whose whom when where which how")
AUXILIARIES: Final = word_set("do does did is are was were am has had should must have shall")
CONDITIONS: Final = word_set(
    "if unless before until after while because although suppose imagine whenever whether"
)
SUBJECTS: Final = word_set(
    "i you we they he she it this that there these those everybody everyone somebody people"
)
COPULAS: Final = word_set("is are was were am be been looks look seems seem became")
ARTICLES: Final = word_set("the a an my your his her their our some such")
PREPOSITIONS: Final = word_set("in at on by of from with for to into about under over behind")
THANKS: Final = word_set("thanks thank you oh no not nope way never")
"""What may follow a "no" that stands behind what it denies."""
LEADS: Final = word_set(
    "please kindly hey hi hello ok okay so now well and then um uh er oh just yes yeah no right "
    "alright also go ahead quickly maybe perhaps again"
)
"""Words before what a sentence begins with."""


ANSWERING: Final = word_set(
    "guess choose take pick prefer love favourite favorite sounds good great fine perfect nice "
    "best hmm hm mm ah number option make set turn use try give go said think should be absolutely "
    "definitely natürlich bitte gern gerne danke klar merci plaît grazie prego gracias favor por"
)
"""Words that an answer has beside what it names: "I'd take the red one, I guess"."""


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """The words by which a visitor says no."""

    negations: frozenset[str] = NEGATIONS
    yes: frozenset[str] = YES
    no: frozenset[str] = NO


ENGLISH: Final = Lexicon()
