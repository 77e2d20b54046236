"""The chores of ingest's clock, in the order in which a lane does them."""

from ingest.clock.chore import Chore


def chores(keep_days: int) -> tuple[Chore, ...]:
    """Return every chore.

    Args:
        keep_days: How long readings are kept, for the retention.
    """
    _ = keep_days
    return ()
