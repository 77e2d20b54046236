"""Ends tasks for certain.

Before Python 3.12 ``asyncio.wait_for``, which psycopg and its pool use, can lose a cancellation
that meets what was waited for; so it is asked for again until the task has ended.
"""

import asyncio
from collections.abc import Collection
from typing import Any

# Long enough for a rollback; a lost cancellation costs this once.
_AGAIN_S = 0.1


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* and wait until all have ended. Their failures are left to who owns them."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
