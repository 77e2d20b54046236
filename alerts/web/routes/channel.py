"""Mina kanaler: how the viewer is reached, and a test that shows whether it works."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import Response

from alerts.channels import verify
from alerts.channels.message import Kind
from alerts.channels.verify import Asked, Confirmed
from alerts.sending import store
from alerts.web.guard import OwnForm, Staff
from alerts.web.pages import page
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session

router = APIRouter(prefix="/kanaler")

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]

_KINDS: Final = {Kind.EMAIL: "E-post", Kind.SMS: "SMS", Kind.APPRISE: "Annan tjänst"}
_ASKED: Final = {
    Asked.SENT: "Vi har skickat en kod. Skriv den här nedanför när den har kommit.",
    Asked.NOT_SENT: "Meddelandet gick inte att skicka. Larm når dig inte den vägen. "
    "Stämmer adressen? Säg till den som sköter systemet.",
    Asked.TOO_OFTEN: "Du har testat många gånger. Vänta en timme och försök igen.",
    Asked.NO_CARRIER: "Sådana meddelanden skickas inte härifrån. Larm når dig inte den vägen. "
    "Säg till den som sköter systemet.",
}
_CONFIRMED: Final = {
    Confirmed.YES: "Koden stämmer. Larm kan nå dig den vägen.",
    Confirmed.WRONG: "Koden stämmer inte. Läs den en gång till och försök igen.",
    Confirmed.TOO_LATE: "Koden gäller inte längre. Testa kanalen igen, så får du en ny.",
}
_GOOD: Final = (Asked.SENT, Confirmed.YES)
_CODE_CHARS_MAX: Final = 40


@router.get("")
async def channels_page(request: Request, services: Services, found: Staff) -> Response:
    """Show how the viewer is reached."""
    return await _page(request, services, found)


@router.post("/{channel_id}/testa", dependencies=[OwnForm])
async def test(request: Request, services: Services, found: Staff, channel_id: Id) -> Response:
    """Send a code to one of the viewer's channels."""
    if services.carriers is None:
        raise HTTPException(404)
    async with services.pool.connection() as connection:
        at = await store.now(connection)
        asked = await verify.ask(connection, services.carriers, _id(found), channel_id, at)
    if asked is Asked.NOT_FOUND:
        raise HTTPException(404)
    return await _page(request, services, found, said=_ASKED[asked], is_good=asked in _GOOD)


@router.post("/{channel_id}/kod", dependencies=[OwnForm])
async def confirm(
    *,
    request: Request,
    services: Services,
    found: Staff,
    channel_id: Id,
    code: Annotated[str, Form(max_length=_CODE_CHARS_MAX)] = "",
) -> Response:
    """Compare the code that came with the one that was sent."""
    async with services.pool.connection() as connection:
        at = await store.now(connection)
        answer = await verify.confirm(connection, _id(found), channel_id, code, at)
    if answer is Confirmed.NOT_FOUND:
        raise HTTPException(404)
    return await _page(request, services, found, said=_CONFIRMED[answer], is_good=answer in _GOOD)


async def _page(
    request: Request, services: ServicesOf, found: Session, *, said: str = "", is_good: bool = True
) -> Response:
    async with services.pool.connection() as connection:
        at = await store.now(connection)
        mine = await verify.mine(connection, _id(found), at)
    return page(
        request,
        "channels.html",
        status=200 if is_good else 409,
        session=found,
        mine=mine,
        kinds=_KINDS,
        carried=services.carriers.kinds if services.carriers else [],
        now=at,
        said=said,
        is_good=is_good,
        reached=any(one.verified_at and not one.failing_since for one in mine),
    )


def _id(found: Session) -> int:
    staff_id = found.viewer.staff_id
    assert staff_id is not None  # Staff lets nobody else in
    return staff_id
