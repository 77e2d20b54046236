"""The canary: a reading that goes the whole way, and what is said when it does not."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from ingest.canary import Canary, NotSetUp
from ingest.canary.patient import cuffs, set_up
from ingest.config import Config
from ingest.plausibility import READINGS_PER_HOUR_USUAL
from simulator.embedded.broker import EmbeddedBroker, Mosquitto
from simulator.embedded.child import free_port
from tests.conftest import missing
from tests.ingest.county import County
from tests.ingest.process import running, until

GATEWAY_ID = "g-canary"
# So that three beats take no time; who asks for it in a file is refused.
OFTEN_S = 0.2
INCIDENTS = "select kind, detail from incident where closed_at is null"
BEATS = "select failed, stored_s, breach_s, alert_s, receipt_s from canary_beat order by beat_id"


def environment(county: County, broker_port: int, **more: str) -> dict[str, str]:
    return {
        "EGENMONITOR_INGEST__DATABASE__DSN": county.dsn,
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        "EGENMONITOR_INGEST__BROKER__PORT": str(broker_port),
        "EGENMONITOR_INGEST__CANARY__GATEWAY_ID": GATEWAY_ID,
        **more,
    }


def canary(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ingest", "canary", *words]
    return subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False
    )


@contextmanager
def beating(county: County, broker_port: int, directory: Path) -> Iterator[dict[str, str]]:
    """A worker without a canary of its own, a canary that is set up, and how to ask for her."""
    variables = environment(county, broker_port)
    done = canary("set-up", **variables)
    assert done.returncode == 0, done.stderr
    with running(directory, county.dsn, broker_port):
        yield variables


def set_up_here(county: County) -> None:
    async def set_up_once() -> None:
        async with await psycopg.AsyncConnection.connect(county.dsn, autocommit=True) as connection:
            await set_up(connection, GATEWAY_ID, 300.0)

    asyncio.run(set_up_once())


class Told:
    """Is told of beats."""

    def __init__(self) -> None:
        self.beats: list[tuple[set[str], str]] = []
        self.at_s: list[float] = []

    def canary(self, legs: dict[str, float | None], failed: str) -> None:
        self.beats.append((set(legs), failed))
        self.at_s.append(time.monotonic())


def here(
    county: County, port: int, told: Told | None = None, *, most_s: float = 2.0, **more: str
) -> Canary:
    """Return her, for this process."""
    hers = {
        "gateway_id": GATEWAY_ID,
        "beat_s_max": most_s,
        "broker": {"host": "127.0.0.1", "port": port, **more},
    }
    config = Config.model_validate(
        {"database": {"dsn": county.dsn}, "broker": {"host": "nowhere.invalid"}, "canary": hers}
    )
    assert config.canary is not None
    often = config.canary.model_copy(update={"every_s": OFTEN_S})
    return Canary(config, often, told)


def beat_here(county: County, port: int, *, most_s: float = 2.0, **more: str) -> str:
    """Let her beat in this process, for two seconds at most; return what failed."""
    told = Told()
    failed = asyncio.run(here(county, port, told, most_s=most_s, **more).once()).failed
    assert [how for _, how in told.beats] == [failed]
    return failed


class Denying(Mosquitto):
    """Lets everybody read and nobody write."""

    def configuration(self) -> str:
        rights = self.log_file.with_name("acl")
        rights.write_text("topic read #\n")
        rights.chmod(0o644)
        return f"{super().configuration()}acl_file {rights}\n"


def test_she_has_as_many_cuffs_as_nobody_doubts() -> None:
    for every_s in (60.0, 300.0, 3600.0):
        assert 3600 / every_s / cuffs(every_s) < READINGS_PER_HOUR_USUAL
    assert cuffs(300.0) == 5


@pytest.mark.timeout(120)
def test_a_beat_goes_the_whole_way_and_leaves_nothing_open(
    plain_county: County, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with beating(plain_county, embedded_broker.port, tmp_path) as variables:
        assert canary("set-up", **variables).returncode == 0  # harmless to repeat
        plain_county.connection.execute(
            "insert into incident (kind, detail) values ('canary', 'of last night')"
        )
        plain_county.connection.execute(
            "insert into canary_beat (reading_id, sent_at)"
            " values (gen_random_uuid(), now() - interval '31 days')"
        )
        done = canary(**variables)
        assert done.returncode == 0, done.stderr
        assert "the canary is well: stored" in done.stdout
        # What she looks for is an alert of her own, and not one that an earlier beat left open.
        plain_county.connection.execute("update alert set state = 'open'")
        assert beat_here(plain_county, embedded_broker.port, most_s=60.0) == ""
    beats = plain_county.rows(BEATS)
    assert len(beats) == 2  # the old one is gone
    for failed, *legs in beats:
        assert failed == ""
        assert all(0 <= leg < 60 for leg in legs)
    assert plain_county.rows(
        "select count(*), count(distinct device_id), sum(suspicion) from reading"
    ) == [(2, 2, 0)]
    assert (
        plain_county.rows(
            "select state, level, is_canary from alert join patient using (patient_id)"
        )
        == [("closed", 2, True)] * 2
    )
    assert plain_county.rows("select closed_at is null from incident") == [(False,)]
    assert plain_county.rows("select count(*) from patient where is_canary") == [(1,)]


def test_a_leg_that_breaks_is_named_and_an_incident_until_it_is_whole(
    plain_county: County, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    broken = {
        # No receipt, no row: nobody has her cuffs.
        "stored": "update device_loan set returned_at = now() where device_id like 'canary%%'"
        " and device_id <> 'canary-cuff-1'; update device_loan"
        " set lent_from = now() + interval '1 day' where device_id = 'canary-cuff-1'",
        # A limit too wide: no breach of it.
        "breach": "update device_loan set lent_from = now() - interval '1 day'"
        " where device_id = 'canary-cuff-1'; update plan_limit l set yellow_high = 250,"
        " red_high = 260 from plan_version v join patient p using (patient_id)"
        " where p.is_canary and l.plan_version_id = v.plan_version_id",
        # An alert that nobody sees.
        "alert": "update plan_limit set yellow_high = 160, red_high = 180;"
        " create function at_once() returns trigger language plpgsql"
        " as $$begin new.state := 'closed'; return new; end$$;"
        " create trigger at_once before insert or update on alert"
        " for each row execute function at_once()",
    }
    set_up_here(plain_county)
    with running(tmp_path, plain_county.dsn, embedded_broker.port):
        for leg, change in broken.items():
            plain_county.connection.execute(change)
            assert beat_here(plain_county, embedded_broker.port) == leg
            assert plain_county.rows(
                "select kind, detail like %s from incident where closed_at is null", f"%'{leg}'%"
            ) == [("canary", True)]
        assert beat_here(plain_county, free_port()) == "broker"
        plain_county.connection.execute("drop trigger at_once on alert")
        assert beat_here(plain_county, embedded_broker.port, most_s=60.0) == ""
    assert plain_county.rows(INCIDENTS) == []
    seen = [
        (failed, [leg is not None for leg in legs]) for failed, *legs in plain_county.rows(BEATS)
    ]
    assert seen == [
        ("stored", [False, False, False, False]),
        ("breach", [True, False, False, True]),
        ("alert", [True, True, False, True]),
        ("broker", [False, False, False, False]),
        ("", [True, True, True, True]),
    ]


def test_what_the_broker_denies_her_is_the_broker_s_leg(
    plain_county: County, tmp_path: Path
) -> None:
    """Who looked at the workers, since no row was seen, would look in the wrong place."""
    if Mosquitto.program() is None:
        missing("mosquitto", "not installed")
    set_up_here(plain_county)
    with Denying(tmp_path) as broker:
        assert beat_here(plain_county, broker.port) == "broker"
    ((kind, detail),) = plain_county.rows(INCIDENTS)
    assert kind == "canary"
    assert "the broker refuses publishing readings: Not authorized" in detail


def test_a_certificate_that_is_none_is_an_incident_and_not_a_database_that_is_away(
    plain_county: County, tmp_path: Path
) -> None:
    set_up_here(plain_county)
    authority = tmp_path / "ca.pem"
    authority.write_text("no certificate")
    assert beat_here(plain_county, free_port(), ca_file=str(authority)) == "broker"
    ((kind, detail),) = plain_county.rows(INCIDENTS)
    assert kind == "canary"
    assert "her certificate, key or password" in detail
    assert plain_county.rows(BEATS) == [("broker", None, None, None, None)]


async def test_beats_come_one_after_the_other_with_a_pause_and_each_is_told(
    plain_county: County, tmp_path: Path
) -> None:
    await asyncio.to_thread(set_up_here, plain_county)
    authority = tmp_path / "ca.pem"
    authority.write_text("no certificate")  # so that each fails at once
    told = Told()
    beating = asyncio.create_task(here(plain_county, 1, told, ca_file=str(authority)).run())
    async with asyncio.timeout(20):
        while len(told.beats) < 3:  # noqa: ASYNC110 - she tells nobody who waits
            await asyncio.sleep(0.01)
    beating.cancel()
    with suppress(asyncio.CancelledError):
        await beating
    assert told.beats == [(set(), "broker")] * 3
    first, _, third = told.at_s
    assert third - first > 2 * OFTEN_S - 0.1


def test_a_canary_that_was_never_set_up_is_an_incident(plain_county: County) -> None:
    with pytest.raises(NotSetUp):
        beat_here(plain_county, free_port())
    ((kind, detail),) = plain_county.rows(INCIDENTS)
    assert kind == "canary"
    assert "ingest canary set-up" in detail


def test_a_database_without_tables_is_said_with_its_cure(plain_database: str) -> None:
    variables = {
        "EGENMONITOR_INGEST__DATABASE__DSN": plain_database,
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        "EGENMONITOR_INGEST__CANARY__GATEWAY_ID": GATEWAY_ID,
    }
    done = canary(**variables)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["schema: the tables are not there, or old → run: python -m ingest migrate"],
    )


@pytest.mark.timeout(120)
def test_one_of_several_workers_beats_and_another_when_it_is_gone(
    plain_county: County, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    set_up_here(plain_county)
    named = {"EGENMONITOR_INGEST__CANARY__GATEWAY_ID": GATEWAY_ID}
    (tmp_path / "other").mkdir()
    with (
        running(tmp_path, plain_county.dsn, embedded_broker.port, **named) as worker,
        running(tmp_path / "other", plain_county.dsn, embedded_broker.port, **named) as other,
    ):
        until(
            lambda: any("canary.well" in each.log() for each in (worker, other)),
            lambda: worker.log() + other.log(),
        )
        first, second = sorted((worker, other), key=lambda each: "canary.leads" not in each.log())
        # It has asked whether it leads, and does not.
        standing_by = (
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and application_name = 'egenmonitor-ingest-canary'"
            " and state = 'idle' and query like 'select pg_try_advisory_lock%%'"
        )
        until(lambda: plain_county.one(standing_by) == 1, second.log)
        assert "canary.leads" not in second.log()
        first.kill()
        second.wait_for("canary.well")


def test_a_gateway_of_somebody_s_is_not_taken(plain_county: County) -> None:
    variables = environment(plain_county, 1)
    variables["EGENMONITOR_INGEST__CANARY__GATEWAY_ID"] = "g-test"
    done = canary("set-up", **variables)
    assert done.returncode == 1
    assert done.stderr.startswith("canary.gateway_id: g-test is somebody's")
    assert plain_county.rows("select count(*) from patient where is_canary") == [(0,)]


@pytest.mark.parametrize("words", [[], ["set-up"]], ids=str)
def test_without_a_canary_in_the_configuration_its_key_is_named(
    words: list[str], plain_county: County
) -> None:
    variables = environment(plain_county, 1)
    del variables["EGENMONITOR_INGEST__CANARY__GATEWAY_ID"]
    done = canary(*words, **variables)
    assert (done.returncode, done.stderr.split(":")[0]) == (1, "canary")
