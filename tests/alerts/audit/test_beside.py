"""Why somebody looked, and what came of looking at it, are changed by nobody without a trace."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts.audit import review
from alerts.audit.verify import Wrong, walk
from alerts.care import emergency
from tests.alerts.audit.people import People

WHY = "hittad medvetslös på golvet"
TABLES = ("emergency_access", "access_review")


@pytest.fixture
async def kept(people: People) -> AsyncIterator[AsyncConnection]:
    """Two emergencies, one of them looked at, and a review of the log; undone after the test."""
    home = people.unit()
    lisa, eva = people.staff(home), people.staff(home)
    people.run("insert into staff_function (staff_id, name) values (%s, 'reviewer')", eva.staff_id)
    over = datetime.now(UTC) - timedelta(minutes=1)
    async with (
        await AsyncConnection.connect(people.dsn, autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        assert not await wrong(connection)
        for _ in range(2):
            hers = people.patient(people.unit(), contact=people.staff(people.unit()))
            done = await emergency.open_up(connection, lisa, hers.patient_id or 0, WHY)
            assert done is emergency.Answer.DONE
        first = (await emergency.unreviewed(connection, home))[0].access_id
        looked = await emergency.review(connection, eva, first, "Ambulansen bekräftar")
        assert looked is emergency.Answer.DONE
        signed = await review.sign(
            connection,
            eva,
            home,
            over - timedelta(days=30),
            over,
            entries=9,
            sampled=3,
            verdict=review.Verdict.ASKED,
            note="Frågat Lisa",
        )
        assert signed is review.Answer.DONE
        yield connection


async def wrong(connection: AsyncConnection) -> set[Wrong]:
    return {each.wrong for each in (await walk(connection, ())).breaks}


OF = "where reviewed_at is {} null and why = '" + WHY + "'"
REFUSED = (
    "update emergency_access set why = 'en annan orsak helt' " + OF.format(""),
    "update emergency_access set until_at = from_at + interval '1 minute' " + OF.format(""),
    "update emergency_access set review = 'inget' " + OF.format("not"),
    "update emergency_access set reviewed_by = null, reviewed_at = null " + OF.format("not"),
    "delete from emergency_access",
    "truncate emergency_access",
    "update access_review set verdict = 'nothing'",
    "delete from access_review",
    "truncate access_review",
)


ANOTHER_EMERGENCY = (
    "insert into emergency_access (patient_id, staff_id, why, until_at)"
    " select patient_id, staff_id, why, until_at from emergency_access limit 1"
)
ANOTHER_REVIEW = (
    "insert into access_review (unit_id, from_at, until_at, reviewed_by, entries, sampled, verdict)"
    " select unit_id, from_at, until_at, reviewed_by, 1, 1, 'nothing' from access_review limit 1"
)


@pytest.mark.parametrize("statement", REFUSED)
async def test_no_reason_and_no_signature_is_written_over(
    kept: AsyncConnection, statement: str
) -> None:
    assert await wrong(kept) == set()
    with pytest.raises(psycopg.errors.RestrictViolation):
        await kept.execute(statement.encode())


async def test_no_emergency_lasts_longer_than_an_hour(kept: AsyncConnection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await kept.execute(
            "insert into emergency_access (patient_id, staff_id, why, until_at) select patient_id,"
            " staff_id, why, now() + interval '2 hours' from emergency_access limit 1"
        )


@pytest.mark.parametrize(
    "statement",
    [
        *(each for each in REFUSED if not each.startswith("truncate")),
        "update emergency_access set patient_id = (select max(patient_id) from person"
        " where patient_id <> emergency_access.patient_id) " + OF.format(""),
        "update emergency_access set staff_id = reviewed_by " + OF.format("not"),
        "update emergency_access set reviewed_by = staff_id " + OF.format("not"),
        "update emergency_access set reviewed_by = staff_id, reviewed_at = now() " + OF.format(""),
        "update access_review set note = ''",
        ANOTHER_EMERGENCY,
        ANOTHER_REVIEW,
    ],
)
async def test_what_somebody_with_all_rights_writes_over_is_seen(
    kept: AsyncConnection, statement: str
) -> None:
    for table in TABLES:
        await kept.execute(f"alter table {table} disable trigger all".encode())
    assert (await kept.execute(statement.encode())).rowcount > 0
    assert await wrong(kept) == {Wrong.NOT_AS_PROVED}
