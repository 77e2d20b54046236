"""Thrift: memory that is free inside the process goes back to the machine.

Starting takes 9 MB more than running: what importing and compiling leave behind is free, and
glibc keeps it for later. There is no later on a box that waits for years.
"""

import asyncio
import ctypes
from itertools import chain, repeat
from typing import Final

# The parts have started, and the first connection stands or has failed.
SETTLED_S: Final = 10.0
# Sessions leave a little behind. It takes some milliseconds.
AGAIN_S: Final = 3600.0


async def keep_lean() -> None:
    """Give free memory back, for ever."""
    for wait_s in chain([SETTLED_S], repeat(AGAIN_S)):
        await asyncio.sleep(wait_s)
        give_back()


def give_back() -> None:
    """Give free memory back to the machine, where the C library can (malloc_trim(3))."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
