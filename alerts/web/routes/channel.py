"""Mina kanaler: how the viewer is reached, and a test that shows whether it works."""

from datetime import datetime, time, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response

from alerts.care import own_channel
from alerts.care.own_channel import ADDRESS_CHARS_MAX, Refusal
from alerts.channels import verify
from alerts.channels.message import Kind
from alerts.channels.verify import Asked, Confirmed
from alerts.sending import digest, store
from alerts.sending.reach import Reach
from alerts.web.guard import Anyone, OwnForm
from alerts.web.pages import page
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session

router = APIRouter(prefix="/kanaler")

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


async def _member(found: Anyone) -> Session:
    if found.viewer.staff_id is None:
        raise HTTPException(404)
    return found


# Everybody who works here can be told of something: technicians of what is theirs.
Member = Annotated[Session, Depends(_member)]

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
_ADDED: Final = "Tillagd. Testa den nu, så kan larm nå dig den vägen."
_WISH_KEPT: Final = "Sparat. Röda larm skickas alltid genast."
_NO_WISH: Final = (
    "Det gick inte att spara. Tyst tid har en början och ett slut, och är högst 14 timmar. "
    "Inget har ändrats."
)
_GATHERS: Final = {
    0: "Skicka varje larm genast",
    5: "Samla i 5 minuter",
    15: "Samla i 15 minuter",
    30: "Samla i 30 minuter",
    60: "Samla i en timme",
}
_GOOD: Final = (Asked.SENT, Confirmed.YES)
_CODE_CHARS_MAX: Final = 40
_CLOCK_CHARS_MAX: Final = 10


@router.get("")
async def channels_page(request: Request, services: Services, found: Member) -> Response:
    """Show how the viewer is reached."""
    return await _page(request, services, found)


@router.post("/ny", dependencies=[OwnForm])
async def add(
    *,
    request: Request,
    services: Services,
    found: Member,
    kind: Annotated[Kind, Form()],
    address: Annotated[str, Form(max_length=ADDRESS_CHARS_MAX * 2)] = "",
) -> Response:
    """Add a channel; it is not used until a test has arrived."""
    async with services.pool.connection() as connection:
        at = await store.now(connection)
        added = await own_channel.add(connection, _id(found), kind, address, at)
    if isinstance(added, Refusal):
        return await _page(request, services, found, said=added.value, is_good=False, typed=address)
    return await _page(request, services, found, said=_ADDED)


@router.post("/{channel_id}/upp", dependencies=[OwnForm])
async def raise_one(
    request: Request, services: Services, found: Member, channel_id: Id
) -> Response:
    """Let a channel be tried before the one above it."""
    async with services.pool.connection() as connection:
        refusal = await own_channel.raise_one(connection, _id(found), channel_id)
    return await _changed(request, services, found, refusal)


@router.post("/{channel_id}/bort", dependencies=[OwnForm])
async def remove(request: Request, services: Services, found: Member, channel_id: Id) -> Response:
    """Take a channel away."""
    async with services.pool.connection() as connection:
        at = await store.now(connection)
        refusal = await own_channel.remove(connection, _id(found), channel_id, at)
    return await _changed(request, services, found, refusal)


async def _changed(
    request: Request, services: ServicesOf, found: Session, refusal: Refusal | None
) -> Response:
    if refusal is Refusal.NOT_THERE:
        raise HTTPException(404)
    if refusal is not None:
        return await _page(request, services, found, said=refusal.value, is_good=False)
    return RedirectResponse("/kanaler", 303)


@router.post("/{channel_id}/testa", dependencies=[OwnForm])
async def test(request: Request, services: Services, found: Member, channel_id: Id) -> Response:
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
    found: Member,
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


@router.post("/nar", dependencies=[OwnForm])
async def keep_wish(
    *,
    request: Request,
    services: Services,
    found: Member,
    gather: Annotated[int, Form()],
    quiet_from: Annotated[str, Form(max_length=_CLOCK_CHARS_MAX)] = "",
    quiet_until: Annotated[str, Form(max_length=_CLOCK_CHARS_MAX)] = "",
) -> Response:
    """Keep when the viewer wants to hear of yellow alerts."""
    try:
        reach = Reach(
            gather=timedelta(minutes=gather),
            quiet_from=_clock(quiet_from),
            quiet_until=_clock(quiet_until),
        )
    except (ValueError, OverflowError):
        return await _page(request, services, found, said=_NO_WISH, is_good=False)
    async with services.pool.connection() as connection:
        await digest.keep(connection, _id(found), reach)
    return await _page(request, services, found, said=_WISH_KEPT)


def _clock(text: str) -> time | None:
    """Return the time of day that a form says, to the minute; none if it says nothing.

    Raises:
        ValueError: It is no time of day.
    """
    return datetime.strptime(text.strip(), "%H:%M").time() if text.strip() else None  # noqa: DTZ007


async def _page(
    request: Request,
    services: ServicesOf,
    found: Session,
    *,
    said: str = "",
    is_good: bool = True,
    typed: str = "",
) -> Response:
    async with services.pool.connection() as connection:
        at = await store.now(connection)
        mine = await verify.mine(connection, _id(found), at)
        reach = await digest.wish(connection, _id(found))
    carried = services.carriers.kinds if services.carriers else []
    return page(
        request,
        "channels.html",
        status=200 if is_good else 409,
        session=found,
        mine=mine,
        reach=reach,
        gather=reach.gather // timedelta(minutes=1),
        gathers=_GATHERS,
        kinds=_KINDS,
        carried=carried,
        now=at,
        own_kinds=own_channel.KINDS,
        is_full=len(mine) >= own_channel.CHANNELS_MAX,
        said=said,
        typed=typed,
        is_good=is_good,
        reached=any(
            one.verified_at and not one.failing_since and one.kind in carried for one in mine
        ),
    )


def _id(found: Session) -> int:
    staff_id = found.viewer.staff_id
    assert staff_id is not None  # Member lets nobody else in
    return staff_id
