"""Server-sent events: an open worklist changes without being loaded again.

No stream holds a database connection: one LISTEN wakes all (``alerts.signal``), and who is
woken asks. Each event carries the whole order of rows and the HTML of those that differ from
what this stream sent before; so a lost event costs nothing.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
import structlog
from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import format_sse_event
from psycopg_pool import PoolTimeout

from alerts import log
from alerts.audit.chain import listed_lately
from alerts.care import messages, tasks
from alerts.signal import LISTENERS_MAX, Full, topic
from alerts.web import session
from alerts.web.guard import Staff, note_listed
from alerts.web.rows import render, render_counts, row_contexts, stamp
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from alerts.worklist import worklist

router = APIRouter()

# Proxies end silent connections after 30–60 s. Also how long a session that was revoked
# elsewhere, or a lost notification, can go unnoticed.
HEARTBEAT_S = 15.0
# Among the stamps of rows, that of the numbers above them: no alert has this id.
_COUNTS: Final = 0
# Changes of one moment are shown together.
_GATHER_S: Final = 0.03
# A browser that lost us comes back so soon; a thousand of them spread over it.
_RETRY_MS: Final = 2_000
# The page that a stream belongs to is logged when it is opened, and a stream that broke begins
# anew: a patient who was listed so lately is the same look.
_SAME_LOOK: Final = timedelta(hours=1)

_log = structlog.get_logger()


@router.get("/events")
async def events(services: Services, found: Staff) -> Response:
    """Stream the worklist of who is logged in."""
    return StreamingResponse(
        _stream(services, found),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class _Moved(Exception):
    """The viewer's unit is another than when the stream began: other rows, other topics."""


async def _stream(services: ServicesOf, found: Session) -> AsyncIterator[bytes]:
    viewer = found.viewer
    assert viewer.unit_id is not None
    topics = [topic(viewer.staff_id, 0), topic(None, viewer.unit_id), found.topic]
    sent: dict[int, str] = {}
    first = True
    try:
        with services.hub.listen(topics) as changed:
            yield format_sse_event(comment="hello", retry=_RETRY_MS)
            while not services.hub.is_closed:
                changed.clear()
                event, sent = await _look(services, found, sent, whole=first)
                first = False
                yield event
                if event == _ENDED:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await changed.wait()
                    await asyncio.sleep(_GATHER_S)
    except _Moved:
        return  # the browser comes back by itself, as after what follows
    except Full:
        _log.warning("events.full", streams=LISTENERS_MAX, cure="run one more process with pages")
    except (psycopg.OperationalError, PoolTimeout) as error:
        _log.warning("events.database_away", problem=type(error).__name__)


_ENDED: Final = format_sse_event(event="ended", data_str="{}")
_HEARTBEAT: Final = format_sse_event(event="heartbeat", data_str="{}")


async def _look(
    services: ServicesOf, found: Session, sent: dict[int, str], *, whole: bool
) -> tuple[bytes, dict[int, str]]:
    """Return what to send now, and the stamps of the rows that the browser then has."""
    async with services.pool.connection() as connection:
        current = await session.check(connection, found.token_hash)
        if current is None:
            return _ENDED, sent
        if current.viewer != found.viewer:
            raise _Moved
        assert found.viewer.staff_id is not None
        listed = await worklist(connection, found.viewer)
        rows = row_contexts(listed, found.viewer)
        now = datetime.now(UTC)
        stamps = {case.alert_id: stamp(case, now) for case in listed.rows}
        new = stamps.keys() - sent.keys()
        if new:
            await log.append_shown(connection, found.viewer.staff_id, new)
            shown = {case.patient_id for case in listed.rows if case.alert_id in new}
            before = await listed_lately(connection, found.viewer.staff_id, _SAME_LOOK)
            await note_listed(connection, found.viewer, shown - before)
        letters = await messages.waiting(connection, found.viewer)
        todo = await tasks.tasks(connection, found.viewer)
    counts = render_counts(listed, len(letters), len(todo))
    stamped_counts = {**stamps, _COUNTS: counts}
    if list(stamped_counts.items()) == list(sent.items()) and not whole:
        return _HEARTBEAT, sent
    told = {
        "order": list(stamps),
        "counts": counts,
        "rows": {
            alert_id: render(row)
            for (alert_id, stamped), row in zip(stamps.items(), rows, strict=True)
            if sent.get(alert_id) != stamped
        },
    }
    return format_sse_event(event="worklist", data_str=json.dumps(told)), stamped_counts
