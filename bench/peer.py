"""The peer: mq-bridge (Rust core) carrying flat readings from MQTT into one PostgreSQL table.

``python bench/peer.py PORT URL TOPIC CLIENT`` runs until it is ended. It gets what it does best: no
rules, no receipts, no plausibility, each message one flat JSON object whose fields are the table's
columns, COPY in batches.
"""

import importlib
import sys

TABLE = """
create table bridged (
    reading_id text not null,
    device_id text not null,
    measured_at text not null,
    systolic double precision,
    diastolic double precision,
    pulse double precision,
    at timestamptz not null default clock_timestamp()
)
"""
COLUMNS = ("reading_id", "device_id", "measured_at", "systolic", "diastolic", "pulse")
BATCH = 10_000
IN_FLIGHT = 20_000


def configuration(port: int, dsn: str, topic: str, client_id: str) -> dict[str, object]:
    """Return the route from the broker's *topic* into the table ``bridged``."""
    fields = ", ".join(f"${{payload:{name}}}" for name in COLUMNS)
    return {
        "input": {
            "mqtt": {
                "url": f"tcp://127.0.0.1:{port}",
                "topic": topic,
                "client_id": client_id,
                "qos": 1,
                "clean_session": False,
                "session_expiry_interval": 3600,
                "max_inflight": IN_FLIGHT,
                "queue_capacity": IN_FLIGHT,
            }
        },
        "output": {
            "sqlx": {
                "url": dsn,
                "table": "bridged",
                "insert_query": f"insert into bridged ({', '.join(COLUMNS)}) values ({fields})",
                "bulk_copy": True,
                "max_connections": 2,
            }
        },
        "batch_size": BATCH,
    }


def main() -> None:
    """Carry until ended."""
    # Not at the top: the benchmark reads TABLE where the peer is not installed.
    route = importlib.import_module("mq_bridge").Route.from_config(
        configuration(int(sys.argv[1]), *sys.argv[2:5])
    )
    route.run()


if __name__ == "__main__":
    main()
