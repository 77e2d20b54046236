"""What the room is told of readings."""

import msgspec

from devices.reading import Outcome, Reading
from gateway.event import GatewayEvent, tell
from tests.gateway.material import reading


def told(*readings: Reading) -> list[GatewayEvent]:
    events: list[GatewayEvent] = []
    tell(readings, lambda event, _ids=(): events.append(event))
    return events


def failed(number: int) -> Reading:
    return msgspec.structs.replace(reading(number), outcome=Outcome.FAILED, values=())


def test_a_failure_of_last_week_is_no_news_wherever_it_stands_in_the_history() -> None:
    assert told(failed(1), reading(2)) == [GatewayEvent.RECEIVED]
    assert told(reading(2), failed(1)) == [GatewayEvent.RECEIVED]


def test_the_newest_that_failed_is_to_be_measured_again_wherever_it_stands() -> None:
    assert told(reading(1), failed(2)) == [GatewayEvent.RECEIVED, GatewayEvent.FAILED]
    assert told(failed(2), reading(1)) == [GatewayEvent.RECEIVED, GatewayEvent.FAILED]
    assert told(failed(1)) == [GatewayEvent.FAILED]
