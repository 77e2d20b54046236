"""Indicators: counted right, in a table that a spreadsheet can take, and never about a few."""

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.indicators.cell import PEOPLE_MIN, Cell, Indicator, hide
from alerts.indicators.export import HIDDEN, NAMES, as_csv
from alerts.indicators.queries import Period, indicators
from tests.alerts.conftest import Pool
from tests.alerts.world import D, S, W, World

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BEGAN = NOW - timedelta(days=28)


def cell(people: int, unit: str = "a", **more: Any) -> Cell:
    return Cell(
        **{
            "indicator": Indicator.PATIENTS,
            "huvudman": "h",
            "unit": unit,
            "value": float(people),
            "people": people,
            **more,
        }
    )


def shown(cells: list[Cell]) -> list[bool]:
    return [not one.is_hidden for one in hide(cells)]


@pytest.mark.parametrize(("people", "is_shown"), [(0, True), (1, False), (4, False), (5, True)])
def test_a_number_of_few_is_hidden(people: int, *, is_shown: bool) -> None:
    (one,) = hide([cell(people)])
    assert one.is_hidden is not is_shown
    assert one.value == (people if is_shown else None)


@pytest.mark.parametrize(
    ("part", "is_shown"),
    [
        (0, True),
        (1, False),
        (4, False),
        (5, True),
        (15, True),
        (16, False),
        (19, False),
        (20, True),
    ],
)
def test_a_share_of_few_or_of_all_but_a_few_is_hidden(part: int, *, is_shown: bool) -> None:
    assert shown([cell(20, value=part / 20, part=part)]) == [is_shown]


def test_a_total_does_not_give_away_the_unit_that_is_hidden() -> None:
    units = [cell(3, "a"), cell(40, "b"), cell(50, "c")]
    assert shown([*units, cell(93, "")]) == [False, False, True, True]


def test_two_hidden_units_that_are_few_together_hide_a_third() -> None:
    units = [cell(2, "a"), cell(2, "b"), cell(40, "c"), cell(50, "d")]
    assert shown([*units, cell(94, "")]) == [False, False, False, True, True]


def test_with_no_other_unit_the_total_goes() -> None:
    assert shown([cell(3, "a"), cell(3, "")]) == [False, False]
    assert shown([cell(3, "a"), cell(0, "b"), cell(3, "")]) == [False, True, False]


def test_units_of_no_huvudman_have_no_total() -> None:
    assert shown([cell(3, "a", huvudman=""), cell(40, "b", huvudman="")]) == [False, True]


def test_an_age_is_not_the_rest_of_the_unit() -> None:
    ages = [
        cell(number, group=group, indicator=Indicator.PATIENTS_BY_AGE)
        for number, group in ((2, "18–64"), (30, "65–74"), (40, "75–84"))
    ]
    assert shown([cell(72), *ages]) == [True, False, False, True]


TABLE = st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(TABLE)
def test_nothing_hidden_can_be_worked_out_from_a_sum(table: list[list[int]]) -> None:
    """No sum has one unknown; and unknown parts of a known total are five people or more."""
    cells, sums = [], []
    for group in range(3):
        column = [row[group] for row in table]
        names = [f"u{number}" for number in range(len(table))]
        parts = [(number, name, f"g{group}") for number, name in zip(column, names, strict=True)]
        cells += [*parts, (sum(column), "", f"g{group}")]
        sums.append(((sum(column), "", f"g{group}"), parts))
    for number, row in enumerate([*table, [sum(column) for column in zip(*table, strict=True)]]):
        name = f"u{number}" if number < len(table) else ""
        cells.append((sum(row), name, ""))
        sums.append(((sum(row), name, ""), [(row[g], name, f"g{g}") for g in range(3)]))
    sums.append((cells[-1], [(sum(row), f"u{n}", "") for n, row in enumerate(table)]))
    hidden = {
        (unit, group)
        for (_, unit, group), one in zip(
            cells,
            hide(
                [
                    cell(
                        number,
                        unit,
                        group=group,
                        indicator=Indicator.PATIENTS_BY_AGE if group else Indicator.PATIENTS,
                    )
                    for number, unit, group in cells
                ]
            ),
            strict=True,
        )
        if one.is_hidden
    }
    for people, name, band in cells:
        assert not 0 < people < PEOPLE_MIN or (name, band) in hidden
    for (_, total_unit, total_group), parts in sums:
        gone = [people for people, unit, group in parts if (unit, group) in hidden]
        is_total_hidden = (total_unit, total_group) in hidden
        assert len(gone) + is_total_hidden != 1
        assert is_total_hidden or not gone or sum(gone) >= PEOPLE_MIN


def read(exported: bytes) -> list[list[str]]:
    assert exported.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(exported.decode("utf-8-sig")), delimiter=";"))


def test_the_table_is_as_a_swedish_spreadsheet_takes_it() -> None:
    cells = [
        cell(20, "Hemsjukvård; norr", indicator=Indicator.NAMED_CONTACT, value=0.855),
        cell(20, "", indicator=Indicator.SEEN_MEDIAN, value=12.345),
        cell(20, indicator=Indicator.ALERTS_PER_WEEK, value=None),
        *hide([cell(3)]),
    ]
    head, *rows = read(as_csv(cells, BEGAN, NOW))
    assert head[:3] == ["Indikator", "Huvudman", "Enhet"]
    assert rows[0] == [
        *("Har fast vårdkontakt", "h", "Hemsjukvård; norr", "", "85,5", "procent", "20"),
        *("2026-10-25 13:00", "2026-11-22 13:00"),
    ]
    assert rows[1][2:7] == ["alla", "", "12,3", "minuter", "20"]
    assert rows[2][4] == ""
    assert rows[3][4:7] == [HIDDEN, "personer", HIDDEN]


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t=", "\r", "\n", " =", "＝"])
def test_no_name_becomes_a_formula(begins: str) -> None:
    name = f"{begins}cmd|' /C calc'!A0"
    _, row = read(as_csv([cell(20, name)], BEGAN, NOW))
    assert row[2] == f"'{name}"


def test_every_indicator_has_a_name() -> None:
    assert set(NAMES) == set(Indicator)
    assert len({name for name, _ in NAMES.values()}) == len(NAMES)


def test_a_period_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="ends after"):
        Period(NOW, NOW)


class County:
    """Twelve more patients of the world's first unit; numbers are asked of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = datetime.now(UTC)
        self.unit = int(world.one("select unit_id from unit where name like 'Provbyn%%'"))
        huvudman = world.one(
            "insert into huvudman (kind, name) values ('kommun', 'Provkommun') "
            "returning huvudman_id"
        )
        world.connection.execute("delete from care_contact")
        world.connection.execute(
            "update unit set huvudman_id = %s, municipality = 'Provbyn'", (huvudman,)
        )
        self.patients = [self._patient(number) for number in range(12)]

    def _patient(self, number: int) -> int:
        patient_id = int(self.world.one("insert into patient default values returning patient_id"))
        self.world.connection.execute(
            "insert into person values (%s, %s, 'Prov', 'Provsson', %s, '1940-01-01', '', '')",
            (patient_id, self.unit, str(uuid4())),
        )
        return patient_id

    def alert(self, patient_id: int, minutes: int, outcome: str, closer: str) -> None:
        """Let an alert be opened two days ago and closed so many minutes after measuring."""
        at = self.now - timedelta(days=2)
        alert_id = self.world.one(
            "insert into alert (patient_id, rule, level, state, measured_at, opened_at) "
            "values (%s, 'limit:pulse', 1, 'closed', %s, %s) returning alert_id",
            patient_id,
            at,
            at,
        )
        closed_at = at + timedelta(minutes=minutes)
        self.world.connection.execute(
            "insert into alert_case (alert_id, unit_id, routed_why, told_at, closed_by, closed_at, "
            "outcome, acknowledged_by, acknowledged_at) "
            "values (%s, %s, '', %s, %s, %s, %s, %s, %s)",
            (
                alert_id,
                self.unit,
                at,
                self.world.staff(closer),
                closed_at,
                outcome,
                self.world.staff(closer),
                closed_at,
            ),
        )

    async def ask(self, pool: Pool) -> dict[tuple[str, str, str], Cell]:
        period = Period(self.now - timedelta(days=28), self.now)
        async with pool.connection() as connection:
            cells = await indicators(connection, period, self.now)
        found = {(one.indicator.value, one.unit, one.group): one for one in cells}
        assert len(found) == len(cells)
        return found

    async def of_unit(self, pool: Pool, indicator: Indicator) -> Cell:
        return (await self.ask(pool))[indicator.value, "Provbyns hemsjukvård", ""]


@pytest.fixture
def county(world: World) -> County:
    made = County(world)
    # Nobody but those twelve, so that what is expected can be counted on fingers.
    world.connection.execute(
        "update person set unit_id = (select unit_id from unit where name like 'Testk%%') "
        "where family_name <> 'Provsson'"
    )
    return made


def contact(county: County, number: int, key: str = "anna") -> None:
    for patient_id in county.patients[:number]:
        county.world.connection.execute(
            "insert into care_contact (patient_id, staff_id, from_at) "
            "values (%s, %s, now() - interval '90 days')",
            (patient_id, county.world.staff(key)),
        )


async def test_contacts_substitutes_relatives_and_plans_are_counted(
    county: County, pool: Pool
) -> None:
    execute = county.world.connection.execute
    contact(county, 6)
    assert (await county.of_unit(pool, Indicator.NAMED_CONTACT)).value == 0.5
    assert (await county.of_unit(pool, Indicator.CONTACT_AND_SUBSTITUTE)).value == 0.0
    execute(
        "insert into substitute (for_staff_id, place, staff_id, from_at) "
        "values (%s, 1, %s, now() - interval '1 day')",
        (county.world.staff("anna"), county.world.staff("eva")),
    )
    for patient_id in county.patients[:6]:
        execute(
            "insert into plan_version (patient_id, in_force_from, agreed_how) "
            "values (%s, now() - interval '2 years', 'själv'), "
            "(%s, now() - interval '1 month', 'tillsammans')",
            (patient_id, patient_id),
        )
        relative_id = county.world.one(
            "insert into relative (patient_id, name) values (%s, 'Nils Provsson') "
            "returning relative_id",
            patient_id,
        )
        execute(
            "insert into consent (patient_id, relative_id, scope, given_how, from_at) "
            "values (%s, %s, '{values}', 'själv', now() - interval '1 day')",
            (patient_id, relative_id),
        )
    for indicator in (
        Indicator.CONTACT_AND_SUBSTITUTE,
        Indicator.AGREED_PLAN,
        Indicator.RELATIVE_CONNECTED,
    ):
        assert (await county.of_unit(pool, indicator)).value == 0.5, indicator
    execute("update consent set revoked_at = now()")
    execute("update plan_version set agreed_how = ''")
    for indicator in (Indicator.AGREED_PLAN, Indicator.RELATIVE_CONNECTED):
        assert (await county.of_unit(pool, indicator)).value == 0.0, indicator


async def test_alerts_times_and_who_handled_them(county: County, pool: Pool) -> None:
    contact(county, 12)
    for number, patient_id in enumerate(county.patients[:6]):
        outcome = ("contacted", "technical", "false_alarm")[number % 3]
        county.alert(patient_id, 10 * (number + 1), outcome, "anna" if number < 4 else "eva")
    found = await county.ask(pool)

    def value(indicator: Indicator) -> float | None:
        return found[indicator.value, "Provbyns hemsjukvård", ""].value

    assert value(Indicator.ALERTS_PER_WEEK) == pytest.approx(6 / 12 / 4)
    assert value(Indicator.OWN_CONTACT) == pytest.approx(4 / 6)
    assert value(Indicator.ACTED_ON) == pytest.approx(2 / 6)
    assert value(Indicator.TECHNICAL) == pytest.approx(2 / 6)
    assert value(Indicator.CLOSED_MEDIAN) == pytest.approx(35.0)
    assert value(Indicator.ACKNOWLEDGED_P90) == pytest.approx(55.0)
    assert value(Indicator.SEEN_MEDIAN) is None


async def test_a_contact_of_before_was_her_own_then(county: County, pool: Pool) -> None:
    contact(county, 12)
    for patient_id in county.patients[:6]:
        county.alert(patient_id, 10, "contacted", "anna")
    county.world.connection.execute("update care_contact set until_at = now() - interval '1 day'")
    assert (await county.of_unit(pool, Indicator.OWN_CONTACT)).value == 1.0


async def test_adherence_counts_intervals_in_which_she_measured(county: County, pool: Pool) -> None:
    execute = county.world.connection.execute
    for patient_id in county.patients[:6]:
        version = county.world.one(
            "insert into plan_version (patient_id, in_force_from) values (%s, %s) "
            "returning plan_version_id",
            patient_id,
            county.now - timedelta(days=10),
        )
        execute(
            "insert into plan_rule values (%s, 'missing:body_weight', 'missing', 1, "
            """'{"quantity": "body_weight", "interval_h": 24.0}')""",
            (version,),
        )
        for day in (9.5, 9.4, 8.5, 7.5, 0.5, 20.5):  # four days of ten; twice on one; one before
            execute(
                "insert into sample (patient_id, quantity_id, measured_at, reading_id, value) "
                "values (%s, %s, %s, gen_random_uuid(), 78)",
                (patient_id, W.facts.id, county.now - timedelta(days=day)),
            )
    assert (await county.of_unit(pool, Indicator.ADHERENCE)).value == pytest.approx(0.4)
    for patient_id in county.patients[:6]:  # five of the other six days in hospital
        execute(
            "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
            (patient_id, county.now - timedelta(days=6), county.now - timedelta(days=1)),
        )
    assert (await county.of_unit(pool, Indicator.ADHERENCE)).value == pytest.approx(0.8)


async def test_stored_is_from_measured_and_ages_add_up(county: County, pool: Pool) -> None:
    await county.world.measure_soon("marta", {S: 128.0, D: 76.0}, ago=timedelta(minutes=30))
    for patient_id in county.patients[:5]:
        county.world.connection.execute(
            "insert into reading select gen_random_uuid(), %s, loan_id, gateway_id, device_id, "
            "slot, outcome, %s, null, %s, %s, %s, %s, clock, null, 0, 0, null, source, payload, "
            "revision from reading limit 1",
            (patient_id, *[county.now - timedelta(minutes=9)] * 4, county.now),
        )
    county.world.connection.execute(
        "delete from reading where patient_id = %s", (county.world.patient("marta"),)
    )
    found = await county.ask(pool)
    assert found["stored_median", "Provbyns hemsjukvård", ""].value == pytest.approx(9.0)
    ages = [one for key, one in found.items() if key[0] == "patients_by_age"]
    of_unit = [one for one in ages if one.unit == "Provbyns hemsjukvård"]
    assert {one.group: one.people for one in of_unit} == {
        "0–17": 0,
        "18–64": 0,
        "65–74": 0,
        "75–84": 0,
        "85–": 12,
    }
    assert found["patients_by_municipality", "", "Provbyn"].people == 17


async def test_what_is_about_few_is_hidden_in_the_answer(county: County, pool: Pool) -> None:
    contact(county, 3)
    assert (await county.of_unit(pool, Indicator.NAMED_CONTACT)).is_hidden
    by_unit = defaultdict(list)
    for one in (await county.ask(pool)).values():
        by_unit[one.unit].append(one)
    assert not any(0 < one.people < PEOPLE_MIN and not one.is_hidden for one in by_unit[""])
