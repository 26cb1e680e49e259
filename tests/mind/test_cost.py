import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from voiced.messages.network import Meter, Price, Usage
from voiced.mind.cost import (
    LEGS_KEPT,
    Cost,
    LegCost,
    dearest,
    price_of,
    pricing_text,
    told_usd,
    usd_text,
)

from .hand import card


def leg(number: int = 1, *, wallclock: bool = False, **price: float) -> LegCost:
    return LegCost(
        leg=number, session_id="s", provider="p", model="m", price=Price(**price),
        wallclock=wallclock,
    )  # fmt: skip


def meter(sent: float = 0, received: float = 0, connected: float = 0) -> Meter:
    return Meter(
        agent="a", leg=1, seconds_sent=sent, seconds_received=received, connected_s=connected,
        response_running=True, rx_age_s=0,
    )  # fmt: skip


def usage(usd: float) -> Usage:
    return Usage(agent="a", leg=1, response="r", usd=usd)


def test_pending_is_replaced_by_the_services_account() -> None:
    cost, one = Cost(), leg(input_usd_min=0.06, output_usd_min=0.6)
    cost.open_leg(one)
    assert one.meter(meter(received=0.7)) == 0
    assert (cost.booked, cost.pending) == (0, pytest.approx(0.007))
    assert one.usage(usage(0.02)) == 0.02
    assert (cost.booked, cost.pending) == (0.02, 0)
    one.meter(meter(sent=5, received=0.7))
    assert cost.conversation == pytest.approx(0.025)
    assert one.end() == pytest.approx(0.005)
    # The service's late account of what was booked as pending is not counted twice.
    assert one.usage(usage(0.03)) == pytest.approx(0.025)
    assert one.usage(usage(0.03)) == pytest.approx(0.03)


def test_an_account_covers_all_audio_that_came_before_it() -> None:
    """A reply's sound comes in one burst: its account overtakes the next figures."""
    one = leg(input_usd_min=0.06, output_usd_min=0.6)
    one.meter(meter(sent=3, received=0.2))
    account = Usage(agent="a", leg=1, response="r", usd=0.02, seconds_received=2.5)
    booked = one.usage(account)
    one.meter(meter(sent=3, received=2.5))
    assert (booked, one.pending) == (0.02, pytest.approx(0))
    assert one.end() == pytest.approx(0)
    # Sound of the next reply counts again.
    one.meter(meter(sent=3, received=3.0))
    assert one.pending == pytest.approx(0.005)


def test_a_running_response_is_booked_by_the_second() -> None:
    cost, one = Cost(), leg(input_usd_min=0.06, output_usd_min=0.6)
    cost.open_leg(one)
    assert one.meter(meter(sent=10, received=10)) == pytest.approx(0.11)
    assert one.meter(meter(sent=10, received=10.5)) == 0
    assert cost.conversation == pytest.approx(0.115)
    assert one.usage(usage(0.2)) == pytest.approx(0.09)
    assert (cost.booked, cost.pending) == (pytest.approx(0.2), 0)
    # Too much was assumed: what is booked stands, and the next account is held against it.
    one.meter(meter(sent=10, received=20.5))
    assert one.usage(usage(0.06)) == 0
    assert cost.booked == pytest.approx(0.3)
    assert one.usage(usage(0.06)) == pytest.approx(0.02)


def test_what_a_reply_has_read_is_booked_with_its_first_sound_and_replaced_by_the_account() -> None:
    one = leg(output_usd_min=0.6, told_usd_million=4.0)
    one.again = told_usd(one.price, 16_000)
    assert one.again == pytest.approx(0.016)
    assert one.meter(meter(received=0.5)) == 0
    assert one.pending == pytest.approx(0.021)
    assert one.meter(meter(received=1)) == pytest.approx(0.026)
    assert one.meter(meter(received=2)) == pytest.approx(0.01), "it is read once"
    assert one.pending == 0
    # Nothing is counted twice, neither by the account nor where the leg ends under the reply.
    assert one.usage(usage(0.04)) == pytest.approx(0.004)
    assert one.end() == 0


def test_a_leg_that_ends_under_its_first_reply_has_cost_what_that_had_read() -> None:
    cost = Cost()
    one, two = leg(told_usd_million=4.0), leg(2, told_usd_million=4.0)
    one.again, two.again = 0.016, 0.02
    cost.open_leg(one)
    one.meter(meter())
    assert one.end() == pytest.approx(0.016)
    # The next leg is told more; of what each would say the dearer counts.
    cost.open_leg(two)
    assert cost.again == pytest.approx(0.02)


def test_silence_takes_no_tokens() -> None:
    one = leg(input_usd_min=0.06, output_usd_min=0.6)
    quiet = Meter(
        agent="a", leg=1, seconds_sent=3600.0, seconds_received=0.0, connected_s=3600.0,
        response_running=False, rx_age_s=0.0,
    )  # fmt: skip
    assert one.meter(quiet, idle=True) == 0
    assert one.pending == 0
    for sent in (3600.1, 3600.3, 3600.7):
        one.meter(msgspec.structs.replace(quiet, seconds_sent=sent), idle=True)
        assert one.pending == 0, "what floating point leaves is no money"
    one.meter(meter(sent=3605.7))
    assert one.pending == pytest.approx(0.005)


def test_time_on_the_wire_is_booked_as_it_passes() -> None:
    one = leg(wallclock=True, wallclock_usd_min=0.06)
    assert one.meter(meter(connected=0.5)) == 0
    assert one.pending == pytest.approx(0.0005)
    assert one.meter(meter(connected=2)) == pytest.approx(0.002)
    assert one.pending == 0
    assert one.usage(usage(1.0)) == 0
    assert one.meter(meter(connected=2.5)) == 0
    assert one.end() == pytest.approx(0.0005)


def test_conversation_goes_over_legs_and_session_does_not() -> None:
    cost = Cost()
    assert cost.seconds == (0, 0)
    assert cost.session_shown == 0
    for number in range(1, LEGS_KEPT + 5):
        one = leg(number, input_usd_min=60.0)
        cost.open_leg(one)
        one.meter(meter(sent=1))
        assert cost.session_shown == 1
        assert cost.seconds == (1, 0)
        one.end()
        assert cost.booked == cost.conversation_shown == number
    assert cost.leg(1) is None
    cost.start_conversation(100)
    assert (cost.booked, cost.conversation_shown, cost.session_shown) == (0, 0, 0)
    cost.open_leg(leg(100))
    assert cost.booked == 0


def test_reset_zeroes_the_readouts_only() -> None:
    cost, one = Cost(), leg(input_usd_min=60.0)
    cost.open_leg(one)
    one.meter(meter(sent=2))
    cost.reset_readouts()
    assert (cost.conversation_shown, cost.session_shown) == (0, 0)
    assert cost.conversation == 2
    one.meter(meter(sent=3))
    assert (cost.conversation_shown, cost.session_shown) == (1, 1)


@given(st.lists(st.one_of(st.floats(0, 1000), st.floats(-1, 10).map(lambda u: ("usage", u)))))
def test_booked_never_falls(course: list[object]) -> None:
    one, before = leg(input_usd_min=0.1, wallclock_usd_min=0.1), 0.0
    for step in course:
        if isinstance(step, float):
            added = one.meter(meter(sent=step, connected=step))
        else:
            added = one.usage(usage(step[1]))  # type: ignore[index]
        assert added >= 0
        assert one.booked == pytest.approx(before + added)
        before = one.booked
        assert one.pending >= 0


def test_pricing_in_words() -> None:
    one = card(
        pricing={
            "small": Price(input_usd_min=0.005, output_usd_min=0.018),
            "timed": Price(wallclock_usd_min=0.05, verified=False),
            "written": Price(text="~in 0.005 USD/min out 0.018 USD/min"),
            "local": Price(),
        }
    )
    assert pricing_text(one, "small") == "~in 0.005 USD/min out 0.018 USD/min"
    assert pricing_text(one, "timed") == "~connected 0.050 USD/min (unverified)"
    assert pricing_text(one, "written") == "~in 0.005 USD/min out 0.018 USD/min"
    assert pricing_text(one, "local") == "free"
    assert pricing_text(one, "odd").startswith("no price known for odd; under a budget")
    assert pricing_text(card(pricing={}), "") == "no price known for this model"
    assert price_of(one, "odd") is None
    assert dearest(one) == one.pricing["timed"]
    assert dearest(card(pricing={})) is None
    assert usd_text(0.5) == "$0.50000"
