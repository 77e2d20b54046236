"""How the viewer herself is reached: added, put in order, tested and taken away."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.care import own_channel
from alerts.care.own_channel import ADDRESS_CHARS_MAX, Refusal
from alerts.channels import verify
from alerts.channels.message import Kind
from alerts.channels.verify import Asked as Test
from alerts.channels.verify import Confirmed, Mine
from alerts.sending.store import now
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.office import Asked, done_once, refused, staff_id
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Key
from alerts.web.api.time import Utc
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session

router = APIRouter(tags=["channels"])

_CHANNEL: Final = {
    "channel_id": 3,
    "kind": "sms",
    "address": "+46701740605",
    "verified_at": AT,
    "failing_since": None,
    "is_asked": False,
    "is_carried": True,
}
_TESTS: Final = {
    Test.NOT_SENT: (
        409,
        Words(
            "channel-not-sent",
            "Meddelandet gick inte att skicka",
            "Larm når dig inte den vägen. Kontrollera adressen, eller säg till den som sköter "
            "systemet.",
        ),
    ),
    Test.TOO_OFTEN: (
        429,
        Words(
            "channel-too-many-tests",
            "Du har testat många gånger",
            "Vänta en timme och försök igen.",
        ),
    ),
    Test.NO_CARRIER: (
        409,
        Words(
            "channel-no-carrier",
            "Sådana meddelanden skickas inte härifrån",
            "Larm når dig inte den vägen. Säg till den som sköter systemet.",
        ),
    ),
}
_CODES: Final = {
    Confirmed.WRONG: (
        422,
        Words(
            "channel-wrong-code",
            "Koden stämmer inte",
            "Läs den en gång till och försök igen. Efter några försök behövs en ny.",
        ),
    ),
    Confirmed.TOO_LATE: (
        409,
        Words(
            "channel-code-over",
            "Koden gäller inte längre",
            "Testa kanalen igen, så får du en ny.",
        ),
    ),
}


async def _member(found: Anyone) -> Session:
    if found.viewer.staff_id is None:
        raise HTTPException(404)
    return found


async def _member_writes(found: Writer) -> Session:
    return await _member(found)


Member = Annotated[Session, Depends(_member)]
MemberWrites = Annotated[Session, Depends(_member_writes)]


class Channel(BaseModel):
    """One way of reaching the viewer."""

    model_config = answers(**_CHANNEL)

    channel_id: int
    kind: Kind
    address: str | None = Field(description="Null: it holds a key.")
    verified_at: Utc | None = Field(description="When a message was last seen to arrive.")
    failing_since: Utc | None
    is_asked: bool = Field(description="A code is on its way to it.")
    is_carried: bool = Field(description="Such messages are sent from here.")


class Channels(BaseModel):
    """Her channels, in the order in which they are tried; those that fail come last."""

    model_config = answers(channels=[_CHANNEL], is_reached=True)

    channels: list[Channel]
    is_reached: bool = Field(description="One of them works; else alerts go to the next in turn.")


class AddingChannel(BaseModel):
    """A way of reaching the viewer; not used until a code has come back."""

    model_config = takes(kind="sms", address="070-174 06 05")

    kind: Kind = Field(description="`email` or `sms`; others are added by who runs the system.")
    address: str = Field(min_length=1, max_length=ADDRESS_CHARS_MAX)


class ChannelOrder(BaseModel):
    """All her channels, in the order in which they are to be tried."""

    model_config = takes(channel_ids=[3])

    channel_ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(max_length=verify.LIST_MAX)


class ChannelCode(BaseModel):
    """The code that came."""

    model_config = takes(code="123 456")

    code: str = Field(min_length=1, max_length=40)


@router.get(
    "/channels", operation_id="listChannels", summary="How I am reached", responses=refusals()
)
async def listed(services: Services, found: Member) -> Channels:
    """Return how the viewer is reached."""
    async with services.pool.connection() as connection:
        return await _mine(connection, services, found)


async def _mine(connection: AsyncConnection, services: ServicesOf, found: Session) -> Channels:
    rows = await verify.mine(connection, staff_id(found), await now(connection))
    channels = [_shown(one, services) for one in rows]
    reached = any(one.is_carried and one.verified_at and not one.failing_since for one in channels)
    return Channels(channels=channels, is_reached=reached)


def _shown(one: Mine, services: ServicesOf) -> Channel:
    carried = services.carriers.kinds if services.carriers else []
    return Channel(
        channel_id=one.channel_id,
        kind=Kind(one.kind),
        address=one.shown or None,
        verified_at=one.verified_at,
        failing_since=one.failing_since,
        is_asked=one.is_asked,
        is_carried=one.kind in carried,
    )


@router.post(
    "/channels",
    operation_id="addChannel",
    summary="Add a way of reaching me",
    status_code=201,
    response_model=Channel,
    responses=refusals(403, 409, 413, 429),
)
async def add(
    services: Services, found: MemberWrites, body: AddingChannel, key: Key = None
) -> Response:
    """Add a channel after those she has: at most five. One she has already is that one."""

    async def act(connection: AsyncConnection) -> Channel:
        at, me = await now(connection), staff_id(found)
        added = await own_channel.add(connection, me, body.kind, body.address, at)
        if isinstance(added, Refusal):
            raise _refused(added)
        rows = await verify.mine(connection, me, at)
        return next(_shown(one, services) for one in rows if one.channel_id == added)

    return await done_once(services, Asked(found, key, "add_channel", body), act, status=201)


@router.post(
    "/channels/order",
    operation_id="orderChannels",
    summary="Which is tried first",
    response_model=Channels,
    responses=refusals(403, 409, 413),
)
async def order(
    services: Services, found: MemberWrites, body: ChannelOrder, key: Key = None
) -> Response:
    """Put all her channels in order."""

    async def act(connection: AsyncConnection) -> Channels:
        refusal = await own_channel.order(connection, staff_id(found), body.channel_ids)
        if refusal is not None:
            raise _refused(refusal)
        return await _mine(connection, services, found)

    return await done_once(services, Asked(found, key, "order_channels", body), act)


@router.post(
    "/channels/{channel_id}/test",
    operation_id="testChannel",
    summary="Send me a code",
    responses=refusals(403, 409, 429),
)
async def test(services: Services, found: MemberWrites, channel_id: Id) -> Channels:
    """Send a code to one of her channels; at most five in an hour."""
    async with services.pool.connection() as connection:
        at = await now(connection)
        known = {one.channel_id for one in await verify.mine(connection, staff_id(found), at)}
        if channel_id not in known:
            raise HTTPException(404)
        done = Test.NO_CARRIER
        if services.carriers is not None:
            done = await verify.ask(connection, services.carriers, staff_id(found), channel_id, at)
        if done is Test.NOT_FOUND:
            raise HTTPException(404)
        if done is not Test.SENT:
            raise Refused(*_TESTS[done])
        return await _mine(connection, services, found)


@router.post(
    "/channels/{channel_id}/confirm",
    operation_id="confirmChannel",
    summary="This is the code",
    responses=refusals(403, 409, 413),
)
async def confirm(
    services: Services, found: MemberWrites, channel_id: Id, body: ChannelCode
) -> Channels:
    """Compare the code that came with the one that was sent: then the channel is used."""
    async with services.pool.connection() as connection:
        at = await now(connection)
        done = await verify.confirm(connection, staff_id(found), channel_id, body.code, at)
        if done is Confirmed.NOT_FOUND:
            raise HTTPException(404)
        if done is not Confirmed.YES:
            raise Refused(*_CODES[done])
        return await _mine(connection, services, found)


@router.post(
    "/channels/{channel_id}/remove",
    operation_id="removeChannel",
    summary="Take a channel away",
    response_model=Channels,
    responses=refusals(403),
)
async def remove(
    services: Services, found: MemberWrites, channel_id: Id, key: Key = None
) -> Response:
    """Take one of her channels away, also the last: `is_reached` says what is left."""

    async def act(connection: AsyncConnection) -> Channels:
        at = await now(connection)
        if await own_channel.remove(connection, staff_id(found), channel_id, at) is not None:
            raise HTTPException(404)
        return await _mine(connection, services, found)

    return await done_once(services, Asked(found, key, f"remove_channel {channel_id}"), act)


def _refused(refusal: Refusal) -> Refused:
    status = {Refusal.ADDRESS: 422, Refusal.TOO_OFTEN: 429}.get(refusal, 409)
    return refused("channel", "Kanalerna är inte ändrade", refusal, status)
