"""Sentences as a recogniser writes them, and what they have done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.inference.intent import PATIENCE_S, Ask, Call, Intent, Leave, arguments
from voiced.inference.lexicon import word_set
from voiced.messages.inference import Declaration
from voiced.mind import schema as schemas


def tool(
    name: str, description: str, properties: dict[str, Any] | None = None, optional: str = ""
) -> Declaration:
    properties = properties or {}
    schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional.split()],
    }
    return Declaration(name=name, description=description, parameters=json.dumps(schema))


def words(*options: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(options)}


SHARE = {"type": "number", "minimum": 0, "maximum": 1}
LIGHTS = tool(
    "set_lights",
    "Turn the lights to a colour",
    {"color": words("red", "green", "blue"), "level": SHARE},
)
END = tool("end_conversation", "End this conversation. Say goodbye first, then call this.")
SHOWN = tool(
    "output_text_content",
    "Show text on a screen without speaking it: code, lists, addresses, long quotations. "
    "Do not read the same text aloud.",
    {"text": {"type": "string", "description": "What is shown"}},
)
FOG = tool(
    "fog",
    "Fill the room with fog",
    {
        "amount": {"type": "integer", "minimum": 0, "maximum": 100},
        "seconds": {"type": "integer", "minimum": 1, "maximum": 60},
    },
    optional="seconds",
)
DOOR = tool("open_door", "Open the door")
SHOW = tool("next_show", "When the next show begins in a hall", {"hall": words("large", "small")})
SEARCH = tool("search", "Search the archive", {"query": {"type": "string"}})
WEATHER = tool("weather", "Tell the weather of a place", {"place": {"type": "string"}})
LABEL = tool(
    "print_label",
    "Print labels",
    {"note": {"type": "string"}, "amount": {"type": "integer", "minimum": 1, "maximum": 9}},
)
FOUNTAIN = tool("startFountain", "Start the fountain in the garden")
STOP_MUSIC = tool("stop_music", "Stop the music")
PLAY_MUSIC = tool(
    "play_music",
    "Play music in the room",
    {"volume": SHARE, "loop": {"type": "boolean"}},
    optional="volume loop",
)
SCENE = tool(
    "recall_scene",
    "Recall a scene of the light desk",
    {"scene": {"type": "integer", "minimum": 1, "maximum": 8}},
)
HAZE = tool("haze", "Switch the haze machine", {"enabled": {"type": "boolean"}})
HORN = tool("fx_17", "Blow the whale horn")
HOUSE = (END, SHOWN, LIGHTS, FOG, DOOR, SHOW, SEARCH, FOUNTAIN, STOP_MUSIC, PLAY_MUSIC, SCENE)
HOUSE += (HAZE, HORN, WEATHER, LABEL)
RED = ("set_lights", {"color": "red", "level": 1})
GREEN = ("set_lights", {"color": "green", "level": 1})
BLUE = ("set_lights", {"color": "blue", "level": 1})


def calls(said: str, tools: tuple[Declaration, ...] = HOUSE) -> list[tuple[str, dict[str, Any]]]:
    found = Intent().hear(said, tools, 0.0)
    return [(c.name, c.arguments) for c in found] if isinstance(found, tuple) else []


@pytest.mark.parametrize("tools", [HOUSE, (END, LIGHTS), (LIGHTS,)])
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Turn the lights red.", RED),
        ("turn the lights green", GREEN),
        ("Please turn the lights blue.", BLUE),
        ("Can you make the lights green, please?", GREEN),
        ("Could you turn the light's red?", RED),
        ("I want the lights to be green.", GREEN),
        ("I'd like you to turn the lights red.", RED),
        ("Okay, now turn the lights blue.", BLUE),
        ("No, turn the lights red.", RED),
        ("It's too dark in here, turn the lights blue.", BLUE),
        ("I can't see, turn the lights blue.", BLUE),
        ("I don't know. Turn the lights red.", RED),
        ("Turn the lights. Red.", RED),
        ("Red lights please.", RED),
        ("Turn the lights red, not green.", RED),
        ("Turn the lights from red to green.", GREEN),
        ("Do not turn the lights red. Turn the lights green.", GREEN),
        ("Do not turn them red but turn the lights green.", GREEN),
        (
            "Set the lights to blue at fifty percent.",
            ("set_lights", {"color": "blue", "level": 0.5}),
        ),
        ("Turn the lights red, level 0.25.", ("set_lights", {"color": "red", "level": 0.25})),
        # What a recogniser makes of it.
        ("Turn the lights read.", RED),
        ("Turn the lights blew.", BLUE),
        ("Turn the light screen.", GREEN),
        ("Turn the light spread.", RED),
        ("Turn the lightes red.", RED),
        ("Turn the lights bread.", RED),
    ],
)
def test_the_lights(
    said: str, wanted: tuple[str, dict[str, Any]], tools: tuple[Declaration, ...]
) -> None:
    assert calls(said, tools) == [wanted]


@pytest.mark.parametrize(
    ("said", "name", "given"),
    [
        ("Open the door.", "open_door", {}),
        ("Fill the room with fog at thirty percent for five seconds.", "fog",
         {"amount": 30, "seconds": 5}),
        ("Set the fog to 30%.", "fog", {"amount": 30}),
        ("Set the fog to a hundred percent for thirty-five seconds.", "fog",
         {"amount": 100, "seconds": 35}),
        ("Start the fountain in the garden.", "startFountain", {}),
        ("Stop the music.", "stop_music", {}),
        ("Stop playing the music.", "stop_music", {}),
        ("Play music.", "play_music", {}),
        ("Play the music at half volume in a loop.", "play_music", {"volume": 0.5, "loop": True}),
        ("When is the next show in the large hall?", "next_show", {"hall": "large"}),
        ("Search for blue whales.", "search", {"query": "blue whales"}),
        ('Search the archive for "the third man" please.', "search", {"query": "the third man"}),
        ("Show the text hello world.", "output_text_content", {"text": "hello world"}),
        ("Print a label with the note welcome home, amount three.", "print_label",
         {"note": "welcome home", "amount": 3}),
        ("What is the weather in Paris?", "weather", {"place": "Paris"}),
        ("Tell me the weather of New York.", "weather", {"place": "New York"}),
        ("Recall scene five.", "recall_scene", {"scene": 5}),
        ("Recall the third scene.", "recall_scene", {"scene": 3}),
        ("Switch the haze on.", "haze", {"enabled": True}),
        ("Turn off the haze machine.", "haze", {"enabled": False}),
        ("Blow the whale horn!", "fx_17", {}),
        ("End the conversation.", "end_conversation", {}),
    ],
)  # fmt: skip
def test_every_kind_of_slot(said: str, name: str, given: dict[str, Any]) -> None:
    assert calls(said) == [(name, given)]


@pytest.mark.parametrize(
    "said",
    [
        "Please do not turn the lights red.",
        "Don't turn the lights red.",
        "please dont turn the lights red",
        "Never turn the lights red.",
        "Do not, please, turn the lights red.",
        "Please do not. Turn the lights red.",
        "Turn the lights red. No, don't.",
        "Turn the lights red, please do not.",
        "You must not turn the lights red.",
        "I don't want the lights to be red.",
        "please do not turn the light spread",
        "Do not under any circumstances. Turn the lights red.",
        "Stop turning the lights red.",
        "Leave the lights alone.",
        "Don't stop the music.",
        "Bitte die lights nicht red.",
        "Why don't you turn the lights red?",
        "What does set lights do?",
        "Why are the lights red?",
        "Are the lights red?",
        "Did you turn the lights red?",
        "How do I open the door?",
        "Is the door open?",
        "Close the door.",
        "If you turn the lights red, I will leave.",
        "Tell me about the lights.",
        "He said that the lights are red.",
        "The lights are red.",
        "The red lights.",
        "I like the red lights.",
        "Red.",
        "Turn left.",
        "Turn the lights bright.",
        "Could you read me a poem?",
        "Hello, my name is Ada.",
        "Goodbye.",
        "What can you do?",
        "The fountain is beautiful.",
        "In the end.",
        "I enjoyed our conversation.",
        "Let us have a conversation about art.",
        "Have a conversation with me.",
        "When does the exhibition end?",
        "Let's play.",
        "Recall our first meeting.",
        "Shall I open the door?",
        "Open your heart.",
        "My friend said turn the lights red.",
        "The music stopped.",
        "Someone left the door open.",
        "",
        " .,?! ",
    ],
)
def test_nothing_is_called(said: str) -> None:
    assert calls(said) == []
    assert calls(said, (LIGHTS,)) == []


@pytest.mark.parametrize(
    "said",
    [
        # no as a word of its own, before and behind
        "No red lights.",
        "no red lights please",
        "no more red lights",
        "red lights no",
        "Red lights, no thanks.",
        "open the door no no no",
        "No need to open the door.",
        "No one opens the door.",
        "Anything but red lights.",
        "Turn the lights any colour but red.",
        "Rather than open the door, tell me a joke.",
        # taken back
        "Open the door? No!",
        "Open the door. Stop!",
        "Open the door. Wait, I changed my mind.",
        "Open the door, I was joking.",
        # somebody else's words
        'He said: "Turn the lights red."',
        '"Open the door" is what he shouted.',
        "Turn the lights red is forbidden.",
        "Please say open the door.",
        "Repeat after me: turn the lights red.",
        "Tell my wife to open the door.",
        "Let him open the door.",
        # another time, a condition
        "When I clap, turn the lights red.",
        "When the music stops, open the door.",
        "As soon as I clap, open the door.",
        "In case of fire, open the door.",
        "Should there be a fire, open the door.",
        "When the music stops. Open the door.",
        "My sister said. Open the door.",
        "Open the door if there is a fire.",
        "Open the door if there is a fire. Thank you.",
        "Hello. When I clap, turn the lights red. That is all.",
        "Turn the lights red tomorrow.",
        "Open the door next week.",
        # questions of another kind, remarks
        "Will the door open?",
        "Can the lights turn red?",
        "May I open the door?",
        "Would you ever open the door?",
        "Would you like to open the door?",
        "Could you have opened the door?",
        "Can you tell me why the lights are red?",
        "Could you tell me whether the door is open?",
        "Can you see the red lights?",
        "I would like to know who opened the door.",
        "Wow, red lights.",
        "Look at the red lights!",
        "Thanks for the red lights.",
        # the opposite
        "Turn off the fountain.",
        "Turn the red lights off.",
        "Make the lights less red.",
        "Remove the red lights.",
    ],
)
def test_what_only_sounds_like_a_command_calls_nothing(said: str) -> None:
    assert calls(said) == []
    assert calls(said, (LIGHTS, DOOR)) == []


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("no turn the lights red", RED),
        ("No. Turn the lights red.", RED),
        ("Turn the lights red. No, turn the lights green.", GREEN),
        ("Turn the lights green instead of red.", GREEN),
        ("Thanks, now turn the lights red.", RED),
        ("Can we have red lights?", RED),
        ("Can I have green lights, please?", GREEN),
        ("Turn the lights red if you can.", RED),
        ("Turn the lights red once.", RED),
        ("When I came in it was dark, turn the lights red.", RED),
        ("Let the lights turn red.", RED),
        ("Open the door. No hurry.", ("open_door", {})),
        ("Can you tell me when the next show begins in the large hall?",
         ("next_show", {"hall": "large"})),
        ("Show the text the door is open.", ("output_text_content", {"text": "the door is open"})),
    ],
)  # fmt: skip
def test_what_is_a_command_in_spite_of_such_words_is_called(
    said: str, wanted: tuple[str, dict[str, Any]]
) -> None:
    assert calls(said) == [wanted]


def test_a_tool_with_the_word_itself_is_not_held_back() -> None:
    bell = tool("ring_bell", "Ring the bell")
    later = tool("wake_up", "Ring the bell tomorrow morning")
    assert calls("Ring the bell.", (bell,)) == [("ring_bell", {})]
    assert calls("Ring the bell tomorrow.", (bell,)) == []
    assert calls("Ring the bell tomorrow morning.", (later,)) == [("wake_up", {})]


def test_of_a_long_speech_the_last_whole_sentences_count() -> None:
    speech = "and this and that " * 40
    assert calls(f"Do not {speech} turn the lights red") == []
    assert calls(f"I saw {speech}. Turn the lights red.") == [RED]


def test_two_wishes_are_two_calls() -> None:
    assert calls("Turn the lights red and open the door.") == [RED, ("open_door", {})]


def test_what_was_refused_is_told_from_what_is_no_matter_of_tools() -> None:
    assert isinstance(Intent().hear("Do not turn the lights red.", HOUSE, 0.0), Leave)
    assert Intent().hear("I do not know.", HOUSE, 0.0) is None


def dialogue(*said: str, tools: tuple[Declaration, ...] = HOUSE, pause_s: float = 3.0) -> list[Any]:
    """Return what is decided about each sentence."""
    intent = Intent()
    return [intent.hear(each, tools, n * pause_s) for n, each in enumerate(said)]


def done(name: str, **given: Any) -> tuple[Call, ...]:
    return (Call(name=name, arguments=given),)


def test_what_is_missing_is_asked_for_and_the_next_sentence_fills_it() -> None:
    asked, answered = dialogue("Turn the lights purple.", "Read.")
    assert asked == Ask(kind="choice", words={"slot": "color", "options": "red, green, blue"})
    assert answered == done("set_lights", color="red", level=1)
    asked, answered = dialogue("Set the level of the lights to 20 percent.", "Make it green.")
    assert asked.kind == "choice"
    assert answered == done("set_lights", color="green", level=0.2)
    asked, answered = dialogue("Search the archive.", "For old ships, please.")
    assert asked == Ask(kind="missing", words={"slot": "query"})
    assert answered == done("search", query="old ships")


@pytest.mark.parametrize(("answer", "strong"), [("Yes.", True), ("No.", False)])
def test_yes_and_no_are_asked_for_and_no_is_an_answer(answer: str, strong: bool) -> None:
    blow = tool("blow_bubbles", "Blow bubbles onto the stage", {"strong": {"type": "boolean"}})
    intent = Intent()
    asked = intent.hear("Blow bubbles onto the stage.", [blow], 0.0)
    assert asked == Ask(kind="whether", words={"slot": "strong"})
    called = intent.hear(answer, [blow], 3.0)
    assert called == (Call(name="blow_bubbles", arguments={"strong": strong}),)


def test_a_no_with_more_words_leaves_the_tool_alone() -> None:
    blow = tool("blow_bubbles", "Blow bubbles onto the stage", {"strong": {"type": "boolean"}})
    intent = Intent()
    intent.hear("Blow bubbles onto the stage.", [blow], 0.0)
    assert isinstance(intent.hear("No, leave it.", [blow], 3.0), Leave)


def test_a_number_out_of_range_is_asked_for_with_the_range() -> None:
    asked, again, answered = dialogue("Set the fog to 300.", "Two hundred.", "eighty")
    bounds = {"slot": "amount", "minimum": "0", "maximum": "100"}
    assert asked == again == Ask(kind="range", words=bounds)
    assert answered == done("fog", amount=80)
    asked, answered = dialogue("Recall scene two point five.", "for")
    assert asked.kind == "range"
    assert answered == done("recall_scene", scene=4)


def test_two_options_for_one_slot_are_asked_for() -> None:
    asked, answered = dialogue("Set the lights to red or green.", "The green one.")
    assert asked.kind == "choice"
    assert answered == done("set_lights", color="green", level=1)


def test_below_the_threshold_it_asks() -> None:
    asked, answered = dialogue("Show me the garden.", "Yes, please.")
    assert asked == Ask(kind="confirm", words={"tool": "Start the fountain in the garden"})
    assert answered == done("startFountain")
    assert isinstance(dialogue("Show me the garden.", "No.")[1], Leave)


LAMPS = (
    tool("left_lamp", "Set the lamp at the entrance", {"level": SHARE}),
    tool("right_lamp", "Set the lamp at the window", {"level": SHARE}),
)


@pytest.mark.parametrize("choice", ["The one at the window.", "The right one.", "The second."])
def test_between_two_it_asks_which(choice: str) -> None:
    asked, answered = dialogue("Set the lamp to half.", choice, tools=LAMPS)
    named = "Set the lamp at the entrance, Set the lamp at the window"
    assert asked == Ask(kind="which", words={"tools": named})
    assert answered == done("right_lamp", level=0.5)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Show me the garden.", "Please stop."),
        ("Show me the garden.", "Yeah right, forget it."),
        ("Show me the garden.", "Yes, but later."),
        ("Show me the garden.", "Okay, tell me a joke."),
        ("Show me the garden.", "Sure is cold in here."),
        ("Show me the garden.", "Exactly the opposite."),
        ("Show me the garden.", "Right, what is that?"),
        ("Turn the lights purple.", "I hate red."),
        ("Turn the lights purple.", "My sister wears a red dress."),
        ("Turn the lights purple.", "Is red possible?"),
        ("Turn the lights purple.", "She said red."),
        ("Turn the lights purple.", "Anything but red."),
        ("Recall a scene.", "I am five years old."),
        ("Recall a scene.", "We are three."),
        ("Recall a scene.", "One moment, please."),
        ("Set the lamp to half.", "The last time I was here."),
        ("Set the lamp to half.", "My first visit to a museum."),
    ],
)
def test_words_of_an_answer_that_stand_in_other_talk_are_none(question: str, answer: str) -> None:
    asked, answered = dialogue(question, answer, tools=(*HOUSE, *LAMPS))
    assert isinstance(asked, Ask)
    assert not isinstance(answered, tuple)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Show me the garden.", "Do it."),
        ("Show me the garden.", "Ja, bitte."),
        ("Show me the garden.", "Okay, start it."),
        ("Turn the lights purple.", "I'd take the red one, I guess."),
        ("Turn the lights purple.", "Red would be great."),
        ("Recall a scene.", "Number five, please."),
        ("Recall a scene.", "It is scene five."),
    ],
)
def test_an_answer_may_have_a_few_words_beside_it(question: str, answer: str) -> None:
    assert isinstance(dialogue(question, answer)[1], tuple)


def test_you_must_not_forbids_what_follows() -> None:
    assert calls("You must not 50%, set the door.") == []


def test_a_command_that_is_asked_back_is_asked_about() -> None:
    asked, answered = dialogue("Open the door?", "Yes.")
    assert asked == Ask(kind="confirm", words={"tool": "Open the door"})
    assert answered == done("open_door")
    assert calls("Open the door? Are you mad?") == []
    assert calls("Red lights, please?") == [RED]
    assert calls("Could you turn the lights red?") == [RED]
    assert calls("Search for blue whales?") == [("search", {"query": "blue whales"})]


def test_a_question_is_forgotten() -> None:
    assert dialogue("Turn the lights purple.", "Hello there!", "Red.")[1:] == [None, None]
    assert dialogue("Turn the lights purple.", "Red.", pause_s=PATIENCE_S + 1)[1] is None
    assert isinstance(dialogue("Turn the lights purple.", "Do not.")[1], Leave)
    assert dialogue("Turn the lights purple.", "Open the door.", "Red.")[1:] == [
        done("open_door"),
        None,
    ]
    intent = Intent()
    intent.hear("Turn the lights purple.", HOUSE, 0.0)
    assert intent.hear("Red.", (DOOR,), 1.0) is None, "the tool has gone meanwhile"


def test_a_tool_of_a_moment_ago_is_known() -> None:
    intent = Intent()
    assert intent.hear("Blow the whale horn.", (LIGHTS,), 0.0) is None
    assert intent.hear("Blow the whale horn.", (LIGHTS, HORN), 1.0) == done("fx_17")


def test_other_languages_go_by_the_words_of_the_description() -> None:
    licht = tool("licht", "Schalte das Licht auf eine Farbe", {"farbe": words("rot", "grün")})
    assert calls("Schalte das Licht auf grün.", (licht,)) == [("licht", {"farbe": "grün"})]
    assert calls("Schalte das Licht nicht auf grün.", (licht,)) == []


def test_a_persona_s_own_call_gets_arguments_too() -> None:
    assert json.loads(arguments("make it all red", LIGHTS)) == {"color": "red", "level": 1}
    assert arguments("lights", LIGHTS) == "{}"


def test_the_loud_and_the_unknown_are_asked_for() -> None:
    loud = tool("music", "Play music", {"style": words("jazz", "rock"), "volume": SHARE})
    (asked,) = dialogue("Play jazz music.", tools=(loud,))
    assert asked == Ask(kind="range", words={"slot": "volume", "minimum": "0", "maximum": "1"})
    softly = tool(
        "music", "Play music", {"style": words("jazz"), "volume": SHARE | {"default": 0.2}}
    )
    assert calls("Play jazz music.", (softly,)) == [("music", {"style": "jazz", "volume": 0.2})]


# --- whatever is declared, and whatever is said

NAMES = st.sampled_from(["color", "level", "fadeTime", "text", "on", "hall", "n", "to", "größe"])
TEXTS = st.sampled_from(
    sorted(word_set("red green blue warm_white up 3 on off the large née 日本"))
)
BOUND = st.integers(-300, 300) | st.floats(-2, 2, allow_nan=False)
PROPERTY = st.one_of(
    st.builds(lambda e: {"type": "string", "enum": e}, st.lists(TEXTS, min_size=1, max_size=4)),
    st.builds(lambda e: {"enum": e}, st.lists(TEXTS | BOUND | st.booleans(), min_size=1)),
    st.builds(
        lambda kind, a, b: {"type": kind, "minimum": min(a, b), "maximum": max(a, b)},
        st.sampled_from(["integer", "number"]), BOUND, BOUND,
    ),
    st.builds(
        lambda kind, key, a: {"type": kind, key: a},
        st.sampled_from(["integer", "number"]),
        st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]), BOUND,
    ),
    st.builds(lambda n, m: {"type": "string", "minLength": n, "maxLength": n + m},
              st.integers(0, 8), st.integers(0, 30)),
    st.just({"type": "boolean"}),
    st.just({"type": "boolean", "const": False}),
    st.just({"type": ["string", "null"], "description": "What is said"}),
    st.just({"anyOf": [{"type": "null"}, {"type": "integer", "maximum": 7}], "default": None}),
    st.just({"type": "number", "default": "wrong"}),
    st.just({"type": "array", "items": {"type": "string"}}),
    st.just({}),
)  # fmt: skip
WORDS = word_set(
    "turn set make the lights fog door color level red green blue warm white up on off open to and "
    "or from of not please three 3 0.5 50% -7 minus twenty hundred half maximum large hall text "
    "called hello what is if yes no first read it , . ? 日本 größe"
)
SAID = st.lists(st.sampled_from(sorted(WORDS)), max_size=14).map(" ".join)
WISHES = word_set("turn the lights red green and , on open door set fog to 50% please it now")


@st.composite
def declared(draw: st.DrawFn) -> Declaration:
    properties = draw(st.dictionaries(NAMES, PROPERTY, max_size=4))
    required = [name for name in properties if draw(st.booleans())]
    schema = {"type": "object", "properties": properties, "required": required}
    name, about = draw(
        st.sampled_from([("set_lights", "Turn the lights"), ("fog", "Make fog"), ("door", "Open")])
    )
    return Declaration(name=name, description=about, parameters=json.dumps(schema))


@settings(deadline=None, max_examples=150)
@given(st.lists(declared(), max_size=4, unique_by=lambda d: d.name), st.lists(SAID, max_size=4))
def test_whatever_is_called_fits_its_schema(tools: list[Declaration], said: list[str]) -> None:
    intent = Intent()
    by_name = {tool.name: tool.parameters for tool in tools}
    for sentence in said:
        found = intent.hear(sentence, tools, 0.0)
        for call in found if isinstance(found, tuple) else ():
            text = json.dumps(call.arguments)
            _, problem = schemas.arguments(schemas.read(by_name[call.name]), text)
            assert not problem, (sentence, call)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["do not", "please do not", "don't", "never", "you must not", "bitte nicht"]),
    st.lists(st.sampled_from(sorted(WISHES)), max_size=12).map(" ".join),
)
def test_what_is_negated_is_never_called(negation: str, said: str) -> None:
    assert calls(f"{negation} {said}") == []
    first = Intent()
    first.hear("Turn the lights purple.", HOUSE, 0.0)
    assert not isinstance(first.hear(f"{negation} {said}", HOUSE, 1.0), tuple)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=500), st.text(max_size=60), st.text(max_size=60), st.text(max_size=200))
def test_nothing_that_is_said_or_declared_raises(
    said: str, name: str, description: str, parameters: str
) -> None:
    odd = Declaration(name=name, description=description, parameters=parameters)
    titled = Declaration(name=name, description=description)
    intent = Intent()
    for each in (said, description, f"set {name} {said}", said):
        intent.hear(each, (odd, titled, LIGHTS, SEARCH, FOG), 0.0)
