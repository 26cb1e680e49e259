"""What parameters hold, when it counts, and who is told."""

from __future__ import annotations

import pytest

from voiced.messages import network as wire
from voiced.mind import effects, inputs
from voiced.mind.parameters import FOR_LEG, Parameters

from .hand import OSC, Hand, card

PAGE = [
    wire.ProviderParameter(name="hangover", tag="i", default=480, minimum=100, maximum=2000,
                           applies="now"),
    wire.ProviderParameter(name="persona", tag="s", default="host", options=["host", "guide"]),
    wire.ProviderParameter(name="token", tag="s", default="", secret=True),
]  # fmt: skip


def told(hand: Hand) -> list[tuple[str, str, object]]:
    return [(e.page, e.name, e.value) for e in hand.last if isinstance(e, effects.Told)]


def kept(hand: Hand) -> list[tuple[str, str, object]]:
    return [(e.page, e.name, e.value) for e in hand.last if isinstance(e, effects.Keep)]


def test_layers_default_config_kept() -> None:
    values = Parameters({("par", "Volume"): 0.5, ("par", "Micgain"): 2.0}, {("par", "Volume"): 0.7})
    assert values.value("par", "Talkmax") == 120
    assert values.value("par", "Micgain") == 2.0
    assert values.value("par", "Volume") == 0.7


def test_what_does_not_persist_is_not_restored() -> None:
    given = {("par", n): True for n in ("Talk",)} | {("par", "Inputtext"): "x", ("par", "No"): 1}
    values = Parameters({}, given)
    assert values.value("par", "Talk") is False
    assert values.value("par", "Inputtext") == ""


@pytest.mark.parametrize("name", ["Connect", "Displaycolor", "Nonsense"])
def test_what_holds_nothing_has_no_value(name: str) -> None:
    with pytest.raises(KeyError):
        Parameters({}, {}).value("par", name)


def test_a_write_is_told_and_kept_once() -> None:
    hand = Hand().start()
    hand.write("Talkmax", 7)
    assert told(hand) == [("par", "Talkmax", 7)]
    assert kept(hand) == [("par", "Talkmax", 7)]
    hand.write("Talkmax", 7)
    assert hand.last == []
    hand.write("Inputtext", "x")
    assert kept(hand) == []
    hand.write("Talkmax", 8, inputs.Origin(kind="config"))
    assert kept(hand) == []


def test_what_cannot_be_written_is_refused() -> None:
    hand = Hand().start()
    for name, code in (
        ("Nonsense", "unknown_address"),
        ("Connect", "unknown_address"),
        ("Sessionstate", "read_only"),
    ):
        hand.write(name, "x")
        assert [r.code for r in hand.refused()] == [code]


def test_config_only_values_come_by_the_config() -> None:
    hand = Hand().start()
    hand.write("Providersfolder", "/srv/providers", inputs.Origin(kind="config"))
    assert hand.agent.value("par", "Providersfolder") == "/srv/providers"


def test_model_and_voice_are_remembered_per_provider() -> None:
    hand = Hand(
        card("local"), card("other", models=["big"], voices=["zoe"]),
        values={("par", "Voice"): "anna"},
    ).start()  # fmt: skip
    hand.write("Model", "large")
    assert kept(hand) == [("local", "Model", "large")]
    hand.write("Provider", "other")
    assert ("par", "Model", "") in told(hand)
    assert ("par", "Voice", "") in told(hand)
    assert hand.callbacks("onProviderChange") == [("local", "other")]
    assert hand.agent.options("par", "Model") == ("big",)
    assert hand.agent.options("par", "Voice") == ("zoe",)
    assert hand.agent.options("par", "Sessionmode") == ("continuous", "one_turn", "push_to_talk")
    assert "other" in hand.agent.options("par", "Provider")
    assert hand.agent.options("par", "Nonsense") == ()
    hand.write("Voice", "zoe")
    hand.write("Provider", "local")
    assert ("par", "Model", "large") in told(hand)
    assert hand.agent.value("par", "Voice") == "anna"


def test_model_kept_for_a_provider_is_restored() -> None:
    hand = Hand(kept={("local", "Model"): "large"}).start()
    assert hand.agent.value("par", "Model") == "large"


def test_a_session_parameter_waits_and_a_refresh_does_not_apply_it() -> None:
    hand = Hand(card("local"), card("other")).start().connected()
    hand.write("Provider", "other")
    assert hand.callbacks("onStatus", hand.last) == [("pending", "Provider")]
    assert hand.callbacks("onProviderChange") == []
    assert hand.agent.value("par", "Provider") == "other"
    hand.closed()
    hand.sleep(1)
    assert hand.dialled[-1].provider == "local"
    hand.opened("replay")
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert hand.callbacks("onProviderChange") == [("local", "other")]
    hand.press("Connect")
    assert hand.dialled[-1].provider == "other"


def test_what_applies_now_goes_to_the_leg() -> None:
    hand = Hand(card(parameters=PAGE)).start()
    hand.write("hangover", 300, page="local")
    hand.connected()
    assert hand.dialled[0].parameters["hangover"] == 300
    assert hand.dialled[0].parameters["persona"] == "host"
    assert set(hand.dialled[0].parameters) == FOR_LEG | {"hangover", "persona"}
    hand.write("hangover", 500, page="local")
    assert hand.sent_of(wire.UpdateLeg) == [
        wire.UpdateLeg(agent="a", leg=1, parameters={"hangover": 500})
    ]
    hand.write("persona", "guide", page="local")
    assert hand.callbacks("onStatus", hand.last) == [("pending", "persona")]
    hand.write("Bargein", "on")
    assert len(hand.sent_of(wire.UpdateLeg)) == 2
    hand.write("Talkmax", 3)
    assert len(hand.sent_of(wire.UpdateLeg)) == 2


def test_provider_pages_are_there_once_the_catalogue_is() -> None:
    hand = Hand(card(parameters=PAGE), values={("local", "hangover"): 300})
    hand.give(inputs.Started(connect=False))
    hand.write("hangover", 200, page="local")
    assert hand.refused()
    hand.network(up=True)
    row = hand.agent.row("local", "hangover")
    assert row is not None
    assert (row.page, row.minimum) == ("Local", 100)
    assert hand.agent.value("local", "hangover") == 300
    assert hand.agent.options("local", "persona") == ("host", "guide")
    assert set(hand.agent.pages()["local"]) == {"hangover", "persona", "token"}
    assert hand.agent.row("par", "Volume") is not None
    assert hand.agent.row("nobody", "x") is None


def test_a_key_goes_to_the_network_and_nowhere_else() -> None:
    hand = Hand(card("local"), card("cloud", key_server="cloud", parameters=PAGE))
    hand.give(inputs.Started(connect=False))
    hand.write("Apikey", "secret-words")
    assert hand.refused()[0].code == "busy"
    hand.network(up=True)
    hand.write("Apikey", "secret-words")
    assert hand.refused()[0].code == "no_effect"
    hand.write("Provider", "cloud")
    assert hand.agent.value("par", "Apikey") == 0
    hand.write("Apikey", "secret-words")
    assert hand.sent_of(wire.SetKey) == [wire.SetKey(server="cloud", key="secret-words")]
    assert told(hand) == [("par", "Apikey", 1)]
    assert kept(hand) == []
    hand.write("token", "secret-words", page="cloud")
    assert told(hand) == [("cloud", "token", 1)]
    assert hand.agent.value("cloud", "token") == 1
    hand.press("Connect")
    assert "secret-words" not in repr(hand.dialled)
    hand.write("Apikey", "")
    assert told(hand) == [("par", "Apikey", 0)]


def test_pricing_follows_the_choice() -> None:
    hand = Hand().start()
    assert hand.told["par", "Pricing"] == "~in 0.060 USD/min out 0.600 USD/min"
    hand.write("Model", "large")
    assert hand.told["par", "Pricing"] == "~dear"
    hand.write("Provider", "gemini_live")
    assert hand.told["par", "Pricing"] == ""
    assert hand.agent.options("par", "Model") == ()


def test_unheard_of_providers_are_refused_with_a_sentence() -> None:
    for provider, word in (("gemini_live", "no provider"), ("broken", "pip install")):
        hand = Hand(
            card(), card("broken", available=False, reason="pip install it"),
        ).start()  # fmt: skip
        hand.write("Provider", provider)
        hand.press("Connect")
        assert hand.state == "disconnected"
        assert hand.agent.value("par", "Active") is False
        ((source, _code, sentence),) = hand.callbacks("onError")
        assert source == "provider"
        assert word in sentence
        assert hand.agent.rows[-1].role == "error"
        assert hand.callbacks("onSessionEnd") == []
        assert OSC.kind == "osc"


def test_only_the_configuration_gives_a_leg_its_endpoint() -> None:
    place = ("local", "endpoint")
    given = Parameters({place: "ws://127.0.0.1:1"}, {})
    assert given.for_leg()["endpoint"] == "ws://127.0.0.1:1"
    assert "endpoint" not in Parameters({}, {place: "ws://127.0.0.1:1"}).for_leg()
