"""The command ``audit`` of alerts' command line: prove the access log, read it, review it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import cyclopts
import psycopg
from psycopg.rows import dict_row

from alerts.audit import anchor, removal_command, review, words
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.audit.extract import extract
from alerts.audit.operator import operating_account
from alerts.audit.removal import KEPT_MIN
from alerts.audit.review import Verdict
from alerts.audit.verify import Verified, verify
from alerts.care import emergency, identity
from alerts.care.identity import IdentityError
from alerts.care.people import Viewer
from alerts.config import Config
from alerts.words import ZONE
from ingest.settings import ConfigError, load

EXIT_CONFIG = 2
EXIT_FAILED = 1
CONNECT_S_MAX = 5
# What the law asks to be kept, and so what an extract goes back to if it is not told.
YEARS: Final = 5

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config")]
Connection = psycopg.AsyncConnection[Any]
T = TypeVar("T")

audit = cyclopts.App(name="audit", help="The access log: proof, extract for a patient, review.")
audit.command(removal_command.remove_old_command, name="remove-old")


@audit.command(name="verify")
def verify_command(*, anchors: Path | None = None, config: ConfigFile = None) -> None:
    """Prove that no entry was changed, moved, put in or taken away.

    Args:
        anchors: A file, kept where this database's administrators do not write. The log must go on
            from every line in it; if it does, today's heads become its newest line.
        config: alerts' TOML file.
    """
    try:
        kept = [] if anchors is None else anchor.read(anchors)
        found = _ask(config, lambda it: verify(it, kept))
        early = [] if anchors is None else anchor.too_early(anchors, found.checkpoints, KEPT_MIN)
        found = replace(found, breaks=(*early, *found.breaks), broken=len(early) + found.broken)
        _tell(found)
        if anchors is not None and found.is_whole:
            anchor.keep(anchors, found.heads, datetime.now(UTC))
    except anchor.NotAnchors as error:
        _fail(f"{anchors}: {error} → give a file that this command has written")
    except OSError as error:
        _fail(f"{anchors}: {error.strerror} → let this account read and write there")
    if not found.is_whole:
        sys.exit(EXIT_FAILED)


def _tell(found: Verified) -> None:
    for each in found.breaks:
        print(f"chain {each.chain} entry {each.number}: {each.wrong.value}")
    for one in found.checkpoints.values():
        print(
            f"chain {one.chain}: up to entry {one.number}, older than {one.before:%Y-%m-%d}, "
            f"removed {one.removed_at:%Y-%m-%d}"
        )
    if found.is_whole:
        print(f"{found.entries} entries, whole")
    else:
        print(
            f"{found.entries} entries, {found.broken} places are not as they were written → keep a "
            "copy of the database as it is, and tell who answers for the care"
        )


@audit.command(name="extract")
def extract_command(
    patient: int | None = None,
    *,
    since: date | None = None,
    until: date | None = None,
    config: ConfigFile = None,
) -> None:
    """Print, in Swedish, who has looked at a patient. That this was done is logged.

    Args:
        patient: Her number in this system. If it is not given her personal number is read from
            standard input: on a command line others could see it.
        since: The first day; five years ago if none.
        until: The last day; today if none.
        config: alerts' TOML file.
    """
    key = None if patient is not None else _asked_number()
    from_at, until_at = _period(since, until)
    try:
        _ask(config, lambda it: _extract(it, patient, key, from_at, until_at))
    except LookupError as error:
        _fail(str(error))


def _asked_number() -> str:
    if sys.stdin.isatty():
        print("Personnummer: ", end="", flush=True, file=sys.stderr)
    try:
        return identity.normalize(sys.stdin.readline())
    except IdentityError as error:
        _fail(f"the number {error}")


async def _extract(
    connection: Connection,
    patient_id: int | None,
    key: str | None,
    from_at: datetime,
    until_at: datetime,
) -> None:
    row = await (
        await connection.execute(
            "select patient_id from person where patient_id = %s or personal_number = %s",
            (patient_id, key),
        )
    ).fetchone()
    if row is None:
        problem = "there is no such patient"
        raise LookupError(problem)
    detail: dict[str, object] = {"account": operating_account()}
    entry = Entry(
        actor="system",
        action=Action.LOG_EXTRACTED.value,
        ground="operator",
        patient_id=row[0],
        detail=detail,
    )
    await append(connection, entry)  # before anything is shown
    count = 0
    async with connection.transaction():
        async for look in extract(connection, row[0], from_at, until_at):
            said = f"{words.done(look.action)} ({words.why(look.ground)})"
            print(f"{_clock(look.at)}  {words.who(look)}: {said}")
            count += 1
    print(f"{count} rader, {_day(from_at)} till och med {_day(until_at - timedelta(seconds=1))}.")


@audit.command(name="review")
def review_command(
    unit: str,
    *,
    since: date | None = None,
    until: date | None = None,
    sample: int = 20,
    reviewer: str | None = None,
    verdict: Verdict | None = None,
    note: str = "",
    config: ConfigFile = None,
) -> None:
    """Print a sample of what a unit's staff looked at, and emergencies nobody has reviewed.

    Args:
        unit: The unit's name.
        since: The first day; thirty days before the last if none.
        until: The last day; yesterday if none.
        sample: How many to draw.
        reviewer: The user name of who judges; nothing of her own is drawn.
        verdict: Sign the review with it.
        note: What was found; needed if it was not nothing.
        config: alerts' TOML file.
    """
    last = until or datetime.now(ZONE).date() - timedelta(days=1)
    from_at, until_at = _period(since or last - timedelta(days=30), last)
    if verdict is not None and reviewer is None:
        _fail("reviewer: missing → give the user name of who signs")
    asked = _Review(unit, from_at, until_at, sample, reviewer, verdict, note)
    _finish(config, lambda it: _review(it, asked), "Granskningen är signerad." if verdict else "")


@dataclass(frozen=True, slots=True)
class _Review:
    unit: str
    from_at: datetime
    until_at: datetime
    size: int
    reviewer: str | None
    verdict: Verdict | None
    note: str


async def _review(connection: Connection, asked: _Review) -> str:
    unit_id = await _unit(connection, asked.unit)
    who = None if asked.reviewer is None else await _staff(connection, asked.reviewer)
    drawn = await review.sample(
        connection,
        unit_id,
        asked.from_at,
        asked.until_at,
        size=asked.size,
        reviewer=None if who is None else who.staff_id,
    )
    for waiting in await emergency.unreviewed(connection, unit_id):
        print(
            f"NÖDÅTKOMST {waiting.access_id}  {_clock(waiting.from_at)}  {waiting.staff_name}: "
            f"patient {waiting.patient_id}: ”{waiting.why}”"
        )
    for look in drawn.looks:
        whom = f"lista med {look.listed}" if look.listed else f"patient {look.patient_id}"
        print(f"{_clock(look.at)}  {look.who}: {look.action}, {whom} ({words.why(look.ground)})")
    print(f"{len(drawn.looks)} av {drawn.entries} rader.")
    if who is None or asked.verdict is None:
        return ""
    answer = await review.sign(
        connection,
        who,
        unit_id,
        asked.from_at,
        asked.until_at,
        entries=drawn.entries,
        sampled=len(drawn.looks),
        verdict=asked.verdict,
        note=asked.note,
    )
    return "" if answer is review.Answer.DONE else _SIGN_REFUSED[answer]


_SIGN_REFUSED: Final = {
    review.Answer.NO_REVIEWER: "reviewer: is not appointed to review → give her that function",
    review.Answer.NO_NOTE: f"note: say what was found, in at most {review.NOTE_CHARS_MAX} letters",
    review.Answer.PERIOD: "until: the period must be over → give an earlier last day",
}
_EMERGENCY_REFUSED: Final = {
    emergency.Answer.NOT_FOUND: "there is no such access → see: python -m alerts audit review UNIT",
    emergency.Answer.OWN: "reviewer: opened it herself → let somebody else review it",
    emergency.Answer.NO_REVIEWER: (
        "reviewer: is not appointed to review → give her the function in the care record file"
    ),
    emergency.Answer.ALREADY: "somebody has reviewed it already",
    emergency.Answer.NO_REASON: "said: missing or too long → say what came of it",
}


@audit.command(name="emergency")
def emergency_command(
    access_id: int, *, reviewer: str, said: str, config: ConfigFile = None
) -> None:
    """Sign that an access in an emergency has been looked at.

    Args:
        access_id: Its number in ``audit review``.
        reviewer: The user name of who looked at it; not of who opened it.
        said: What came of it.
        config: alerts' TOML file.
    """

    async def reviewed(connection: Connection) -> str:
        who = await _staff(connection, reviewer)
        answer = await emergency.review(connection, who, access_id, said)
        return "" if answer is emergency.Answer.DONE else _EMERGENCY_REFUSED[answer]

    _finish(config, reviewed, "Nödåtkomsten är granskad.")


def _finish(
    config: Path | None, question: Callable[[Connection], Awaitable[str]], told: str
) -> None:
    """Run *question*; what it returns is why it was refused."""
    try:
        problem = _ask(config, question)
    except LookupError as error:
        _fail(str(error))
    if problem:
        _fail(problem)
    if told:
        print(told)


async def _unit(connection: Connection, name: str) -> int:
    found = await connection.execute("select unit_id from unit where name = %s", (name,))
    row = await found.fetchone()
    if row is None:
        problem = f"unit: there is none called {name!r}"
        raise LookupError(problem)
    return int(row[0])


async def _staff(connection: Connection, username: str) -> Viewer:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "select s.name, s.role, s.staff_id, s.unit_id from account a join staff s using (staff_id) "
        "where a.username = %s and a.ended_at is null and s.ended_at is null",
        (username,),
    )
    row = await cursor.fetchone()
    if row is None:
        problem = f"reviewer: no staff member logs in as {username!r}"
        raise LookupError(problem)
    return Viewer(**row)


def _period(since: date | None, until: date | None) -> tuple[datetime, datetime]:
    """Return the days as moments, by the clock on the wall; the last day is in it."""
    last = until or datetime.now(ZONE).date()
    first = since or last.replace(year=last.year - YEARS, day=min(last.day, 28))
    if first > last:
        _fail("since: comes after until")
    midnight = time(tzinfo=ZONE)
    return datetime.combine(first, midnight), datetime.combine(last + timedelta(1), midnight)


def _clock(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%Y-%m-%d %H:%M}"


def _day(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%Y-%m-%d}"


def _ask(path: Path | None, question: Callable[[Connection], Awaitable[T]]) -> T:
    try:
        settings = load(Config, path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)

    async def asked() -> T:
        async with await psycopg.AsyncConnection.connect(
            settings.database.conninfo(), autocommit=True, connect_timeout=CONNECT_S_MAX
        ) as connection:
            return await question(connection)

    try:
        return asyncio.run(asked())
    except psycopg.OperationalError as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        _fail(f"database.dsn: {settings.database.address()} cannot be used ({said})")
    except psycopg.errors.UndefinedTable:
        _fail("schema: the tables are not there → run: python -m alerts migrate")


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)
