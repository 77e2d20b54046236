"""Lending: from loans, homes and wishes to the configuration of each gateway, and its version.

A version grows when the content differs from the last one's, and never otherwise. Two workers that
find the same difference make one version: the second insert meets the first one's key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from devices import wire
from devices.wire import LENT_MAX, GatewayConfig, LentDevice

Connection = psycopg.AsyncConnection[Any]

_log = structlog.get_logger()

# Nobody changes a configuration so often: a gateway that says more is not believed.
VERSION_MAX: Final = 2**52

# A pairing that ran out is closed a while later: the gateway says itself how it ended, if it can.
_EXPIRED: Final = """
update pairing_request set ended_at = clock_timestamp(), problem = 'expired', passkey = null
where ended_at is null and expires_at < now() - interval '2 minutes'
"""

# What is lent through each gateway now; a device may come twice, with its model and without.
LENT: Final = """
select h.gateway_id, upper(l.device_id) as device_id, '' as model
from gateway_home h join device_loan l using (patient_id)
where h.from_at <= now() and (h.until_at is null or h.until_at > now())
    and l.lent_from <= now() and (l.returned_at is null or l.returned_at > now())
union all
select gateway_id, upper(device_id), model from gateway_device
where lent_from <= now() and (returned_at is null or returned_at > now())
"""

# A gateway of which nobody ever said what is lent through it hears every device, as it does by
# itself; one that has a list hears those on it.
_WANTED: Final = f"""
with asked as (
    select gateway_id from gateway
    where (%(only)s::text[] is null or gateway_id = any (%(only)s::text[]))
        and (retired_at is null or retired_at > now())
),
listed as (
    select gateway_id, array_agg(device_id order by device_id) as devices,
        array_agg(model order by device_id) as models
    from (select gateway_id, device_id, max(model) as model
          from asked join ({LENT}) lent using (gateway_id) group by gateway_id, device_id) each
    group by gateway_id
)
select asked.gateway_id, coalesce(listed.devices, '{{}}') as devices,
    coalesce(listed.models, '{{}}') as models,
    coalesce(setting.serves_others, not ever.is_listed) as serves_others,
    setting.heartbeat_s, setting.idle_s,
    pairing.request_id, pairing.expires_at, pairing.device_id, pairing.model, pairing.passkey,
    latest.version, latest.made_at, latest.content,
    status.config_version as reported_version, status.config_refused
from asked
left join listed on listed.gateway_id = asked.gateway_id
left join lateral (
    select from_at, serves_others, heartbeat_s, idle_s from gateway_setting s
    where s.gateway_id = asked.gateway_id and s.from_at <= now()
    order by from_at desc limit 1
) setting on true
left join pairing_request pairing on pairing.gateway_id = asked.gateway_id
    and pairing.ended_at is null and pairing.expires_at > now()
left join lateral (
    select version, made_at, content from gateway_config c
    where c.gateway_id = asked.gateway_id order by version desc limit 1
) latest on true
left join gateway_status status on status.gateway_id = asked.gateway_id
cross join lateral (
    select exists (select from gateway_home h
            where h.gateway_id = asked.gateway_id and h.from_at <= now())
        or exists (select from gateway_device d
            where d.gateway_id = asked.gateway_id and d.lent_from <= now()) as is_listed
) ever
where ever.is_listed or setting.from_at is not null or pairing.request_id is not null
    or latest.version is not null
"""  # noqa: S608 - our own text

_INSERT: Final = """
insert into gateway_config (gateway_id, version, content) values (%s, %s, %s)
on conflict do nothing returning made_at
"""

# Only the latest is published. The others are for who asks why, and that is asked within weeks.
VERSIONS_KEPT: Final = 100

_TRIM: Final = """
delete from gateway_config where gateway_id = %(gateway_id)s and version <= (
    select version from gateway_config where gateway_id = %(gateway_id)s
    order by version desc offset %(most)s limit 1)
"""

# A pairing that has ended is in no version after it.
_BLANK: Final = """
update gateway_config set content = content #- '{pairing,passkey}'
where gateway_id = %(gateway_id)s and version < %(version)s
    and content #> '{pairing,passkey}' is not null
"""

_LATEST: Final = """
select asked.gateway_id, latest.version, latest.made_at, latest.content,
    s.config_version as reported_version, s.config_refused
from unnest(%s::text[]) as asked (gateway_id)
join lateral (
    select version, made_at, content from gateway_config c
    where c.gateway_id = asked.gateway_id order by version desc limit 1
) latest on true
join gateway_status s using (gateway_id)
where s.config_version is distinct from latest.version or s.config_refused is not null
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One version of a gateway's configuration."""

    gateway_id: str
    version: int
    made_at: datetime
    content: dict[str, Any]

    def encoded(self) -> bytes:
        """Return it as it travels: the same bytes whoever makes them.

        Raises:
            msgspec.ValidationError: The format does not take something in it.
        """
        head = {
            "v": wire.VERSION,
            "gateway": self.gateway_id,
            "config_version": self.version,
            "at": self.made_at.astimezone(UTC),
        }
        return wire.encode_config(msgspec.convert({**head, **self.content}, GatewayConfig))


@dataclass(frozen=True, slots=True)
class Behind:
    """A gateway that says another version than its latest, or that refuses something."""

    latest: Made
    must_renew: bool  # it says a newer one, or its own again with other content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    gateway_id: str
    devices: list[str]
    models: list[str]
    serves_others: bool
    heartbeat_s: float | None
    idle_s: float | None
    request_id: str | None
    expires_at: datetime | None
    device_id: str | None
    model: str | None
    passkey: int | None
    version: int | None
    made_at: datetime | None
    content: dict[str, Any] | None
    reported_version: int | None
    config_refused: str | None

    def wanted(self) -> dict[str, Any]:
        """Return the content it should have, as it lies in the database."""
        lent = [
            {"device_id": device_id, "model": model} if model else {"device_id": device_id}
            for device_id, model in zip(self.devices, self.models, strict=True)
        ]
        lent = [one for one in lent if self._can_be_told(one)]
        if len(lent) > LENT_MAX:
            _log.error("config.too_many_devices", gateway_id=self.gateway_id, devices=len(lent))
        content: dict[str, Any] = {"devices": lent[:LENT_MAX], "serves_others": self.serves_others}
        if self.heartbeat_s is not None:
            content["heartbeat_s"] = self.heartbeat_s
        if self.idle_s is not None:
            content["idle_s"] = self.idle_s
        if self.request_id is not None and self.expires_at is not None and self._is_named():
            pairing = {
                "request_id": self.request_id,
                "expires_at": self.expires_at.astimezone(UTC).isoformat(),
                "device_id": self.device_id,
                "model": self.model,
                "passkey": self.passkey,
            }
            content["pairing"] = {key: value for key, value in pairing.items() if value is not None}
        return content

    def _is_named(self) -> bool:
        """Return whether the pairing is of something; one that is not stops nothing else."""
        if self.device_id or self.model:
            return True
        _log.error("config.pairing_left_out", gateway_id=self.gateway_id, request=self.request_id)
        return False

    def _can_be_told(self, lent: dict[str, str]) -> bool:
        """Return whether the format takes a device; one address that is none stops no other."""
        try:
            msgspec.convert(lent, LentDevice)
        except msgspec.ValidationError as error:
            problem = str(error)
            _log.error("config.device_left_out", gateway_id=self.gateway_id, problem=problem)
            return False
        return True


async def renew(connection: Connection, only: Sequence[str] | None) -> list[Made]:
    """Make a new version for each gateway whose content has changed; return those made.

    Args:
        connection: Autocommit; each version is a transaction of its own.
        only: The gateways to look at; none: every one.
    """
    await connection.execute(_EXPIRED)
    cursor = connection.cursor(row_factory=class_row(_Wanted))
    await cursor.execute(_WANTED, {"only": None if only is None else list(only)})
    made = []
    for row in await cursor.fetchall():
        content = row.wanted()
        if row.content == content and not _must_renew(
            row.version, row.reported_version, row.config_refused
        ):
            continue
        version = 1 + max(row.version or 0, min(row.reported_version or 0, VERSION_MAX))
        new = Made(row.gateway_id, version, datetime.now(UTC), content)
        try:
            new.encoded()
        except msgspec.ValidationError as error:  # a setting that the database takes and it not
            _log.error("config.cannot_be_made", gateway_id=row.gateway_id, problem=str(error))
            continue
        made_at = await _insert(connection, new)
        if made_at is not None:
            made.append(replace(new, made_at=made_at))
    return made


async def _insert(connection: Connection, new: Made) -> datetime | None:
    """Insert a version, and clear away behind it; return when, or none if it is there already."""
    names = {"gateway_id": new.gateway_id, "version": new.version, "most": VERSIONS_KEPT}
    async with connection.transaction():
        inserted = await connection.execute(
            _INSERT, (new.gateway_id, new.version, Jsonb(new.content))
        )
        found = await inserted.fetchone()
        if found is None:
            return None
        await connection.execute(_TRIM, names)
        await connection.execute(_BLANK, names)
    made_at: datetime = found[0]
    return made_at


async def behind(connection: Connection, gateway_ids: Sequence[str]) -> list[Behind]:
    """Return which of the gateways do not say that they use their latest configuration."""
    cursor = await connection.execute(_LATEST, [list(gateway_ids)])
    return [
        Behind(Made(gateway_id, version, made_at, content), _must_renew(version, reported, refusal))
        for gateway_id, version, made_at, content, reported, refusal in await cursor.fetchall()
    ]


def _must_renew(version: int | None, reported: int | None, refusal: str | None) -> bool:
    """Return whether the gateway will refuse all that is there: only a newer version helps.

    So it is after the database was put back from a backup: the gateway has a version that was
    made since, or the same number with other content.
    """
    if version is None or reported is None:
        return False
    return VERSION_MAX >= reported > version or (reported == version and refusal is not None)
