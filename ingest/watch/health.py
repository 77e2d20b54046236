"""Health: whether the process lives, and whether it is of use. Pure; time is an argument.

To live is to turn: a process that does not is to be killed, which loses nothing. To be ready is to
carry readings: one that is not waits for somebody else, and a restart would not help. The event
loop writes and the server's threads read, one attribute at a time; times are monotonic seconds.
"""

from dataclasses import dataclass
from typing import Final

# The loop says that it turns once a second. The longest stretch that keeps it from turning,
# decoding and judging 100,000 readings, is about a second.
BEAT_EVERY_S: Final = 1.0
BEAT_S_MAX: Final = 10.0
# A transaction may take two minutes (settle.TRANSACTION_S_MAX), and is then tried again.
STUCK_S_MAX: Final = 180.0
# The database is asked every two seconds (watcher.LOOK_EVERY_S), and may take ten to answer.
ANSWER_S_MAX: Final = 15.0
# A restart of the database takes seconds, a failover up to half a minute.
RETRYING_S_MAX: Final = 60.0


@dataclass(slots=True)
class Health:
    """What is known. Whoever learns something sets it."""

    beat_s: float  # when the loop last turned
    is_subscribed: bool = False
    schema_problem: str | None = "the database has not been asked yet"
    answered_s: float | None = None  # when the database last answered or committed
    retrying_since_s: float | None = None  # attempts have failed since, and none succeeded
    held: int = 0  # deliveries in hand
    held_bytes: int = 0  # their size
    moved_s: float = 0.0  # when a batch was last settled or tried, or the first one came in hand
    settled_s: float = 0.0  # when a batch was last settled, or the first one came in hand
    worst_lag_s: float = 0.0  # from arrival to commit, since the last look


def not_living(health: Health, now_s: float) -> list[str]:
    """Return why the process should be killed; empty: it should not."""
    problems = []
    silent_s = now_s - health.beat_s
    if silent_s > BEAT_S_MAX:
        problems.append(f"loop: it has not turned for {silent_s:.0f} s")
    stuck_s = now_s - health.moved_s
    if health.held and stuck_s > STUCK_S_MAX:
        problems.append(
            f"pipeline: {health.held} deliveries in hand, none moved for {stuck_s:.0f} s"
        )
    return problems


def not_ready(health: Health, now_s: float) -> list[str]:
    """Return why the process carries no readings at the moment; empty: it does."""
    problems = not_living(health, now_s)
    if health.schema_problem:
        problems.append(f"schema: {health.schema_problem}")
    if not health.is_subscribed:
        problems.append("broker: not subscribed; see broker.* in the log")
    if health.answered_s is None or now_s - health.answered_s > ANSWER_S_MAX:
        problems.append("database: it does not answer; see database.* in the log")
    since_s = health.retrying_since_s
    if since_s is not None and now_s - since_s > RETRYING_S_MAX:
        problems.append(f"database: nothing could be committed for {now_s - since_s:.0f} s")
    elif health.held and now_s - health.settled_s > RETRYING_S_MAX:
        problems.append(f"pipeline: no batch was settled for {now_s - health.settled_s:.0f} s")
    return problems
