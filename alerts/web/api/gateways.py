"""The fleet of gateways as a technician reads it. No patient is named here."""

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, Field

from alerts.fleet import queries, words
from alerts.fleet.gateway import Gateway, Urgency
from alerts.web.api.document import refusals
from alerts.web.api.example import AT, answers
from alerts.web.api.faults import GATEWAY, urgency
from alerts.web.api.time import Utc
from alerts.web.guard import Technician
from alerts.web.services import Services

router = APIRouter(tags=["technical"])

GatewayId = Annotated[str, Path(pattern=GATEWAY, examples=["g-prov"])]

_TROUBLE: Final = {
    "urgency": "now",
    "what": "Dosan är tyst.",
    "cure": "Kontrollera ström och nät i hemmet. Har dosan ström sparas mätningarna i den.",
    "device_id": None,
}
_LISTED: Final = {
    "gateway_id": "g-prov",
    "urgency": "now",
    "heard_at": AT,
    "outbox_count": 0,
    "people_count": 1,
    "lent_device_ids": ["C4:00:00:00:00:00"],
    "troubles": [_TROUBLE],
}


class GatewayTrouble(BaseModel):
    """One thing to see to."""

    model_config = answers(**_TROUBLE)

    urgency: str
    what: str = Field(description="In Swedish.")
    cure: str
    device_id: str | None


class ListedGateway(BaseModel):
    """A gateway, and what is wrong with it."""

    model_config = answers(**_LISTED)

    gateway_id: str
    urgency: str = Field(description="`now`, `soon`, `expected` (not heard yet) or `none`.")
    heard_at: Utc | None = Field(description="Null: never.")
    outbox_count: int | None = Field(description="Readings that wait in it; null: not known.")
    people_count: int = Field(description="At whose home it stands: how many, not who.")
    lent_device_ids: list[str]
    troubles: list[GatewayTrouble]


class Fleet(BaseModel):
    """The gateways in use, the most urgent first."""

    model_config = answers(gateways=[_LISTED], counts={"now": 1}, left_out_count=0)

    gateways: list[ListedGateway]
    counts: dict[str, int] = Field(description="How many of each urgency, also those left out.")
    left_out_count: int


class GatewayDevice(BaseModel):
    """A device as its gateway last told of it."""

    device_id: str
    battery_percent: int | None
    heard_at: Utc | None


class GatewayEvent(BaseModel):
    """Something that happened to it."""

    at: Utc
    kind: str
    text: str = Field(description="In Swedish.")


class OneGateway(ListedGateway):
    """A gateway, its devices, and what happened to it; the newest first."""

    model_config = answers(
        **_LISTED,
        registered_at=AT,
        retired_at=None,
        config_version=3,
        devices=[{"device_id": "C4:00:00:00:00:00", "battery_percent": 80, "heard_at": AT}],
        events=[{"at": AT, "kind": "revoked", "text": "Dosan ställdes av."}],
    )

    registered_at: Utc
    retired_at: Utc | None = Field(description="It may not send any more.")
    config_version: int | None
    devices: list[GatewayDevice]
    events: list[GatewayEvent]


@router.get("/gateways", operation_id="listGateways", summary="The fleet", responses=refusals())
async def listed(
    services: Services,
    _found: Technician,
    sought: Annotated[
        str, Query(max_length=64, description="Part of an id, or a device's address.")
    ] = "",
) -> Fleet:
    """Return the gateways in use, to a technician."""
    now = datetime.now(UTC)
    async with services.pool.connection() as connection:
        found = await queries.gateways(connection, now, sought.replace("\0", "").strip())
    return Fleet(
        gateways=[ListedGateway(**_shown(one, now)) for one in found.gateways],
        counts=_counts(found.counts),
        left_out_count=found.counts.total() - len(found.gateways),
    )


def _counts(counts: Counter[Urgency]) -> dict[str, int]:
    return {urgency(level): number for level, number in sorted(counts.items(), reverse=True)}


@router.get(
    "/gateways/{gateway_id}",
    operation_id="getGateway",
    summary="One gateway",
    responses=refusals(),
)
async def one_gateway(services: Services, _found: Technician, gateway_id: GatewayId) -> OneGateway:
    """Return a gateway, in use or not, to a technician."""
    now = datetime.now(UTC)
    async with services.pool.connection() as connection:
        gateway = await queries.gateway(connection, gateway_id)
        if gateway is None:
            raise HTTPException(404)
        history = await queries.history(connection, gateway_id)
    devices = gateway.status.devices if gateway.status else ()
    return OneGateway(
        **_shown(gateway, now),
        registered_at=gateway.registered_at,
        retired_at=gateway.retired_at,
        config_version=gateway.config_version,
        devices=[
            GatewayDevice(
                device_id=one.device_id,
                battery_percent=one.battery_percent,
                heard_at=one.heard_at,
            )
            for one in devices
        ],
        events=[
            GatewayEvent(at=line.at, kind=line.kind, text=words.event(line.kind, line.detail))
            for line in history
        ],
    )


def _shown(gateway: Gateway, now: datetime) -> dict[str, Any]:
    troubles = [(one, words.trouble(one)) for one in gateway.troubles(now)]
    return {
        "gateway_id": gateway.gateway_id,
        "urgency": urgency(gateway.urgency(now)),
        "heard_at": gateway.received_at,
        "outbox_count": gateway.status.outbox if gateway.status else None,
        "people_count": gateway.people,
        "lent_device_ids": sorted(gateway.lent),
        "troubles": [
            GatewayTrouble(
                urgency=urgency(one.urgency),
                what=told.what,
                cure=told.cure,
                device_id=one.device_id,
            )
            for one, told in troubles
        ],
    }
