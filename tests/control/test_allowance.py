"""Budgets over days and months: what counts, and that no clock gets round them."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.control.allowance import Allowance, Now
from voiced.control.config.model import BudgetConfig
from voiced.control.ledger import Booking

NOON = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0
BUDGET = BudgetConfig(day=1.0, month=3.0)


def utc(unix: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(unix, datetime.UTC)


def at(unix: float = NOON, boot_s: float = 1000.0, boot: str = "this") -> Now:
    return Now(unix, boot, boot_s)


def booking(unix: float, usd: float, boot: str = "", boot_s: float = 0.0) -> Booking:
    return Booking(
        time="", unix=unix, agent="a", session_id="s", provider="p", model="m", usd=usd,
        boot=boot, boot_s=boot_s,
    )  # fmt: skip


def allowance(*bookings: Booking, budget: BudgetConfig = BUDGET) -> Allowance:
    return Allowance(budget, bookings, at(), utc)


def test_without_a_budget_nothing_is_counted() -> None:
    none = allowance(booking(NOON, 99.0), budget=BudgetConfig())
    assert none.left(at()).usd == math.inf


def test_the_smallest_remainder_counts_and_names_its_budget() -> None:
    today = allowance(booking(NOON - HOUR, 0.75))
    assert today.left(at()).usd == pytest.approx(0.25)
    assert today.left(at(), 0.5).usd == pytest.approx(-0.25)
    assert today.left(at()).sentence.startswith("budget.day (1 USD) is spent")
    month = allowance(*(booking(NOON - n * DAY, 0.9) for n in range(4)))
    assert month.left(at()).usd == pytest.approx(3.0 - 3.6)
    assert month.left(at()).sentence.startswith("budget.month (3 USD) is spent")


def test_a_busy_month_is_kept_by_the_minute() -> None:
    """Every reply books: what is kept of them must not grow with their number."""
    busy = allowance()
    for n in range(20_000):
        busy.booked(booking(NOON + n * 0.06, 0.00001, "this", 1000.0 + n * 0.06))
    assert len(busy._minutes) == 20
    assert busy.left(at(NOON + HOUR, 1000.0 + HOUR)).usd == pytest.approx(0.8)
    again = allowance(*(booking(NOON + n * 60.0, 0.1) for n in range(60_000)))
    assert len(again._minutes) == 32 * 24 * 60


def test_a_day_ends_when_the_config_says() -> None:
    four = NOON - 8 * HOUR
    spent = allowance(booking(four - 1, 0.5), booking(four, 0.25))
    assert spent.left(at()).usd == pytest.approx(0.75)
    assert spent.left(at(four - 1)).usd == pytest.approx(1.0 - 0.75)


def test_what_is_booked_meanwhile_counts_at_once() -> None:
    one = allowance()
    assert one.left(at()).usd == 1.0
    one.booked(booking(NOON, 0.75, "this", 1000.0))
    assert one.left(at()).usd == pytest.approx(0.25)


def test_a_clock_set_forward_brings_no_money() -> None:
    one = allowance(booking(NOON - HOUR, 0.75, "this", 1000.0))
    tomorrow = at(NOON + DAY, 1010.0)
    assert one.left(tomorrow).usd == pytest.approx(0.25), "ten seconds have passed, not a day"
    assert one.left(at(NOON + 40 * DAY, 1020.0)).usd == pytest.approx(0.25)


def test_a_day_that_has_passed_brings_its_money() -> None:
    one = allowance(booking(NOON - HOUR, 0.75, "this", 1000.0))
    assert one.left(at(NOON + DAY, 1000.0 + HOUR + DAY)).usd == pytest.approx(1.0)


def test_a_clock_set_back_brings_no_money() -> None:
    one = allowance(booking(NOON, 0.75, "this", 1000.0))
    assert one.left(at(NOON - DAY, 1010.0)).usd == pytest.approx(0.25)
    assert one.left(at(NOON - 60 * DAY, 1020.0)).usd == pytest.approx(0.25)


def test_of_another_run_of_the_machine_only_the_date_is_known() -> None:
    one = allowance(booking(NOON - DAY, 0.75, "before", 990.0))
    assert one.left(at()).usd == pytest.approx(1.0)


def test_other_limits_find_the_same_money_spent() -> None:
    one = allowance(booking(NOON - HOUR, 0.75))
    assert one.left(at()).usd == pytest.approx(0.25)
    one.configure(BudgetConfig(day=0.5))
    assert one.left(at()).usd == pytest.approx(-0.25)


@given(st.lists(st.tuples(st.floats(-400_000, 0), st.floats(0, 1)), max_size=30))
def test_counting_as_it_comes_equals_counting_anew(made: list[tuple[float, float]]) -> None:
    bookings = [booking(NOON + age, usd, "this", 500_000.0 + age) for age, usd in sorted(made)]
    running = Allowance(BUDGET, [], at(NOON - 400_000, 100_000.0), utc)
    for each in bookings:
        running.left(at(each.unix, each.boot_s))
        running.booked(each)
    anew = Allowance(BUDGET, bookings, at(NOON, 500_000.0), utc)
    now = at(NOON, 500_000.0)
    assert running.left(now).usd == pytest.approx(anew.left(now).usd)
