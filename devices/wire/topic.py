"""Topics: what is said where."""

import enum
import re
from typing import Final

from devices.wire.limits import GATEWAY_ID

TOPIC_ROOT: Final = "egenmonitor/v1"


class TopicKind(enum.StrEnum):
    """The last level of a topic."""

    READINGS = "readings"  # gateway → ingest, QoS 1
    RECEIPTS = "receipts"  # ingest → gateway, QoS 1
    STATUS = "status"  # gateway → everyone, retained: birth, heartbeat, last will
    CONFIG = "config"  # server → gateway, retained


def is_gateway_id(text: str) -> bool:
    """Return whether *text* can name a gateway: 1–64 letters, digits, ``_`` or ``-``."""
    return re.fullmatch(GATEWAY_ID, text) is not None


def topic(gateway_id: str, kind: TopicKind) -> str:
    """Return the topic of one gateway. ``+`` as *gateway_id* makes the filter for all."""
    return f"{TOPIC_ROOT}/{gateway_id}/{kind}"


def parse_topic(name: str) -> tuple[str, TopicKind]:
    """Return gateway id and kind of a topic name; ``ValueError`` if it is none of ours."""
    parts = name.split("/")
    root = TOPIC_ROOT.split("/")
    if len(parts) != len(root) + 2 or parts[:-2] != root or not is_gateway_id(parts[-2]):
        problem = f"not a topic of ours: {name!r}"
        raise ValueError(problem)
    return parts[-2], TopicKind(parts[-1])
