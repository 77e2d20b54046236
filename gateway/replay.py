"""Replay: unfinished sessions of the inbox, run through their drivers again."""

from zoneinfo import ZoneInfo

from devices.clock import place_untimed
from devices.drivers import driver_named, driver_names
from devices.reading import Reading
from devices.wire import ConditionCode
from gateway.database import Database, StoreFull
from gateway.health import Health
from gateway.heartbeat import program_version
from gateway.inbox import Inbox, InboxSession
from gateway.log import get_logger
from gateway.outbox import Outbox

_log = get_logger()


def replay_and_tell(
    database: Database, inbox: Inbox, outbox: Outbox, health: Health, zone: ZoneInfo
) -> None:
    """Finish what can be finished, and tell of what cannot.

    A version that has not run on this store before tries what was set aside.
    That nothing waits proves no room: what found none may never have come as far as the inbox.
    """
    try:
        inbox.retry_with(program_version())
        replay_unfinished(inbox, outbox, zone)
    except StoreFull as error:
        health.problem(ConditionCode.STORAGE_FULL, f"measurements wait in the inbox: {error}")
    else:
        if database.has_room():
            health.solved(ConditionCode.STORAGE_FULL)
    if count := inbox.set_aside(driver_names()):
        words = f"{count} sessions in the inbox could not be read by this version"
        health.problem(ConditionCode.INBOX_SET_ASIDE, words)
    else:
        health.solved(ConditionCode.INBOX_SET_ASIDE)


def replay_unfinished(inbox: Inbox, outbox: Outbox, zone: ZoneInfo) -> int:
    """Finish the sessions that a power cut or a full outbox left; return how many.

    Stops at the first that finds no room: it and the rest stay for the next time.
    """
    finished = 0
    for session in inbox.unfinished():
        if session.driver not in driver_names():  # a newer version's, or of a package that is away
            continue
        inbox.begin_replay(session)
        readings = readings_of(inbox, session, zone)
        try:
            new = outbox.append_from_session(session, readings, finished=True)
        except StoreFull:
            inbox.cancel_replay(session)
            raise
        finished += 1
        _log.info("inbox.replayed", device_id=session.device_id, new_readings=new)
    return finished


def readings_of(inbox: Inbox, session: InboxSession, zone: ZoneInfo) -> list[Reading]:
    """Return what the session's driver makes of its raw values: always the same.

    A session whose time nobody knew is placed as far as it can be.
    """
    driver = driver_named(session.driver, zone).new(session.device_id)
    driver.connected()  # whatever it asks for was asked for then
    readings: list[Reading] = []
    for raw in inbox.values(session):
        readings += driver.received(raw)
    readings += driver.finished()
    if session.after is None:
        return readings
    return [place_untimed(reading, zone, session.after) for reading in readings]
