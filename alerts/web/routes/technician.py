"""The technician's pages: the fleet of gateways, one of them, and what can be done with it.

No patient is named here, and no page here leads to one.
"""

# ruff: noqa: FAST003 - the dependency ``Asked`` takes the gateway's id from the address

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from psycopg import AsyncConnection

from alerts.enrolment import codes
from alerts.enrolment.revocation import revoke
from alerts.fleet import actions, queries, words
from alerts.fleet.actions import Answer
from alerts.fleet.gateway import DEVICE_QUIET, Gateway, Urgency
from alerts.technical import listed as fault_list
from alerts.technical import words as fault_words
from alerts.web.guard import OwnForm, Technician
from alerts.web.pages import fragment, page
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from devices.models import model_named
from devices.wire import DeviceStatus
from ingest.status import BATTERY_LOW_PERCENT

router = APIRouter(prefix="/teknik")

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, Form(max_length=200)]

# What a page may say after a redirect; anything else is not said.
_DONE = {
    "lent": "Mätaren är utlånad. Dosan får veta det om några sekunder.",
    "lent_home": words.ANSWERS[Answer.DONE_FOR_HOME],
    "returned": "Mätaren är återlämnad.",
    "passkey": "Numret är skickat till dosan.",
    "cancelled": "Ihopparningen är avbruten.",
    "revoked": "Dosan är avställd.",
    "fault_taken": "En annan tekniker har tagit det.",
    "fault_away": "Du står som frånvarande, och då kan du inte ta ett fel. Är du tillbaka? Be en"
    " samordnare avsluta din frånvaro.",
    "fault_gone": "Felet är redan över.",
}


@router.get("")
async def fleet_page(
    request: Request,
    services: Services,
    found: Technician,
    sok: Annotated[str, Query(max_length=64)] = "",
    klart: str = "",
) -> Response:
    """List the gateways, the most urgent first."""
    now = datetime.now(UTC)
    async with services.pool.connection() as connection:
        listed = await queries.gateways(connection, now, sok.strip())
        open_faults = await fault_list.listed(connection, now)
        pending = await codes.pending_codes(connection)
        retired = await queries.retired(connection)
    return page(
        request,
        "fleet.html",
        session=found,
        now=now,
        sought=sok.strip(),
        done=_DONE.get(klart, ""),
        gateways=listed.gateways,
        faults=open_faults,
        fault_words=fault_words,
        counts=listed.counts,
        pending=pending,
        retired=retired,
        can_enrol=services.registrar is not None,
        Urgency=Urgency,
        urgencies=words.URGENCIES,
        words=words,
    )


@router.post("/koder", dependencies=[OwnForm])
async def new_code(
    request: Request, services: Services, found: Technician, gateway_id: Text = ""
) -> Response:
    """Make an enrolment code, for a new gateway or one that there is; show it, this once."""
    if services.registrar is None:
        raise HTTPException(404)
    staff_id = _staff_id(found)
    async with services.pool.connection() as connection, connection.transaction():
        if gateway_id and await queries.gateway(connection, gateway_id) is None:
            raise HTTPException(404)
        made = await codes.new_code(connection, gateway_id or None, made_by=staff_id)
        if gateway_id:
            await actions.note(connection, gateway_id, "code_made", staff_id)
    server = _own_address(request, services)
    return page(request, "gateway_code.html", session=found, made=made, server=server)


def _own_address(request: Request, services: ServicesOf) -> str:
    """Return this site's address as the technician's browser knows it."""
    url = request.base_url
    # The proxy that ends TLS is not asked: where the cookie travels over HTTPS, the page did.
    return str(url.replace(scheme="https") if services.web.cookie_secure else url).rstrip("/")


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks for which gateway."""

    request: Request
    services: ServicesOf
    found: Session
    gateway_id: str


async def _asked(request: Request, services: Services, found: Technician, gateway_id: Id) -> _Asked:
    return _Asked(request, services, found, gateway_id)


Asked = Annotated[_Asked, Depends(_asked)]


@router.get("/{gateway_id}")
async def gateway_page(asked: Asked, klart: str = "") -> Response:
    """Show a gateway: what is wrong, its devices, what happened."""
    return await _gateway_page(asked, done=_DONE.get(klart, ""))


@router.get("/{gateway_id}/nu")
async def live(asked: Asked) -> Response:
    """Return the part of a gateway's page that follows a pairing."""
    async with asked.services.pool.connection() as connection:
        gateway = await _gateway(connection, asked.gateway_id)
        pairing = await queries.last_pairing(connection, asked.gateway_id)
    return HTMLResponse(
        fragment("_pairing.html", session=asked.found, **_pairing_context(gateway, pairing))
    )


@router.post("/{gateway_id}/matare", dependencies=[OwnForm])
async def lend(asked: Asked, device: Text = "", model: Text = "") -> Response:
    """Lend a device through this gateway."""
    async with asked.services.pool.connection() as connection:
        staff_id = _staff_id(asked.found)
        answer = await actions.lend(connection, staff_id, asked.gateway_id, device, model)
    told = {Answer.DONE: "lent", Answer.DONE_FOR_HOME: "lent_home"}
    return await _answer(asked, answer, told, typed=device)


@router.post("/{gateway_id}/retur", dependencies=[OwnForm])
async def take_back(asked: Asked, device: Text = "") -> Response:
    """Take a device back."""
    async with asked.services.pool.connection() as connection:
        staff_id, device_id = _staff_id(asked.found), device.strip().upper()
        answer = await actions.take_back(connection, staff_id, asked.gateway_id, device_id)
    return await _answer(asked, answer, {Answer.DONE: "returned"})


@router.post("/{gateway_id}/ihopparning", dependencies=[OwnForm])
async def ask_pairing(asked: Asked, model: Text = "", device: Text = "") -> Response:
    """Ask the gateway to pair with a device."""
    async with asked.services.pool.connection() as connection:
        staff_id = _staff_id(asked.found)
        answer = await actions.ask_pairing(connection, staff_id, asked.gateway_id, model, device)
    return await _answer(asked, answer, {Answer.DONE: ""}, typed_to_pair=device)


@router.post("/{gateway_id}/nummer", dependencies=[OwnForm])
async def give_passkey(asked: Asked, passkey: Text = "") -> Response:
    """Give the number that the device shows."""
    async with asked.services.pool.connection() as connection:
        answer = await actions.give_passkey(connection, asked.gateway_id, passkey)
    return await _answer(asked, answer, {Answer.DONE: "passkey"})


@router.post("/{gateway_id}/avbryt", dependencies=[OwnForm])
async def cancel_pairing(asked: Asked) -> Response:
    """Let the pairing be."""
    async with asked.services.pool.connection() as connection:
        answer = await actions.cancel_pairing(connection, _staff_id(asked.found), asked.gateway_id)
    return await _answer(asked, answer, {Answer.DONE: "cancelled"})


@router.get("/{gateway_id}/avstall")
async def revoke_page(asked: Asked) -> Response:
    """Ask whether it is meant."""
    async with asked.services.pool.connection() as connection:
        gateway = await _gateway(connection, asked.gateway_id)
    if gateway.retired_at is not None:
        return RedirectResponse(f"/teknik/{asked.gateway_id}", 303)
    return _revoke_page(asked, gateway)


@router.post("/{gateway_id}/avstall", dependencies=[OwnForm])
async def revoke_gateway(asked: Asked, sure: Text = "") -> Response:
    """Revoke a gateway: it may not send any more."""
    async with asked.services.pool.connection() as connection:
        gateway = await _gateway(connection, asked.gateway_id)
        if sure != "ja":
            told = "Kryssa i rutan först. Inget har ändrats."
            return _revoke_page(asked, gateway, told=told, status=422)
        async with connection.transaction():
            await revoke(connection, asked.gateway_id, by=_staff_id(asked.found))
            await actions.note(connection, asked.gateway_id, "revoked", _staff_id(asked.found))
    return RedirectResponse("/teknik?klart=revoked", 303)


def _revoke_page(asked: _Asked, gateway: Gateway, *, told: str = "", status: int = 200) -> Response:
    return page(
        asked.request,
        "gateway_revoke.html",
        session=asked.found,
        status=status,
        gateway=gateway,
        told=told,
    )


def _staff_id(found: Session) -> int:
    assert found.viewer.staff_id is not None  # a technician is one of the staff
    return found.viewer.staff_id


async def _gateway(connection: AsyncConnection, gateway_id: str) -> Gateway:
    gateway = await queries.gateway(connection, gateway_id)
    if gateway is None:
        raise HTTPException(404)
    return gateway


async def _answer(
    asked: _Asked,
    answer: Answer,
    told: Mapping[Answer, str],
    *,
    typed: str = "",
    typed_to_pair: str = "",
) -> Response:
    """Go back to the page; if it was not done, show it again with the reason."""
    if answer in told:
        said = f"?klart={told[answer]}" if told[answer] else ""
        return RedirectResponse(f"/teknik/{asked.gateway_id}{said}", 303)
    return await _gateway_page(
        asked,
        refused=words.ANSWERS[answer],
        typed=typed,
        typed_to_pair=typed_to_pair,
        status=409,
    )


async def _gateway_page(
    asked: _Asked,
    *,
    done: str = "",
    refused: str = "",
    typed: str = "",
    typed_to_pair: str = "",
    status: int = 200,
) -> Response:
    async with asked.services.pool.connection() as connection:
        gateway = await _gateway(connection, asked.gateway_id)
        history = await queries.history(connection, asked.gateway_id)
        pairing = await queries.last_pairing(connection, asked.gateway_id)
    context = _pairing_context(gateway, pairing, typed_to_pair)
    now: datetime = context["now"]
    return page(
        asked.request,
        "gateway.html",
        session=asked.found,
        status=status,
        done=done,
        refused=refused,
        typed=typed,
        history=history,
        devices=_devices(gateway),
        quiet=DEVICE_QUIET,
        battery_low=BATTERY_LOW_PERCENT,
        can_enrol=asked.services.registrar is not None,
        urgencies=words.URGENCIES,
        urgency=gateway.urgency(now),
        troubles=gateway.troubles(now),
        **context,
    )


def _devices(gateway: Gateway) -> list[tuple[DeviceStatus, bool]]:
    """Return what is known of each device, and whether it is lent here; lent ones first."""
    said = gateway.status.devices if gateway.status else ()
    told = {each.device_id: each for each in said}
    lent = [
        (told.get(device_id, DeviceStatus(device_id=device_id, model=model)), True)
        for device_id, model in sorted(gateway.lent.items())
    ]
    others = [(each, False) for key, each in sorted(told.items()) if key not in gateway.lent]
    return lent + others


def _pairing_context(
    gateway: Gateway, pairing: queries.Pairing | None, typed: str = ""
) -> dict[str, Any]:
    model = model_named(pairing.model) if pairing else None
    return {
        "now": datetime.now(UTC),
        "gateway": gateway,
        "pairing": pairing,
        "typed_to_pair": typed,
        "how_to_pair": model.how_to_pair_sv if model else "",
        "words": words,
    }
