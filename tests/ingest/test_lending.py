"""From loans and homes to each gateway's configuration; a version is a change of content."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from devices import wire
from devices.wire import GatewayConfig, decode_config
from ingest.lending import VERSION_MAX, VERSIONS_KEPT, Made, renew
from tests.ingest.county import CUFF, GATEWAY, NOW, SCALE, County

OTHER = "C4:00:00:00:00:09"


def renewed(county: County, only: Sequence[str] | None = None) -> list[Made]:
    async def work() -> list[Made]:
        async with await psycopg.AsyncConnection.connect(county.dsn, autocommit=True) as connection:
            await connection.execute("set timezone to 'Europe/Stockholm'")
            return await renew(connection, only)

    return asyncio.run(work())


def config(county: County) -> GatewayConfig:
    """Return what is made now, which must be one version."""
    (made,) = renewed(county)
    return decode_config(made.encoded())


def lent(one: GatewayConfig) -> list[str]:
    return [device.device_id for device in one.devices]


def stand(county: County, patient_id: int | None = None, since: datetime = NOW) -> None:
    county.connection.execute(
        "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, %s)",
        [GATEWAY, patient_id or county.patient_id, since - timedelta(days=1)],
    )


def set_up(county: County, **columns: Any) -> None:
    names = ", ".join(columns)
    values = ", ".join(["%s"] * len(columns))
    county.connection.execute(
        f"insert into gateway_setting (gateway_id, {names}) values ('{GATEWAY}', {values})",
        list(columns.values()),
    )


def say(county: County, version: int | None, refused: str | None = None) -> None:
    county.connection.execute(
        "insert into gateway_status (gateway_id, state, state_at, config_version, config_refused) "
        "values (%s, 'online', now(), %s, %s) on conflict (gateway_id) do update set "
        "config_version = excluded.config_version, config_refused = excluded.config_refused",
        [GATEWAY, version, refused],
    )


def test_a_gateway_nobody_said_anything_about_is_left_alone(county: County) -> None:
    assert renewed(county) == []


def test_what_the_patients_of_a_home_have_on_loan_is_the_list(county: County) -> None:
    stand(county)
    partner = county.add_patient()
    county.lend(OTHER.lower(), partner)
    stand(county, partner)
    county.lend("C4:00:00:00:00:AA", county.add_patient())  # at home elsewhere
    county.lend("C4:00:00:00:00:AB", county.patient_id, returned_at=NOW)
    county.lend("C4:00:00:00:00:AC", county.patient_id, lent_from=NOW + timedelta(days=1))
    one = config(county)
    assert lent(one) == [CUFF, SCALE, OTHER]
    assert (one.gateway, one.config_version, one.serves_others) == (GATEWAY, 1, False)


def test_the_version_grows_with_the_content_and_never_otherwise(plain_county: County) -> None:
    stand(plain_county)
    assert config(plain_county).config_version == 1
    assert renewed(plain_county) == []
    loan = plain_county.lend(OTHER, plain_county.patient_id)
    assert config(plain_county).config_version == 2
    plain_county.connection.execute(
        "update device_loan set returned_at = now() where loan_id = %s", [loan]
    )
    assert lent(config(plain_county)) == [CUFF, SCALE]
    assert plain_county.rows("select version from gateway_config order by 1") == [(1,), (2,), (3,)]


def test_a_device_a_technician_lends_is_on_the_list_with_its_model(plain_county: County) -> None:
    plain_county.connection.execute(
        "insert into gateway_device (gateway_id, device_id, model) values (%s, %s, 'mi_scale_v2')",
        [GATEWAY, OTHER],
    )
    (device,) = config(plain_county).devices
    assert (device.device_id, device.model) == (OTHER, "mi_scale_v2")
    plain_county.connection.execute("update gateway_device set returned_at = now()")
    one = config(plain_county)
    assert (lent(one), one.serves_others) == ([], False)  # a list that is empty is a list


def test_a_device_on_two_lists_is_named_once_with_its_model(plain_county: County) -> None:
    stand(plain_county)
    plain_county.connection.execute(
        "insert into gateway_device (gateway_id, device_id, model) values (%s, %s, 'mi_scale_v2')",
        [GATEWAY, SCALE],
    )
    one = config(plain_county)
    assert lent(one) == [CUFF, SCALE]
    assert one.devices[1].model == "mi_scale_v2"


def test_the_latest_setting_counts(plain_county: County) -> None:
    stand(plain_county)
    set_up(plain_county, from_at=NOW - timedelta(hours=2), heartbeat_s=20, serves_others=True)
    set_up(plain_county, from_at=NOW - timedelta(hours=1), heartbeat_s=30, idle_s=1.5)
    one = config(plain_county)
    assert (one.heartbeat_s, one.idle_s, one.serves_others) == (30, 1.5, False)
    assert renewed(plain_county) == []


def test_settings_alone_do_not_stop_a_gateway_from_hearing_all(plain_county: County) -> None:
    set_up(plain_county, heartbeat_s=20)
    assert config(plain_county).serves_others


def test_a_pairing_goes_out_and_ends_with_its_time(plain_county: County) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
    plain_county.connection.execute(
        "insert into pairing_request (request_id, gateway_id, model, expires_at) "
        "values ('p1', %s, 'mi_scale_v2', %s)",
        [GATEWAY, expires_at],
    )
    pairing = config(plain_county).pairing
    assert pairing == wire.PairingRequest(
        request_id="p1", expires_at=expires_at, model="mi_scale_v2"
    )
    plain_county.connection.execute("update pairing_request set passkey = 7, passkey_at = now()")
    again = config(plain_county)
    assert again.pairing is not None
    assert (again.config_version, again.pairing.passkey) == (2, 7)
    plain_county.connection.execute(
        "update pairing_request set expires_at = now() - interval '3 minutes'"
    )
    assert config(plain_county).pairing is None
    assert plain_county.rows("select problem, passkey from pairing_request") == [("expired", None)]
    assert plain_county.one("select ended_at is not null from pairing_request")


def test_a_gateway_that_says_a_newer_version_gets_one_it_takes(plain_county: County) -> None:
    """The database was put back from a backup; the gateway was not."""
    stand(plain_county)
    config(plain_county)
    say(plain_county, 7)
    assert config(plain_county).config_version == 8
    say(plain_county, 8, refused="version 8 came again with other content")
    assert config(plain_county).config_version == 9
    say(plain_county, 8, refused="this version knows no model x")
    assert renewed(plain_county) == []  # a newer number would not help
    say(plain_county, VERSION_MAX + 1)
    assert renewed(plain_county) == []  # nor is everything believed


def test_an_address_that_is_none_keeps_no_other_device_from_being_served(
    plain_county: County,
) -> None:
    stand(plain_county)
    plain_county.lend("no address", plain_county.patient_id)
    assert lent(config(plain_county)) == [CUFF, SCALE]


def test_a_home_that_begins_tomorrow_takes_nothing_from_a_gateway_today(
    plain_county: County,
) -> None:
    """It hears every device until then; an empty list would make it deaf for a day."""
    stand(plain_county, since=NOW + timedelta(days=2))
    plain_county.connection.execute(
        "insert into gateway_device (gateway_id, device_id, lent_from) values (%s, %s, %s)",
        [GATEWAY, OTHER, NOW + timedelta(days=1)],
    )
    set_up(plain_county, heartbeat_s=30)
    assert config(plain_county).serves_others


def test_what_the_format_does_not_take_harms_no_other_gateway(plain_county: County) -> None:
    stand(plain_county)
    plain_county.connection.execute(
        "insert into pairing_request (request_id, gateway_id, device_id, expires_at) "
        "values ('p', %s, 'no address', now() + interval '9 minutes')",
        [GATEWAY],
    )
    plain_county.connection.execute("insert into gateway (gateway_id) values ('g-second')")
    plain_county.connection.execute(
        "insert into gateway_device (gateway_id, device_id) values ('g-second', %s)", [OTHER]
    )
    (made,) = renewed(plain_county)
    assert made.gateway_id == "g-second"


def test_no_list_is_longer_than_the_format_allows(plain_county: County) -> None:
    for number in range(wire.LENT_MAX + 5):
        plain_county.lend(f"D{number:03}", plain_county.patient_id)
    stand(plain_county)
    assert len(config(plain_county).devices) == wire.LENT_MAX


def test_a_retired_gateway_is_told_nothing(plain_county: County) -> None:
    stand(plain_county)
    plain_county.connection.execute("update gateway set retired_at = now()")
    assert renewed(plain_county) == []


def test_two_workers_make_one_version(plain_county: County) -> None:
    stand(plain_county)

    async def work() -> list[list[Made]]:
        async with (
            await psycopg.AsyncConnection.connect(plain_county.dsn, autocommit=True) as one,
            await psycopg.AsyncConnection.connect(plain_county.dsn, autocommit=True) as other,
        ):
            return list(await asyncio.gather(renew(one, None), renew(other, [GATEWAY])))

    both = asyncio.run(work())
    assert sum(len(made) for made in both) == 1
    assert plain_county.count("gateway_config") == 1


def test_the_last_versions_are_kept(plain_county: County) -> None:
    stand(plain_county)
    for number in range(VERSIONS_KEPT + 2):
        set_up(plain_county, heartbeat_s=10 + number, from_at=NOW + timedelta(seconds=number))
        plain_county.connection.execute(
            "update gateway_setting set from_at = now() - interval '1 s' * (200 - heartbeat_s)"
        )
        assert config(plain_county).config_version == number + 1
    (kept,) = plain_county.rows("select min(version), max(version), count(*) from gateway_config")
    assert kept == (3, VERSIONS_KEPT + 2, VERSIONS_KEPT)


def test_a_pairing_with_anything_is_left_out_and_stops_nothing_else(plain_county: County) -> None:
    stand(plain_county)
    before = config(plain_county)
    plain_county.connection.execute(
        "insert into pairing_request (request_id, gateway_id, expires_at) "
        "values ('p', %s, now() + interval '10 minutes')",
        [GATEWAY],
    )
    assert renewed(plain_county) == []
    set_up(plain_county, heartbeat_s=20)
    after = config(plain_county)
    assert (after.pairing, after.heartbeat_s, after.devices) == (None, 20, before.devices)


def test_a_passkey_is_forgotten_with_the_pairing(plain_county: County) -> None:
    stand(plain_county)
    plain_county.connection.execute(
        "insert into pairing_request (request_id, gateway_id, model, expires_at, passkey) "
        "values ('p', %s, 'mi_scale_v2', now() + interval '10 minutes', 123456)",
        [GATEWAY],
    )
    asked = config(plain_county).pairing
    assert asked is not None
    assert asked.passkey == 123456
    plain_county.connection.execute("update pairing_request set passkey = 12345")
    assert config(plain_county).config_version == 2
    plain_county.connection.execute("update pairing_request set ended_at = clock_timestamp()")
    assert config(plain_county).pairing is None
    pairings = plain_county.rows("select content->'pairing' from gateway_config order by version")
    assert [None if one is None else one["request_id"] for (one,) in pairings] == ["p", "p", None]
    assert plain_county.rows("select from gateway_config where content::text ~ 'passkey'") == []


def test_every_change_wakes_who_publishes(plain_county: County) -> None:
    """Polling would find it too, up to a minute later."""
    stand(plain_county)
    request = "insert into pairing_request (request_id, gateway_id, expires_at)"
    changes = (
        "insert into gateway_device (gateway_id, device_id) values ('g-test', 'C9')",
        "update gateway_device set returned_at = now()",
        "insert into gateway_setting (gateway_id, idle_s) values ('g-test', 2)",
        f"{request} values ('p', 'g-test', now())",
        "update device_loan set returned_at = now()",
        "update gateway_home set until_at = now()",
    )
    with psycopg.connect(plain_county.dsn, autocommit=True) as listening:
        listening.execute("listen gateway_config")
        for change in changes:
            plain_county.connection.execute(change)
            told = {said.payload for said in listening.notifies(timeout=5, stop_after=1)}
            assert told == {GATEWAY}, change
