"""Readings, drivers' raw values and settings that the gateway's tests share."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from devices.reading import ClockVerdict, Outcome, Reading, Value, identify

START = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
DEVICE = "C4:64:E3:00:00:01"


def reading(number: int, *, device_id: str = DEVICE) -> Reading:
    """Return the *number*-th of endlessly many different readings."""
    at = START + timedelta(minutes=number)
    payload = number.to_bytes(4, "little")
    return Reading(
        reading_id=identify(
            device_id=device_id,
            device_time=at.replace(tzinfo=None),
            received_at=at,
            slot=None,
            payload=payload,
        ),
        device_id=device_id,
        source="2a35",
        payload=payload.hex(),
        outcome=Outcome.MEASURED,
        measured_at=at,
        received_at=at,
        clock=ClockVerdict.OK,
        values=(Value(quantity="systolic", value=120.0 + number % 50, unit="mm[Hg]"),),
    )


def ids(readings: list[Reading]) -> list[UUID]:
    return [each.reading_id for each in readings]


def toml(
    directory: Path,
    *,
    transport: str = "tcp-client:127.0.0.1:9",
    port: int = 9,
    resend_s: float = 1,
) -> Path:
    """Write a gateway's configuration file for tests; return its path."""
    path = directory / "gateway.toml"
    path.write_text(
        f"""
        gateway_id = "g-test"
        data_dir = "{directory / "data"}"
        [radio]
        backend = "bumble"
        transport = "{transport}"
        [session]
        idle_s = 1.0
        [uplink]
        host = "127.0.0.1"
        port = {port}
        resend_after_s = {resend_s}
        [clock]
        doubt_after_boot_s = 0
        [heartbeat]
        interval_s = 1
        [log]
        format = "json"
        """
    )
    return path


def gateway(
    command: str, config: Path, *options: str, environment: Mapping[str, str] = os.environ
) -> subprocess.Popen[str]:
    """Start ``python -m gateway``."""
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", command, "--config", str(config), *options],
        env=dict(environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
