"""Seeding writes all of a care record or nothing, and writing it again changes nothing."""

import psycopg
import pytest

from alerts.care.file import CareRecordError, read
from alerts.care.record import CareRecord
from alerts.care.seed import seed
from alerts.schema import SOURCES
from ingest.schema.migrate import migrate
from tests.alerts.world import World, care_record, encoded

TABLES = (
    "unit",
    "staff",
    "gateway",
    "patient",
    "person",
    "care_contact",
    "account",
    "device_loan",
    "plan_version",
    "plan_limit",
    "plan_rule",
    "plan_advice",
)


def contents(world: World) -> dict[str, list[str]]:
    return {
        name: sorted(repr(row) for row in world.rows(f"select * from {name}")) for name in TABLES
    }


def test_it_works_on_every_edition(database: str) -> None:
    migrate(database, SOURCES)
    with psycopg.connect(database) as connection:
        done = seed(connection, read(encoded(care_record())))
    assert (done.patients_new, done.loans_new, done.plans_new) == (5, 5, 5)


def test_seeding_twice_changes_nothing(world: World) -> None:
    before = contents(world)
    done = seed(world.connection, read(encoded(care_record())))
    assert (done.patients, done.patients_new, done.loans_new, done.plans_new) == (5, 0, 0, 0)
    assert contents(world) == before


def test_a_new_contact_ends_the_old_one_and_keeps_the_history(world: World) -> None:
    record = care_record()
    record["patients"][0]["contact"] = "eva"
    seed(world.connection, read(encoded(record)))
    kept = world.rows(
        "select staff_id, until_at is null from care_contact where patient_id = %s "
        "order by from_at, until_at nulls last",
        world.patient("marta"),
    )
    assert kept == [(world.staff("anna"), False), (world.staff("eva"), True)]


def test_a_new_gateway_at_home_ends_the_old_one_and_keeps_the_history(world: World) -> None:
    record = care_record()
    record["gateways"] = ["g-test", "g-new"]
    for gateway_id in ("g-test", "g-test", "g-new"):
        record["patients"][0]["gateway"] = gateway_id
        seed(world.connection, read(encoded(record)))
    kept = world.rows(
        "select gateway_id, until_at is null from gateway_home where patient_id = %s "
        "order by from_at",
        world.patient("marta"),
    )
    assert kept == [("g-test", False), ("g-new", True)]


def test_a_contact_can_be_taken_away(world: World) -> None:
    record = care_record()
    record["patients"][0].update(contact=None, unit="a")
    seed(world.connection, read(encoded(record)))
    assert not world.one(
        "select count(*) from care_contact where patient_id = %s and until_at is null",
        world.patient("marta"),
    )


def test_a_plan_is_never_overwritten(world: World) -> None:
    record = care_record()
    record["patients"][0]["plans"][0]["limits"][0]["red_high"] = 190
    before = contents(world)
    with pytest.raises(CareRecordError, match="a plan is never overwritten"):
        seed(world.connection, read(encoded(record)))
    assert contents(world) == before


def test_a_device_that_is_lent_out_cannot_be_lent_again(world: World) -> None:
    record = care_record()
    record["patients"] = [record["patients"][0]]
    record["patients"][0].update(
        key="new", personal_number="191212121212", born_on="1912-12-12", username="new"
    )
    before = contents(world)
    with pytest.raises(CareRecordError, match="is lent out already"):
        seed(world.connection, read(encoded(record)))
    assert contents(world) == before


def test_a_new_password_ends_the_sessions_and_the_logins_begun_with_the_old(world: World) -> None:
    account = world.one("select account_id from account where username = 'anna'")
    world.connection.execute(
        "insert into login_session (token_hash, account_id, csrf_token) values ('x', %s, 'y')",
        [account],
    )
    world.connection.execute(
        "insert into login_step (token_hash, account_id, next_path) values ('x', %s, '/')",
        [account],
    )
    record = care_record()
    record["staff"][0]["password"] = "ett-nytt-lösenord"
    seed(world.connection, read(encoded(record)))
    assert world.one("select count(*) from login_session") == 0
    assert world.one("select count(*) from login_step") == 0


def test_a_user_name_of_somebody_else_is_refused(world: World) -> None:
    record = care_record()
    record["patients"][2]["username"] = "marta"
    record["patients"][0].update(username=None, password=None)
    with pytest.raises(CareRecordError, match="'marta': belongs to somebody else"):
        seed(world.connection, read(encoded(record)))


HEAVIER = {"kind": "change", "quantity": "body_weight", "days": 3, "up": 2.0}


def test_a_plan_may_have_rules_beside_its_limits(world: World) -> None:
    record = care_record()
    plan = {**record["patients"][0]["plans"][0], "in_force_from": "2026-11-02T00:00:00Z"}
    record["patients"][0]["plans"].append({**plan, "limits": [], "rules": [HEAVIER]})
    assert seed(world.connection, read(encoded(record))).plans_new == 1
    assert seed(world.connection, read(encoded(record))).plans_new == 0
    kept = world.rows("select rule_key, kind, level from plan_rule")
    assert kept == [("change:body_weight:up:3d", "change", 1)]
    record["patients"][0]["plans"][-1]["rules"] = [{**HEAVIER, "up": 2.5}]
    with pytest.raises(CareRecordError, match="a plan is never overwritten"):
        seed(world.connection, read(encoded(record)))


@pytest.mark.parametrize(
    ("rules", "reason"),
    [([], "at least one limit or rule"), ([HEAVIER, HEAVIER], "Two rules are the same")],
)
def test_an_impossible_plan_is_refused_with_the_reason(rules: list[object], reason: str) -> None:
    record = care_record()
    record["patients"][0]["plans"][0] |= {"limits": [], "rules": rules}
    with pytest.raises(CareRecordError, match=reason):
        read(encoded(record))


def without(*usernames: str) -> CareRecord:
    """Return the world's care record without some of its staff, whom nobody needs."""
    record = care_record()
    record["staff"] = [each for each in record["staff"] if each["key"] not in usernames]
    return read(encoded(record))


def ended(world: World) -> list[str]:
    """Return whose account and employment have ended; both always do."""
    rows = world.rows(
        "select username, a.ended_at is not null, s.ended_at is not null from account a"
        " join staff s using (staff_id) order by 1"
    )
    assert all(account == employment for _, account, employment in rows)
    return [username for username, has_ended, _ in rows if has_ended]


def test_who_is_left_out_is_told_and_stays_until_it_is_said_that_she_ends(world: World) -> None:
    done = seed(world.connection, without("eva", "tove"))
    assert (done.left.here, done.left.ended) == (("eva", "tove"), False)
    assert ended(world) == []


def test_who_is_left_out_ends_with_her_logins_and_stands_in_the_log(world: World) -> None:
    for username in ("eva", "anna"):
        for table in ("login_session", "login_step"):
            column, value = ("csrf_token", "y") if table == "login_session" else ("next_path", "/")
            world.connection.execute(
                f"insert into {table} (token_hash, account_id, {column})"
                " select %s, account_id, %s from account where username = %s".encode(),
                [username.encode(), value, username],
            )
    done = seed(world.connection, without("eva"), end_max=1, by="root")
    assert (done.left.here, done.left.ended) == (("eva",), True)
    assert ended(world) == ["eva"]
    for table in ("login_session", "login_step"):
        assert world.one(f"select array_agg(token_hash) from {table}") == [b"anna"]
    ((action, detail),) = world.rows("select action, detail from access_log")
    assert action == "account_ended"
    assert (detail["account"], detail["left_out_of_file"]) == ("root", True)
    assert detail["staff_id"] == world.staff("eva")
    # Once more: she has ended, and is told of no more.
    assert seed(world.connection, without("eva"), end_max=0).left.here == ()


def test_more_than_may_end_and_nothing_is_written(world: World) -> None:
    before = contents(world)
    with pytest.raises(CareRecordError, match=r"2 who work .* 1 may end → .* --end-left-out 2"):
        seed(world.connection, without("eva", "tove"), end_max=1)
    assert contents(world) == before


def test_a_file_that_says_nothing_of_a_unit_ends_nobody_there(world: World) -> None:
    record = care_record()
    record["units"] = record["units"][:1]
    record["staff"] = [each for each in record["staff"] if each["unit"] == "a"]
    record["patients"] = []
    assert seed(world.connection, read(encoded(record)), end_max=0).left.here == ()
    nothing: dict[str, object] = {name: [] for name in record}
    assert seed(world.connection, read(encoded(nothing)), end_max=100).left.here == ()
    assert ended(world) == []


def test_who_has_ended_and_is_in_the_file_again_stays_ended_and_is_told(world: World) -> None:
    seed(world.connection, without("eva"), end_max=1)
    done = seed(world.connection, read(encoded(care_record())), end_max=1)
    assert done.left.staying_ended == ("eva",)
    assert ended(world) == ["eva"]
