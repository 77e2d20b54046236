"""A plan is whole or refused with a reason a nurse can read, and JSON keeps all of it."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.care.plan_spec import PlanSpec
from ingest.rules.refusal import refusals
from ingest.rules.templates import TEMPLATES

WEIGHT = {"quantity": "body_weight", "yellow_high": 78}
DAILY = {"kind": "missing", "quantity": "body_weight", "interval_h": 24}


def spec(**parts: Any) -> PlanSpec:
    return PlanSpec.model_validate({"limits": [WEIGHT], **parts})


def reasons(**parts: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        spec(**parts)
    return "\n".join(reason.sv for reason in refusals(refused.value))


@pytest.mark.parametrize("name", TEMPLATES)
def test_json_keeps_all_of_it(name: str) -> None:
    whole = PlanSpec(
        limits=TEMPLATES[name].limits,
        rules=TEMPLATES[name].rules,
        **PlanSpec.model_validate(
            {
                "limits": [WEIGHT],
                "advice": {"green": "Gå ut.", "yellow": "Ring Anna.", "red": "Ring 1177."},
                "schedule": [
                    {"quantity": "body_weight", "part": "morning"},
                    {"quantity": "systolic", "part": "evening"},
                ],
                "goals": "Orka till bäcken.",
                "reference": "SIP 2026-11",
                "review_on": "2027-05-01",
            }
        ).model_dump(exclude={"limits", "rules"}),
    )
    assert PlanSpec.model_validate(json.loads(json.dumps(whole.as_json()))) == whole


def test_a_plan_that_nothing_is_judged_by_is_refused() -> None:
    assert "ingenting skulle larma" in reasons(limits=[])


@pytest.mark.parametrize("weekdays", [[], [0], [8], [1, 1], [2, 1]])
def test_weekdays_are_told_once_and_in_order(weekdays: list[int]) -> None:
    schedule = [{"quantity": "body_weight", "weekdays": weekdays}]
    assert "Veckodagarna" in reasons(schedule=schedule)


def test_one_measurement_stands_once_in_a_part_of_the_day() -> None:
    morning = {"quantity": "body_weight", "part": "morning"}
    assert "mer än en gång" in reasons(schedule=[morning, {**morning, "weekdays": [1]}])
    assert len(spec(schedule=[morning, {**morning, "part": "evening"}]).schedule) == 2


@pytest.mark.parametrize(
    ("weekdays", "interval_h", "fits"),
    [
        ([1, 2, 3, 4, 5, 6, 7], 24, True),
        ([1, 2, 3, 4, 5], 24, False),  # from Friday to Monday
        ([1, 3, 5], 48, True),
        ([1, 3, 5], 24, False),
        ([3], 112, True),  # with its grace a week
        ([3], 111, False),
        ([7], 24, False),
    ],
)
def test_nobody_is_reminded_who_measures_as_the_schedule_says(
    weekdays: list[int], interval_h: int, fits: bool
) -> None:
    parts = {
        "rules": [{**DAILY, "interval_h": interval_h}],
        "schedule": [{"quantity": "body_weight", "weekdays": weekdays}],
    }
    if fits:
        assert spec(**parts).schedule
    else:
        assert "påmind fast hon följer schemat" in reasons(**parts)


def test_a_schedule_of_one_quantity_of_a_cuff_is_of_all_it_measures() -> None:
    pressure = {**DAILY, "quantity": "systolic"}
    monday = {"quantity": "diastolic", "weekdays": [1]}
    assert "påmind" in reasons(rules=[pressure], schedule=[monday])
    assert spec(rules=[pressure], schedule=[{"quantity": "body_weight", "weekdays": [1]}]).rules


def test_what_is_only_reminded_of_needs_no_schedule() -> None:
    assert spec(rules=[DAILY]).rules


@pytest.mark.parametrize(
    "parts",
    [
        {"goals": "x" * 2001},
        {"review_on": "snart"},
        {"advice": {"green": "", "yellow": "a", "red": "b"}},
        {"schedule": [{"quantity": "mood"}]},
        {"schedule": [{"quantity": "pulse", "part": "noon"}]},
        {"colour": "blue"},
    ],
)
def test_what_cannot_be_read_is_refused_by_its_field(parts: dict[str, Any]) -> None:
    assert next(iter(parts)) in reasons(**parts)
