"""A month of twelve bodies: the same from the same seed, plausible, and gone wrong in two."""

from dataclasses import fields
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from devices.quantity import Quantity
from simulator.demo.place import SEED
from simulator.people import PEOPLE, Kit, person_named
from simulator.physiology import (
    KITS,
    PULSE_PRESSURE_MMHG_MIN,
    SCALE_STEP_KG,
    History,
    history,
    pressure_now,
    weight_now_kg,
)

ZONE = ZoneInfo("Europe/Stockholm")
LAST_DAY = date(2026, 11, 22)
QUANTITIES = {
    Quantity.SYSTOLIC: "systolic_mmhg",
    Quantity.DIASTOLIC: "diastolic_mmhg",
    Quantity.PULSE: "pulse_per_min",
    Quantity.BODY_WEIGHT: "weight_kg",
    Quantity.STEPS: "steps",
}


def month(seed: int = SEED, *, days: int = 30, last_day: date = LAST_DAY) -> History:
    return history(PEOPLE, seed=seed, last_day=last_day, days=days, zone=ZONE)


def of(one: History, key: str, kit: Kit) -> History:
    person = PEOPLE.index(person_named(key))
    return one.where((one.person == person) & (one.kit == KITS.index(kit)))


def local_hours(one: History) -> list[int]:
    moments = (moment.astype(datetime).replace(tzinfo=UTC) for moment in one.measured_at)
    return [moment.astimezone(ZONE).hour for moment in moments]


def test_the_same_seed_gives_the_same_columns() -> None:
    first, second = month(), month()
    for field in fields(History):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))


def test_another_seed_gives_other_values() -> None:
    assert not np.array_equal(
        month().systolic_mmhg[:20], month(SEED + 1).systolic_mmhg[:20], equal_nan=True
    )


def test_rows_come_in_order_of_time() -> None:
    assert (np.diff(month().measured_at.astype(np.int64)) >= 0).all()


def test_a_row_has_the_values_of_its_device_and_no_others() -> None:
    one = month()
    for kit, names in (
        (Kit.CUFF, {"systolic_mmhg", "diastolic_mmhg", "pulse_per_min"}),
        (Kit.SCALE, {"weight_kg"}),
        (Kit.STEPS, {"steps"}),
    ):
        rows = one.where(one.kit == KITS.index(kit))
        for name in QUANTITIES.values():
            assert np.isnan(getattr(rows, name)).all() == (name not in names)


def test_people_use_the_devices_they_were_lent() -> None:
    one = month()
    for number, person in enumerate(PEOPLE):
        used = {KITS[kit] for kit in one.kit[one.person == number]}
        assert used == set(person.kit)


@pytest.mark.parametrize("seed", range(20))
def test_every_value_is_plausible(seed: int) -> None:
    one = month(seed)
    for quantity, name in QUANTITIES.items():
        values = getattr(one, name)
        values = values[~np.isnan(values)]
        assert values.min() >= quantity.facts.soft_low
        assert values.max() <= quantity.facts.soft_high
    cuff = one.where(~np.isnan(one.systolic_mmhg))
    assert (cuff.systolic_mmhg - cuff.diastolic_mmhg).min() >= PULSE_PRESSURE_MMHG_MIN


def test_pressures_move_together_and_are_higher_in_the_morning() -> None:
    one = of(month(days=365), "leila", Kit.CUFF)
    assert np.corrcoef(one.systolic_mmhg, one.diastolic_mmhg)[0, 1] > 0.4
    morning = np.array(local_hours(one)) < 12
    assert one.systolic_mmhg[morning].mean() > one.systolic_mmhg[~morning].mean() + 3


def test_people_differ_by_their_own_means() -> None:
    one = month(days=90)
    for person in PEOPLE:
        if not person.body.worsens_for_days:
            shown = of(one, person.key, Kit.CUFF).systolic_mmhg
            assert shown.mean() == pytest.approx(person.body.systolic_mmhg, abs=3)


def test_steps_follow_the_week() -> None:
    one = of(month(days=365), "mehmet", Kit.STEPS)
    weekday = (one.measured_at.astype("datetime64[D]").astype(int) + 3) % 7
    assert one.steps[weekday == 6].mean() < 0.85 * one.steps[weekday == 4].mean()


def test_weight_stands_on_the_steps_of_the_scale_and_swings_little_from_day_to_day() -> None:
    shown = of(month(days=365), "karin", Kit.SCALE).weight_kg
    np.testing.assert_allclose(shown / SCALE_STEP_KG, np.rint(shown / SCALE_STEP_KG), atol=1e-6)
    assert 0.1 < np.abs(np.diff(shown)).mean() < 1.0


def test_measurements_are_missed_as_often_as_the_person_misses_them() -> None:
    one = month(days=365)
    for key in ("lars", "astrid"):
        done = len(of(one, key, Kit.CUFF)) / (2 * 365)
        assert done == pytest.approx(person_named(key).body.adherence, abs=0.05)


def test_who_was_away_has_a_gap_of_that_many_days() -> None:
    one = month()
    for key in ("ingrid", "sven", "mehmet"):
        days = np.unique(of(one, key, Kit.CUFF).measured_at.astype("datetime64[D]"))
        longest = np.diff(days).max().astype(int) - 1
        assert longest >= person_named(key).body.gap_days


def test_the_heart_failure_gains_weight_and_walks_less_at_the_end() -> None:
    one = month()
    weight, steps = of(one, "marta", Kit.SCALE).weight_kg, of(one, "marta", Kit.STEPS).steps
    assert weight[-1] - np.median(weight[:20]) > 1.4
    assert np.mean(steps[-3:]) < 0.85 * np.median(steps[:20])


def test_only_the_two_who_get_worse_breach_their_limits_and_lately() -> None:
    one = month()
    breached: dict[str, np.datetime64] = {}
    for number, person in enumerate(PEOPLE):
        rows = one.where(one.person == number)
        for limit in person.limits:
            values = getattr(rows, QUANTITIES[limit.quantity])
            high = values >= (limit.yellow_high or np.inf)
            low = values < (limit.yellow_low or -np.inf)
            if (high | low).any():
                breached[person.key] = rows.measured_at[high | low].min()
    assert set(breached) == {"marta", "kalle"}
    assert min(breached.values()) > np.datetime64("2026-11-18")


def test_the_hour_is_local_on_both_sides_of_the_clock_change() -> None:
    one = month(last_day=date(2026, 11, 3), days=20)  # the clock goes back on 25 October
    cuff = one.where(one.kit == KITS.index(Kit.CUFF))
    assert set(local_hours(cuff)) <= {6, 7, 8, 19, 20}


def test_what_is_measured_today_goes_on_where_the_history_ends() -> None:
    random = np.random.default_rng(1)
    marta, kalle = person_named("marta").body, person_named("kalle").body
    weights = [weight_now_kg(marta, random) for _ in range(50)]
    assert np.mean(weights) == pytest.approx(75.8 + 1.8, abs=0.15)
    pressures = [pressure_now(kalle, random).systolic_mmhg for _ in range(50)]
    assert np.mean(pressures) == pytest.approx(141 + 27.5, abs=3)
