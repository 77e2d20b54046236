"""The ledger counts every measurement once, and says lost only of what is nowhere."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from simulator.tester.ledger import LATEST_MAX, Ledger
from simulator.tester.measurement import MISSING_AFTER, Measurement, Place, Sighting

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def made(*, confirmed_s_ago: float | None = None) -> Measurement:
    ago = None if confirmed_s_ago is None else NOW - timedelta(seconds=confirmed_s_ago)
    return Measurement(
        reading_id=uuid4(),
        device_id="C4:5E:1D:00:00:00",
        payload=b"\x1e" + uuid4().bytes,
        patient="Märta Provlind",
        nurse="Anna Provberg",
        device="våg",
        shows="75,8 kg",
        by_tester=False,
        pressed_at=NOW - timedelta(minutes=1),
        confirmed_at=ago,
    )


def seen(
    *,
    stored: tuple[UUID, ...] = (),
    refused: dict[UUID, str] | None = None,
    outbox: tuple[UUID, ...] = (),
    inbox: tuple[tuple[str, bytes], ...] = (),
) -> Sighting:
    return Sighting(outbox=outbox, inbox=inbox, stored=stored, refused=refused or {}, looked_at=NOW)


def place_of(measurement: Measurement, sighting: Sighting) -> Place:
    ledger = Ledger()
    ledger.add(measurement)
    ledger.look(sighting)
    return ledger.latest[0][1]


def test_what_nobody_has_confirmed_is_in_the_device() -> None:
    assert place_of(made(), seen()) is Place.DEVICE


def test_raw_bytes_in_the_inbox_are_in_the_gateway() -> None:
    one = made(confirmed_s_ago=60)
    assert place_of(one, seen(inbox=((one.device_id, one.payload),))) is Place.GATEWAY


def test_a_reading_in_the_outbox_is_in_the_gateway() -> None:
    one = made(confirmed_s_ago=60)
    assert place_of(one, seen(outbox=(one.reading_id,))) is Place.GATEWAY


def test_what_is_in_outbox_and_database_is_stored() -> None:
    one = made(confirmed_s_ago=1)
    assert place_of(one, seen(outbox=(one.reading_id,), stored=(one.reading_id,))) is Place.STORED


def test_what_was_confirmed_just_now_and_is_nowhere_is_under_way() -> None:
    assert place_of(made(confirmed_s_ago=1), seen()) is Place.UNDER_WAY


def test_what_was_confirmed_long_ago_and_is_nowhere_is_lost() -> None:
    late = MISSING_AFTER.total_seconds() + 1
    assert place_of(made(confirmed_s_ago=late), seen()) is Place.LOST


def test_what_was_lost_and_turns_up_is_stored() -> None:
    one, ledger = made(confirmed_s_ago=60), Ledger()
    ledger.add(one)
    ledger.look(seen())
    assert ledger.count(Place.LOST) == 1
    ledger.look(seen(stored=(one.reading_id,)))
    assert ledger.count(Place.LOST) == 0
    assert ledger.count(Place.STORED) == 1


def test_refusals_are_counted_by_reason() -> None:
    one, ledger = made(confirmed_s_ago=60), Ledger()
    ledger.add(one)
    ledger.look(seen(refused={one.reading_id: "implausible"}))
    assert ledger.refused == {"implausible": 1}
    assert ledger.count(Place.REFUSED) == 1


def test_every_measurement_is_in_exactly_one_place() -> None:
    ledger = Ledger()
    everything = [made(confirmed_s_ago=age) for age in (None, 1, 60, 60, 60, 60)]
    for one in everything:
        ledger.add(one)
    ids = [one.reading_id for one in everything]
    ledger.look(seen(stored=(ids[2],), refused={ids[3]: "implausible"}, outbox=(ids[4],)))
    assert [ledger.count(place) for place in Place] == [1, 1, 1, 1, 1, 1]
    assert ledger.made == 6


def test_it_is_settled_when_nothing_is_under_way() -> None:
    one, ledger = made(), Ledger()
    assert ledger.is_settled
    ledger.add(one)
    assert not ledger.is_settled
    ledger.look(seen(stored=(one.reading_id,)))
    assert ledger.is_settled


def test_settled_measurements_are_counted_and_not_kept() -> None:
    ledger = Ledger()
    for _ in range(3 * LATEST_MAX):
        one = made()
        ledger.add(one)
        ledger.look(seen(stored=(one.reading_id,)))
    assert ledger.count(Place.STORED) == 3 * LATEST_MAX
    assert not ledger.open
    assert len(ledger.latest) == LATEST_MAX
