"""What a gateway's log says of the devices it served: how long they waited, and for what.

Shared by the tests that hold the gateway to its promises and the benchmarks that print figures.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """One visit.

    Attributes:
        device_id: To whom.
        visit: How it went, a word of ``gateway.sighting.Visit``.
        new_readings: What it brought.
        waited_ms: From the first advertisement of its window to the beginning of the visit.
        outbox_ms: From the last advertisement before the visit to the first reading that lay
            durable in the outbox; none if there was none.
        took_ms: From its beginning to its end.
    """

    device_id: str
    visit: str
    new_readings: int
    waited_ms: int
    outbox_ms: int | None
    took_ms: int


def served(log: str) -> list[Served]:
    """Return the visits in a gateway's JSON log, in order."""
    found = []
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue  # a library's own words
        if isinstance(event, dict) and event.get("event") == "session.over":
            found.append(
                Served(
                    device_id=event["device_id"],
                    visit=event["visit"],
                    new_readings=event["new_readings"],
                    waited_ms=event["waited_ms"],
                    outbox_ms=event["outbox_ms"],
                    took_ms=event["took_ms"],
                )
            )
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that *share* of the others do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def figures(name: str, values_ms: Iterable[float]) -> str:
    """Return a line with the median, p95, p99 and the greatest."""
    values = list(values_ms)
    if not values:
        return f"{name:>28}: none"
    shares = (0.5, 0.95, 0.99)
    told = ", ".join(f"p{share * 100:.0f} {quantile(values, share):.0f}" for share in shares)
    return f"{name:>28}: {told}, most {max(values):.0f} ms (n = {len(values)})"
