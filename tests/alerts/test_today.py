"""The patient's box says how it is and what to do, and never more than is known."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from alerts.care.plan import Advice
from alerts.case import Case
from alerts.measurements import Measured
from alerts.today import today
from devices.quantity import Quantity

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LIMITED = {Quantity.BODY_WEIGHT}
ADVICE = Advice(
    in_force_from=NOW,
    agreed_how="",
    green="Mät i morgon.",
    yellow="Vila.\nMät igen.",
    red="Ring Anna.\n\n  Ring 112 om det blir värre.  ",
)


def reading(ago: timedelta = timedelta(hours=1), **more: Any) -> Measured:
    facts: dict[str, Any] = {
        "reading_id": "1",
        "device_id": "scale",
        "measured_at": NOW - ago,
        "arrived_at": NOW - ago,
        "failed": False,
        "suspect": False,
        "level": 0,
        "by_id": {"5": 75.8},
    }
    return Measured(**{**facts, **more})


def case(level: int, **more: Any) -> Case:
    facts: dict[str, Any] = dict.fromkeys(Case.__dataclass_fields__)
    facts |= {"level": level, "state": "open", "born_on": date(1944, 1, 1), "findings": []}
    facts["rule"] = "limit:blood_pressure"
    return Case(**{**facts, **more})


def finding(quantity_id: int, side: str) -> dict[str, Any]:
    return {"quantity_id": quantity_id, "side": side, "value": 1.0, "bound": 1.0, "detail": {}}


def test_values_in_range_today_are_said_to_be() -> None:
    said = today([], [reading()], ADVICE, LIMITED, NOW)
    assert (said.level, said.headline) == (0, "Dina värden i dag ligger inom dina gränser.")
    assert list(said.steps) == ["Mät i morgon."]


def test_values_of_yesterday_say_nothing_of_today() -> None:
    said = today([], [reading(timedelta(hours=30))], ADVICE, LIMITED, NOW)
    assert said.headline == "Inga värden har kommit i dag än."


def test_nothing_measured_ever_is_no_false_comfort() -> None:
    assert today([], [], ADVICE, LIMITED, NOW).headline == "Inga värden har kommit i dag än."


def test_a_red_alert_says_what_to_do_in_the_plans_own_words() -> None:
    said = today([case(1), case(2)], [reading(level=2)], ADVICE, LIMITED, NOW)
    assert said.level == 2
    assert said.headline == "Ett värde ligger utanför dina gränser. Gör så här:"
    assert list(said.steps) == ["Ring Anna.", "Ring 112 om det blir värre."]


@pytest.mark.parametrize(
    ("findings", "headline"),
    [
        ([(1, "high"), (2, "high")], "Ditt blodtryck är högre än din gräns. Gör så här:"),
        ([(1, "low")], "Ditt blodtryck är lägre än din gräns. Gör så här:"),
        ([(5, "high")], "Din vikt är högre än din gräns. Gör så här:"),
        ([(1, "low"), (2, "high")], "Ett värde ligger utanför dina gränser. Gör så här:"),
        ([(999, "high")], "Ett värde ligger utanför dina gränser. Gör så här:"),
    ],
)
def test_it_says_what_is_beyond_the_limit(findings: list[tuple[int, str]], headline: str) -> None:
    red = case(2, findings=[finding(*each) for each in findings])
    assert today([case(1), red], [reading(level=2)], ADVICE, LIMITED, NOW).headline == headline


@pytest.mark.parametrize(
    ("rule", "headline"),
    [
        ("trend:body_weight", "Dina värden har ändrats mer än det som är avtalat i din plan."),
        ("missing:blood_pressure", "Det saknas en mätning enligt din plan."),
        ("composite:heart", "Ett värde ligger utanför dina gränser."),
    ],
)
def test_it_says_what_is_no_limit_otherwise(rule: str, headline: str) -> None:
    found = case(1, rule=rule, findings=[finding(5, "")])
    said = today([found], [reading()], ADVICE, LIMITED, NOW)
    assert said.headline == f"{headline} Gör så här:"


def test_a_red_value_that_waits_for_a_repeat_asks_for_one() -> None:
    said = today([], [reading(repeat_asked=True)], ADVICE, LIMITED, NOW)
    assert said.headline == "Mät gärna en gång till."


@pytest.mark.parametrize("doubt", ["repeat_asked", "suspect"])
def test_what_another_device_says_later_does_not_make_it_well(doubt: str) -> None:
    steps = reading(timedelta(minutes=1), device_id="watch")
    waiting = reading(timedelta(minutes=9), device_id="cuff", by_id={"1": 192.0}, **{doubt: True})
    said = today([], [steps, waiting], ADVICE, {*LIMITED, Quantity.SYSTOLIC}, NOW)
    assert (said.headline, said.is_judged) == ("Mät gärna en gång till.", False)


def test_what_waits_for_a_repeat_asks_for_one_whatever_the_same_device_says_after() -> None:
    odd = reading(timedelta(minutes=1), device_id="cuff", by_id={"1": 120.0})
    waiting = reading(timedelta(minutes=9), device_id="cuff", repeat_asked=True)
    assert today([], [odd, waiting], ADVICE, LIMITED, NOW).unusual


def test_a_doubt_is_over_when_its_own_device_measures_well_or_the_day_ends() -> None:
    doubted = reading(timedelta(hours=1), device_id="cuff", suspect=True)
    well = reading(timedelta(minutes=5), device_id="cuff")
    assert not today([], [well, doubted], ADVICE, LIMITED, NOW).unusual
    yesterday = reading(timedelta(hours=30), device_id="cuff", suspect=True)
    assert not today([], [reading(), yesterday], ADVICE, LIMITED, NOW).unusual


def test_a_yellow_alert_has_its_own_steps() -> None:
    said = today([case(1)], [reading(level=1)], ADVICE, LIMITED, NOW)
    assert (said.level, list(said.steps)) == (1, ["Vila.", "Mät igen."])


def test_a_value_outside_its_limit_is_not_called_inside_when_the_alert_has_ended() -> None:
    said = today([], [reading(level=2)], ADVICE, LIMITED, NOW)
    assert said.headline == "Vården har sett dagens värden och avslutat larmet."


def test_a_failed_measurement_is_told_and_is_no_value() -> None:
    said = today(
        [], [reading(failed=True, by_id={}), reading(timedelta(hours=2))], ADVICE, LIMITED, NOW
    )
    assert said.failed is not None
    assert said.headline == "Mät gärna en gång till."


def test_an_unusual_value_asks_for_another_and_gives_no_verdict() -> None:
    said = today([], [reading(suspect=True)], ADVICE, LIMITED, NOW)
    assert said.unusual
    assert said.headline == "Mät gärna en gång till."


def test_a_value_that_has_no_limit_is_not_said_to_be_within_it() -> None:
    steps = reading(by_id={"6": 3412.0})
    assert today([], [steps], ADVICE, LIMITED, NOW).headline == "Dagens värden har kommit fram."
    said = today([], [steps, reading()], ADVICE, LIMITED, NOW)
    assert said.headline == "Dina värden i dag ligger inom dina gränser."


def test_a_failed_measurement_is_told_until_its_own_device_measures() -> None:
    failed = reading(timedelta(hours=1), device_id="cuff", failed=True, by_id={})
    steps = reading(timedelta(minutes=1), device_id="watch", by_id={"6": 3412.0})
    assert today([], [steps, failed], ADVICE, LIMITED, NOW).failed is failed
    mended = reading(timedelta(minutes=2), device_id="cuff")
    assert today([], [steps, mended, failed], ADVICE, LIMITED, NOW).failed is None


def test_a_failure_of_yesterday_is_history_when_something_was_measured_since() -> None:
    failed = reading(timedelta(hours=30), device_id="cuff", failed=True, by_id={})
    assert today([], [reading(), failed], ADVICE, LIMITED, NOW).failed is None


def test_a_measurement_that_failed_or_is_doubted_is_not_green() -> None:
    for doubted in (reading(failed=True, by_id={}), reading(suspect=True)):
        assert not today([], [doubted], ADVICE, LIMITED, NOW).is_judged
        assert today([case(2)], [doubted], ADVICE, LIMITED, NOW).is_judged
    assert today([], [reading()], ADVICE, LIMITED, NOW).is_judged
