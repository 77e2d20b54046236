"""A care record file is used whole, or refused with everything that is wrong in it."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.care.file import PROBLEMS_SHOWN_MAX, CareRecordError, read
from alerts.care.record import Limit
from tests.alerts.world import care_record, device, encoded


def problems(record: dict[str, Any]) -> str:
    with pytest.raises(CareRecordError) as refused:
        read(encoded(record))
    return str(refused.value)


def test_a_sound_file_is_read_whole() -> None:
    record = read(encoded(care_record()))
    assert [patient.key for patient in record.patients] == [
        "marta",
        "kalle",
        "ingrid",
        "sven",
        "olga",
    ]
    assert record.patients[0].plans[0].advice.red.startswith("Sitt ned")


def test_all_problems_are_told_at_once() -> None:
    record = care_record()
    record["staff"][0]["colour"] = "blue"
    record["patients"][1]["contact"] = "nobody"
    record["patients"][2]["plans"][0]["limits"][0]["red_high"] = 1000
    record["patients"][3]["loans"] = record["patients"][4]["loans"]
    record["gateways"].append("not a gateway")
    told = problems(record)
    assert "staff[0].colour" in told
    assert "'nobody' is not among the staff" in told
    assert "red_high 1000 is outside 40–300 mmHg" in told
    assert f"device {device('olga')}: lent to sven and to olga" in told
    assert "gateways[1]" in told


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ({}, "has no bound"),
        ({"yellow_high": 160, "red_high": 150}, "yellow_high 160 must not be above red_high 150"),
        ({"yellow_low": 90, "red_low": 100}, "red_low 100 must not be above yellow_low 90"),
        ({"yellow_low": 160, "yellow_high": 160}, "must be below"),
        ({"red_low": 170, "red_high": 160}, "must be below"),
        ({"yellow_high": 10}, "no value could reach it"),
        ({"yellow_high": float("nan")}, "no value could reach it"),
        ({"yellow_high": float("inf")}, "no value could reach it"),
        ({"yellow_high": "high"}, "valid number"),
    ],
)
def test_an_impossible_limit_is_refused(limit: dict[str, Any], problem: str) -> None:
    record = care_record()
    record["patients"][0]["plans"][0]["limits"] = [{"quantity": "systolic", **limit}]
    assert problem in problems(record)


def test_equal_bounds_on_one_side_are_possible() -> None:
    Limit.model_validate({"quantity": "systolic", "yellow_high": 160, "red_high": 160})


def test_a_quantity_nobody_knows_is_refused() -> None:
    record = care_record()
    record["patients"][0]["plans"][0]["limits"] = [{"quantity": "mood", "red_low": 1}]
    assert "patients[0].plans[0].limits[0].quantity" in problems(record)


def test_one_quantity_has_one_limit_in_a_plan() -> None:
    record = care_record()
    record["patients"][0]["plans"][0]["limits"] *= 2
    assert "stands more than once" in problems(record)


def test_slots_of_one_device_can_be_lent_apart() -> None:
    record = care_record()
    shared = {"device_id": "C4:99", "lent_from": "2026-01-01T00:00:00Z"}
    record["patients"][0]["loans"] = [{**shared, "slot": 1}]
    record["patients"][1]["loans"] = [{**shared, "slot": 2}]
    assert len(read(encoded(record)).patients) == 5
    record["patients"][1]["loans"] = [{**shared, "slot": None}]
    assert "C4:99: lent to marta and to kalle" in problems(record)


def test_a_returned_device_can_be_lent_again() -> None:
    record = care_record()
    record["patients"][0]["loans"] = [
        {
            "device_id": "C4:99",
            "lent_from": "2026-01-01T00:00:00Z",
            "returned_at": "2026-02-01T00:00:00Z",
        }
    ]
    record["patients"][1]["loans"] = [{"device_id": "C4:99", "lent_from": "2026-02-01T00:00:00Z"}]
    assert len(read(encoded(record)).patients) == 5


def test_a_loan_or_plan_without_a_time_zone_is_refused() -> None:
    record = care_record()
    record["patients"][0]["loans"][0]["lent_from"] = "2026-01-01T00:00:00"
    record["patients"][0]["plans"][0]["in_force_from"] = "2026-01-01T00:00:00"
    assert problems(record).count("timezone") == 2


def test_a_patient_without_contact_needs_a_unit() -> None:
    record = care_record()
    record["patients"][3]["unit"] = None
    assert "alerts must have somewhere to go" in problems(record)


def test_two_with_one_personal_number_or_user_name_are_refused_without_printing_it() -> None:
    record = care_record()
    record["patients"][1]["personal_number"] = record["patients"][0]["personal_number"]
    record["patients"][1]["born_on"] = record["patients"][0]["born_on"]
    record["patients"][2]["username"] = "anna"
    told = problems(record)
    assert "personal_number of 'marta'" in told
    assert "username 'anna'" in told
    assert record["patients"][0]["personal_number"] not in told


def test_a_password_never_stands_in_a_problem() -> None:
    record = care_record()
    record["staff"][0]["password"] = "kort"
    told = problems(record)
    assert "staff[0].password" in told
    assert "kort" not in told


def test_many_problems_are_counted_and_not_all_shown() -> None:
    record = care_record()
    record["gateways"] = ["å"] * 500
    assert problems(record).count("\n") == PROBLEMS_SHOWN_MAX
    assert "… and 400 more" in problems(record)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
    | st.dictionaries(
        st.sampled_from(["units", "staff", "gateways", "patients"]),
        st.lists(st.none() | st.text() | st.dictionaries(st.text(), st.text())),
    )
)
def test_any_json_is_a_record_or_refused(value: Any) -> None:
    with contextlib.suppress(CareRecordError):
        assert read(json.dumps(value).encode()).units is not None


@given(st.binary())
def test_any_bytes_are_a_record_or_refused(text: bytes) -> None:
    with contextlib.suppress(CareRecordError):
        assert read(text).units is not None
