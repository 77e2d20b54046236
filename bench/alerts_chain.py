"""From a breach to the open worklist, while ingest carries half of what it can.

``python bench/alerts_chain.py`` runs Mosquitto, PostgreSQL, two ingest workers and alerts, sends 20
readings a message as fast as the chain takes them, and then half as fast (1 % of them breaking a
limit: ten times the alerts that a programme bears). Beside it, one probe after the other measures
too high, each a patient of a nurse whose worklist is open; what is timed is from its sending to the
arrival of its row there. Mosquitto, database, publisher and all share the machine. Figures last.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the packages

import asyncio  # noqa: E402

import httpx  # noqa: E402
import paho.mqtt.client as mqtt  # noqa: E402
import psycopg  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402

from alerts.schema import SOURCES  # noqa: E402
from alerts.web import session  # noqa: E402
from bench.chain import Servers, ingest, publish, servers  # noqa: E402
from bench.county import make_load  # noqa: E402
from devices import wire  # noqa: E402
from devices.quantity import Quantity  # noqa: E402
from devices.reading import ClockVerdict, Outcome, Reading, Value  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.embedded.child import free_port  # noqa: E402

PROBES = 200
PER_MESSAGE = 20
FULL_READINGS = 200_000
PROBE_EVERY_S = 0.15
FIRST_PROBE = 1_000_001
WAIT_S_MAX = 30.0

_FILL = """
insert into unit (unit_id, name, phone, hours) overriding system value values (1, 'Enhet', '', '');
insert into staff (staff_id, unit_id, name, role, phone) overriding system value
select s, 1, 'Sköterska ' || s, 'sjuksköterska', '' from generate_series(1, 30) s;
insert into staff_function (staff_id, name) select staff_id, 'care' from staff;
insert into channel (staff_id, kind, address, verified_at)
select staff_id, 'email', staff_id || '@example.org', now() from staff;
insert into account (account_id, username, staff_id) overriding system value values (1, 'n', 1);
insert into gateway (gateway_id) values ('g-probe');
insert into patient (patient_id) overriding system value
select n from generate_series(%(first)s, %(last)s) n;
insert into device_loan (patient_id, device_id, lent_from)
select n, 'C4:BE:' || n, now() - interval '1 year' from generate_series(%(first)s, %(last)s) n;
insert into plan_version (plan_version_id, patient_id, in_force_from) overriding system value
select n, n, now() - interval '1 year' from generate_series(%(first)s, %(last)s) n;
insert into plan_limit (plan_version_id, quantity_id, yellow_high)
select n, %(systolic)s, 160 from generate_series(%(first)s, %(last)s) n;
insert into person (patient_id, unit_id, given_name, family_name, personal_number, born_on, phone,
                    diagnosis)
select patient_id, 1, 'Test', 'Person', 'bench-' || patient_id, '1944-01-01', '', ''
from patient where not is_canary;
insert into care_contact (patient_id, staff_id, from_at)
select patient_id, case when patient_id < %(first)s then 2 + patient_id %% 29 else 1 end, now()
from person;
"""


def main() -> None:
    """Fill, load, probe, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=PROBES)
    parser.add_argument("--idle", action="store_true", help="without any load")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
        directory = Path(place)
        with servers("plain", None, directory) as found:
            migrate(found.database.dsn(), SOURCES)
            _fill(found.database.dsn())
            with ingest(found, 2) as workers, _alerts(found) as port:
                pids = found.pids(*workers)
                if options.idle:
                    print(_line("no load", _probe(found, port, options.probes)))
                    return
                full = publish(found, make_load(FULL_READINGS, PER_MESSAGE, 1), pids)
                rate = FULL_READINGS / PER_MESSAGE / full.sent.answered_s
                print(f"full: {rate * PER_MESSAGE:,.0f} readings/s", flush=True)
                size = int(options.probes * PROBE_EVERY_S * 2 * rate / 2) * PER_MESSAGE
                load = make_load(size, PER_MESSAGE, 2)
                thread = threading.Thread(
                    target=publish, args=(found, load, pids), kwargs={"rate": rate / 2}
                )
                thread.start()
                took = _probe(found, port, options.probes)
                ended = "after" if thread.is_alive() else "BEFORE"
                thread.join()
                print(f"the load ended {ended} the probes")
                print(_line(f"half load, {rate * PER_MESSAGE / 2:,.0f} readings/s", took))


def _line(what: str, took: list[float]) -> str:
    took.sort()
    p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
    return (
        f"breach sent to row on the open worklist, {what}: p50 {p50:.0f} ms, p99 {p99:.0f} ms,"
        f" slowest {took[-1] * 1000:.0f} ms, {len(took)} probes"
    )


def _fill(dsn: str) -> None:
    numbers = {
        "first": FIRST_PROBE,
        "last": FIRST_PROBE + PROBES - 1,
        "systolic": Quantity.SYSTOLIC.facts.id,
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in filter(str.strip, _FILL.split(";")):
            psycopg.ClientCursor(connection).execute(statement, numbers)
        connection.execute("vacuum analyze")


@contextmanager
def _alerts(found: Servers) -> Iterator[int]:
    """Run alerts, and return its port."""
    port, log = free_port(), found.directory / "alerts.log"
    environment = {
        **os.environ,
        "EGENMONITOR_ALERTS__DATABASE__DSN": found.database.dsn(),
        "EGENMONITOR_ALERTS__WEB__PORT": str(port),
        "EGENMONITOR_ALERTS__WEB__COOKIE_SECURE": "false",
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "alerts", "run"], env=environment, cwd=ROOT, stderr=file
        )
    while b"alerts.ready" not in log.read_bytes():
        if process.poll() is not None:
            sys.exit(f"alerts does not start: {log.read_text()}")
        time.sleep(0.05)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass(slots=True)
class _List:
    """A nurse's open worklist: which patients' rows have arrived when."""

    seen: dict[int, float]
    changed: threading.Condition
    is_open: bool = False

    def arrival(self, patient: int) -> float:
        """Wait for a patient's row and return when it came."""
        with self.changed:
            if not self.changed.wait_for(lambda: patient in self.seen, WAIT_S_MAX):
                sys.exit(f"patient {patient} did not appear within {WAIT_S_MAX:g} s")
            return self.seen[patient]

    def follow(self, port: int, token: str) -> None:
        """Read the stream for ever."""
        address = f"http://127.0.0.1:{port}/events"
        with httpx.stream("GET", address, cookies={"session": token}, timeout=60) as answer:
            if answer.status_code != httpx.codes.OK:
                sys.stderr.write(f"{address}: {answer.status_code}\n")
                return
            for line in answer.iter_lines():
                if not line.startswith("data:") or '"rows"' not in line:
                    continue
                now = time.monotonic()
                rows = json.loads(line[5:])["rows"].values()
                with self.changed:
                    self.is_open = True
                    for row in rows:
                        patient = int(row.split("/patients/", 1)[1].split("#", 1)[0])
                        self.seen.setdefault(patient, now)
                    self.changed.notify_all()


def _probe(found: Servers, port: int, probes: int) -> list[float]:
    """Let one patient after the other measure too high; returns the seconds each took."""
    token = asyncio.run(_token(found.database.dsn()))
    listed = _List({}, threading.Condition())
    threading.Thread(target=listed.follow, args=(port, token), daemon=True).start()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "g-probe", protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", found.broker.port)
    client.loop_start()
    took = []
    with listed.changed:
        if not listed.changed.wait_for(lambda: listed.is_open, WAIT_S_MAX):
            sys.exit(f"no worklist opened within {WAIT_S_MAX:g} s")
    for patient in range(FIRST_PROBE, FIRST_PROBE + probes):
        sent_at = time.monotonic()
        client.publish(wire.topic("g-probe", wire.TopicKind.READINGS), _message(patient), qos=1)
        took.append(listed.arrival(patient) - sent_at)
        _close(found, patient)
        time.sleep(max(0.0, PROBE_EVERY_S - (time.monotonic() - sent_at)))
    client.disconnect()
    return took


def _message(patient: int) -> bytes:
    now = datetime.now(UTC)
    reading = Reading(
        reading_id=uuid4(),
        device_id=f"C4:BE:{patient}",
        source="2a35",
        payload="1e80005100",
        outcome=Outcome.MEASURED,
        measured_at=now,
        received_at=now,
        clock=ClockVerdict.OK,
        values=tuple(
            Value(quantity=q.value, value=v, unit=q.facts.unit)
            for q, v in ((Quantity.SYSTOLIC, 165.0), (Quantity.DIASTOLIC, 85.0))
        ),
    )
    return wire.encode_message("g-probe", now, [reading])


async def _token(dsn: str) -> str:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        return await session.start(connection, 1)


def _close(found: Servers, patient: int) -> None:
    """Take the row away, as a nurse would."""
    found.do(
        f"update alert set state = 'closed', changed_at = now() where patient_id = {patient}",
        "update alert_case set closed_by = 1, closed_at = now(), outcome = 'contacted'"
        f" where alert_id in (select alert_id from alert where patient_id = {patient})",
    )


if __name__ == "__main__":
    main()
