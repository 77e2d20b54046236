"""The organisation in a care record file: checked, written, and written again without a change."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from alerts.care.file import CareRecordError, read
from alerts.care.seed import seed
from simulator.embedded.postgres import Postgres
from tests.alerts.care.conftest import copy
from tests.alerts.world import care_record, encoded

WHEN = {"from_at": "2027-02-01T16:00:00+01:00", "until_at": "2027-02-02T08:00:00+01:00"}
SMS = {"kind": "sms", "address": "+46701740605", "verified_at": "2026-11-01T12:00:00+01:00"}
MAIL = {"kind": "email", "address": "anna@example.org"}
Connection = psycopg.Connection[Any]
TABLES = (
    "huvudman",
    "unit",
    "unit_hours",
    "unit_day",
    "staff",
    "staff_function",
    "team",
    "team_member",
    "channel",
    "absence",
    "duty",
    "substitute",
    "care_contact",
    "person_unit",
)


def organised() -> dict[str, Any]:
    """Return the world's record with everything an organisation can tell."""
    record = care_record()
    record["huvudmen"] = [
        {"key": "k", "kind": "kommun", "name": "Provbyns kommun"},
        {"key": "r", "kind": "region", "name": "Region Test"},
    ]
    record["units"][0] |= {
        "hours": None,
        "huvudman": "k",
        "municipality": "Provbyn",
        "hsa_id": "se2321000016-1003",
        "opening": [
            {"weekdays": ["mon", "tue", "wed", "thu"], "opens": "08:00", "closes": "16:00"},
            {"weekdays": ["fri"], "opens": "08:00", "closes": "24:00", "on_holidays": True},
        ],
        "days": [{"day": "2026-12-23"}, {"day": "2027-04-03", "opens": "08:00", "closes": "12:00"}],
        "channels": [SMS],
        "duty": [{**WHEN, "staff": "lisa"}],
    }
    record["staff"][0] |= {
        "hsa_id": "SE2321000016-ANNA",
        "functions": ["care", "coordinator"],
        "channels": [MAIL, SMS],
        "absences": [WHEN],
        "substitutes": ["eva", "lisa"],
    }
    record["teams"] = [
        {"key": "heart", "unit": "b", "name": "Hjärtat", "members": ["anna", "lisa"]}
    ]
    record["patients"][1] |= {"contact": "heart", "substitutes": ["eva"]}
    return record


@pytest.fixture(scope="module")
def organised_world(plain_postgres: Postgres, template: str) -> str:
    """The address of a database in which all of it is written."""
    dsn = copy(plain_postgres, template)
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from unit_hours")
        write(connection, organised())
    return dsn


@pytest.fixture
def connection(organised_world: str) -> Iterator[Connection]:
    with (
        psycopg.connect(organised_world, autocommit=True) as opened,
        opened.transaction(force_rollback=True),
    ):
        yield opened


def write(connection: Connection, record: dict[str, Any]) -> None:
    seed(connection, read(encoded(record)))


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def contents(connection: Connection) -> dict[str, list[Any]]:
    # As text: '24:00' is no time of day in Python.
    return {name: sorted(rows(connection, f"select t::text from {name} t")) for name in TABLES}


def problems(record: dict[str, Any]) -> str:
    with pytest.raises(CareRecordError) as refused:
        read(encoded(record))
    return str(refused.value)


def test_all_of_it_is_written_and_a_second_time_changes_nothing(connection: Connection) -> None:
    first = contents(connection)
    assert all(first.values()), "each table holds something"
    write(connection, organised())
    assert contents(connection) == first


def test_it_is_found_as_it_was_told(connection: Connection) -> None:
    assert rows(
        connection,
        "select h.name, kind, municipality, hsa_id, hours from unit u join huvudman h "
        "using (huvudman_id)",
    ) == [
        (
            "Provbyns kommun",
            "kommun",
            "Provbyn",
            "SE2321000016-1003",
            "måndag–torsdag 8–16, inte helgdagar; fredagar 8–24, även helgdagar",
        )
    ]
    assert rows(
        connection,
        "select kind, verified_at is null from channel where unit_id is null order by place",
    ) == [("email", True), ("sms", False)]
    assert rows(
        connection,
        "select username, f.name from staff_function f join account using (staff_id) "
        "where until_at is null order by 1, 2",
    ) == [
        ("anna", "care"),
        ("anna", "coordinator"),
        ("eva", "care"),
        ("lisa", "care"),
        ("tove", "technician"),
    ]
    assert rows(
        connection,
        "select s.patient_id is null, place, username from substitute s "
        "join account using (staff_id) order by 1, 2",
    ) == [(False, 1, "eva"), (True, 1, "eva"), (True, 2, "lisa")]


def test_a_contact_can_become_a_team_and_her_unit_is_the_teams(
    connection: Connection,
) -> None:
    kalle = (
        "select c.team_id is not null, c.until_at is null from care_contact c "
        "join person using (patient_id) where given_name = 'Kalle' order by c.until_at nulls last"
    )
    assert rows(connection, kalle) == [(False, False), (True, True)]
    units = (
        "select u.name, w.until_at is null from person_unit w join unit u using (unit_id) "
        "join person using (patient_id) where given_name = 'Kalle' order by 2"
    )
    assert rows(connection, units) == [
        ("Provbyns hemsjukvård", False),
        ("Testköpings hälsocentral", True),
    ]


def test_what_is_told_otherwise_ends_what_was(connection: Connection) -> None:
    record = organised()
    record["units"][0]["opening"] = [{"weekdays": ["mon"], "opens": "08:00", "closes": "12:00"}]
    record["units"][0]["days"][0] |= {"opens": "09:00", "closes": "10:00"}
    record["staff"][0] |= {"substitutes": ["lisa"], "channels": [SMS], "functions": ["care"]}
    record["teams"][0]["members"] = ["lisa"]
    write(connection, record)
    mondays = "select left(closes::text, 5), until_on is null from unit_hours where weekday = 1"
    assert sorted(rows(connection, mondays)) == [("12:00", True), ("16:00", False)]
    for table, count in [
        ("unit_hours where until_on is null", 1),
        ("unit_hours", 6),
        ("unit_day", 3),
        ("substitute where for_staff_id is not null and until_at is null", 1),
        ("substitute where for_staff_id is not null", 3),
        ("channel where staff_id is not null and ended_at is null", 1),
        ("channel where staff_id is not null", 2),
        ("staff_function where name = 'coordinator' and until_at is null", 0),
        ("team_member where until_at is null", 1),
        ("team_member", 2),
    ]:
        assert rows(connection, f"select count(*) from {table}") == [(count,)], table


def test_what_is_not_told_stays(connection: Connection) -> None:
    record = organised()
    for name in ("huvudman", "municipality", "hsa_id", "opening", "channels"):
        del record["units"][0][name]
    for name in ("hsa_id", "functions", "channels", "substitutes"):
        del record["staff"][0][name]
    del record["patients"][1]["substitutes"]
    before = contents(connection)
    write(connection, record)
    assert contents(connection) == before


def test_what_somebody_has_decided_since_is_not_undone(connection: Connection) -> None:
    """A patient moved back by an old file would lose her contact without anybody knowing."""
    connection.execute("update care_contact set named_by = 1 where team_id is not null")  # kalle's
    connection.execute("update substitute set noted_by = 1")
    moved = connection.execute(
        "with accepted as ("
        "  insert into handover (patient_id, from_unit_id, to_unit_id, answer, answered_at)"
        "  select patient_id, unit_id, 3 - unit_id, 'accepted', now() from person"
        "  where given_name = 'Ingrid' returning *"
        "), at_unit as ("
        "  update person p set unit_id = to_unit_id from accepted a"
        "  where p.patient_id = a.patient_id"
        ") update person_unit w set unit_id = to_unit_id, handover_id = a.handover_id "
        "from accepted a where w.patient_id = a.patient_id"
    )
    assert moved.rowcount == 1
    before = contents(connection)
    record = organised()
    _, kalle, ingrid, *_ = record["patients"]
    kalle |= {"contact": "lisa", "substitutes": []}
    ingrid |= {"contact": "eva", "unit": "b"}
    record["staff"][0]["substitutes"] = []
    assert seed(connection, read(encoded(record))).kept == 2
    assert contents(connection) == before


def test_an_absence_that_was_taken_back_does_not_come_again(
    connection: Connection,
) -> None:
    for table in ("absence", "duty"):
        connection.execute(f"update {table} set withdrawn_at = now()")
    write(connection, organised())
    assert rows(connection, "select count(*) from absence where withdrawn_at is null") == [(0,)]
    assert rows(connection, "select count(*) from duty where withdrawn_at is null") == [(0,)]


def test_a_channel_is_not_less_verified_by_an_older_file(
    connection: Connection,
) -> None:
    connection.execute("update channel set verified_at = '2027-01-01'")
    write(connection, organised())
    assert rows(connection, "select distinct verified_at::date::text from channel") == [
        ("2027-01-01",)
    ]


def test_an_hsa_id_of_somebody_else_is_refused(connection: Connection) -> None:
    record = organised()
    record["units"][0].pop("hsa_id")
    record["units"][1]["hsa_id"] = "SE2321000016-1003"
    with pytest.raises(CareRecordError, match=r"unit b: hsa_id .* belongs to somebody else"):
        write(connection, record)
    record = organised()
    record["staff"][0].pop("hsa_id")
    record["staff"][1]["hsa_id"] = "SE2321000016-ANNA"
    with pytest.raises(CareRecordError, match=r"staff eva: hsa_id .* belongs to somebody else"):
        write(connection, record)


def test_everything_wrong_between_the_parts_is_told_at_once() -> None:
    record = organised()
    record["huvudmen"].append({"key": "k", "kind": "region", "name": "Region Test"})
    record["units"][0] |= {"huvudman": "x", "duty": [{**WHEN, "staff": "tove"}]}
    record["units"][1]["hsa_id"] = "SE2321000016-ANNA"
    record["staff"][0]["substitutes"] = ["anna", "nobody"]
    record["staff"][2]["functions"] = ["reviewer"]
    record["teams"].append({"key": "anna", "unit": "y", "name": "Två", "members": ["lisa"]})
    record["teams"].append({**record["teams"][0], "key": "again"})
    record["patients"][0]["substitutes"] = ["anna"]
    record["patients"][2]["contact"] = "tove"
    told = problems(record)
    for problem in (
        "huvudmen: key 'k' stands more than once",
        "huvudmen: name 'Region Test' stands more than once",
        "unit a: there is no huvudman 'x'",
        "unit a: duty 'tove' gives no care",
        "hsa_id 'SE2321000016-ANNA' stands more than once",
        "staff anna: she cannot stand in for herself",
        "staff anna: substitutes 'nobody' is not among the staff",
        "staff or teams: key 'anna' stands more than once",
        "teams: unit and name 'b Hjärtat' stands more than once",
        "team anna: there is no unit 'y'",
        "team anna: members 'lisa' gives no care",
        "patient marta: contact 'anna' cannot stand in for herself",
        "patient ingrid: contact 'tove' gives no care",
    ):
        assert problem in told, problem


def test_technicians_are_on_duty_at_a_unit_of_their_own() -> None:
    record = organised()
    teknik = {**record["units"][1], "key": "t", "name": "Tekniken", "hsa_id": None}
    record["units"].append(teknik | {"duty": [{**WHEN, "staff": "tove"}]})
    assert read(encoded(record)).units[-1].duty


@pytest.mark.parametrize(
    ("unit", "problem"),
    [
        ({"opening": [{"weekdays": ["mon"], "opens": "22:00", "closes": "06:00"}]}, "two windows"),
        ({"opening": [{"weekdays": ["mon"], "opens": "24:00", "closes": "24:00"}]}, "two windows"),
        ({"opening": [{"weekdays": [], "opens": "08:00", "closes": "16:00"}]}, "at least 1"),
        ({"opening": [{"weekdays": ["mon"], "opens": "8", "closes": "16:00"}]}, "pattern"),
        ({"opening": [{"weekdays": ["mon"], "opens": "08:00", "closes": "24:01"}]}, "pattern"),
        ({"opening": [{"weekdays": ["mon", "mon"], "opens": "08:00", "closes": "09:00"}]}, "once"),
        (
            {
                "opening": [
                    {"weekdays": ["mon", "tue"], "opens": "08:00", "closes": "12:00"},
                    {"weekdays": ["tue"], "opens": "11:59", "closes": "13:00"},
                ]
            },
            "at the same time",
        ),
        ({"days": [{"day": "2026-12-23"}, {"day": "2026-12-23"}]}, "stands more than once"),
        ({"days": [{"day": "2026-12-23", "opens": "08:00"}]}, "go together"),
        ({"days": [{"day": "2026-12-23", "opens": "08:00", "closes": "08:00"}]}, "come after"),
        ({"duty": [{**WHEN, "until_at": WHEN["from_at"], "staff": "anna"}]}, "come after"),
        ({"duty": [{**WHEN, "from_at": "2027-02-01T16:00:00", "staff": "anna"}]}, "timezone"),
        ({"channels": [{"kind": "sms", "address": "070-174 06 05"}]}, "must look like"),
        ({"channels": [{"kind": "email", "address": "anna"}]}, "must look like"),
        ({"channels": [{"kind": "fax", "address": "1"}]}, "kind"),
        ({"hsa_id": "SE2321000017-1003"}, "check digit"),
        ({"hours": "vardagar 8–17, lunch 12–13"}, "words that alerts cannot go by"),
        ({"hours": "vardagar 8–25"}, "words that alerts cannot go by"),
        ({"hours": "vardagar 17–8"}, "words that alerts cannot go by"),
    ],
)
def test_a_unit_that_cannot_be_is_refused(unit: dict[str, Any], problem: str) -> None:
    record = care_record()
    record["units"][0] |= unit
    assert problem in problems(record)


@pytest.mark.parametrize(
    ("words", "opens", "closes"),
    [("vardagar 8–17", "08:00", "17:00"), ("vardagar 7.30-16:15", "07:30", "16:15")],
)
def test_plain_words_are_understood(
    connection: Connection, words: str, opens: str, closes: str
) -> None:
    record = organised()
    record["units"][1]["hours"] = words
    write(connection, record)
    assert rows(
        connection,
        "select weekday, left(opens::text, 5), left(closes::text, 5), hours from unit_hours "
        "join unit using (unit_id) where name = 'Testköpings hälsocentral' order by weekday",
    ) == [(weekday, opens, closes, words) for weekday in range(1, 6)]


def test_a_unit_may_have_words_of_its_own_beside_its_opening(connection: Connection) -> None:
    record = organised()
    record["units"][0]["hours"] = "telefon vardagar 8–9"
    write(connection, record)
    assert rows(connection, "select hours from unit order by unit_id limit 1") == [
        ("telefon vardagar 8–9",)
    ]
