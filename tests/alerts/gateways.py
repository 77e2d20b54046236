"""A small fleet in the world: gateways that say how they are, by ingest's own code."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from devices.wire import (
    Bond,
    Condition,
    ConditionCode,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    PairingStatus,
    PairingStep,
    RadioStep,
)
from ingest import fleet, lending
from ingest.status import Said
from tests.alerts.world import GATEWAY, World, device

NOW = datetime.now(UTC).replace(microsecond=0)
STRAY = "C4:64:E3:00:00:09"


def register(world: World, *gateway_ids: str, ago: timedelta = timedelta(days=3)) -> None:
    for gateway_id in gateway_ids:
        world.connection.execute(
            "insert into gateway (gateway_id, registered_at) values (%s, now() - %s) "
            "on conflict (gateway_id) do update set registered_at = excluded.registered_at",
            (gateway_id, ago),
        )


async def say(
    world: World,
    gateway_id: str = GATEWAY,
    *,
    ago: timedelta = timedelta(),
    state: GatewayState = GatewayState.ONLINE,
    **status: Any,
) -> None:
    """Let a gateway tell its status, as ingest would hear it."""
    at = datetime.now(UTC) - ago
    said = Said(
        gateway_id,
        GatewayStatus(v=1, gateway=gateway_id, state=state, at=at, **status),
        is_retained=False,
        arrived_at=at,
    )
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        await fleet.store(connection, [said], [])


async def renew(world: World) -> None:
    """Make the configurations, as ingest does when it is woken."""
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        await lending.renew(connection, None)


def stand(world: World, *keys: str, gateway_id: str = GATEWAY) -> None:
    """Let a gateway stand at the patients' home."""
    for key in keys:
        world.connection.execute(
            "insert into gateway_home (gateway_id, patient_id, from_at) "
            "values (%s, %s, now() - interval '1 day')",
            (gateway_id, world.patient(key)),
        )


async def follow(world: World, step: PairingStep, **more: Any) -> None:
    """Let the gateway tell how the pairing that goes on stands."""
    request_id = world.one("select request_id from pairing_request where ended_at is null")
    await say(world, pairing=PairingStatus(request_id=request_id, step=step, **more))


async def unwell(world: World) -> None:
    """Let the world's gateway have about everything that can be wrong."""
    stand(world, "marta")
    register(world, GATEWAY, "g-tyst", "g-frisk", "g-ny", "g-batteri")
    await renew(world)
    await say(
        world,
        version="2026.11.0",
        outbox=12,
        oldest_at=NOW - timedelta(hours=3),
        last_reading_at=NOW - timedelta(hours=3),
        radio="scanning",
        radio_steps=(
            RadioStep(at=NOW - timedelta(hours=2), step="scanner_restarted"),
            RadioStep(at=NOW - timedelta(minutes=110), step="adapter_power_cycled"),
            RadioStep(at=NOW - timedelta(minutes=109), step="heard_again"),
        ),
        problems=("feedback.command: /opt/light cannot be started (No such file or directory)",),
        conditions=(
            Condition(code=ConditionCode.STORAGE_FULL),
            Condition(code=ConditionCode.FEEDBACK_FAILED),
            Condition(code=ConditionCode.CONFIG_REFUSED),
            Condition(code=ConditionCode.BOND_LOST, device_id=device("marta")),
            Condition(code="something_newer"),
        ),
        devices=(
            DeviceStatus(
                device_id=device("marta"),
                model="omron_hem7xxx",
                heard_at=NOW - timedelta(days=4),
                served_at=NOW - timedelta(days=4),
                battery_percent=12,
                firmware="1.02",
                clock_offset_s=3725.0,
                clock_set=True,
                bond=Bond.LOST,
            ),
            DeviceStatus(device_id=STRAY, model="beurer_bf", heard_at=NOW, clock_offset_s=-90.0),
        ),
        config_version=1,
        config_refused="this version knows no model x",
        certificate_until=NOW + timedelta(days=9, hours=1),
        storage_free_bytes=812 * 1024 * 1024,
        started_at=NOW - timedelta(days=2),
    )
    await say(world, "g-tyst", ago=timedelta(minutes=40), version="2026.11.0")
    await say(
        world,
        "g-frisk",
        version="2026.11.0",
        certificate_until=NOW + timedelta(days=60),
        started_at=NOW,
    )
    battery = DeviceStatus(device_id="C4:00:00:00:00:77", battery_percent=5, bond=Bond.PROVEN)
    await say(world, "g-batteri", version="2026.11.0", devices=(battery,))
