"""Renewal: the next certificate in good time, without a gap."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gateway.health import Health


class Renewal:
    """Renews this box's certificate, and tells when it is about to end. A part of ``run``.

    Args:
        data_dir: Where the identity lies.
        health: Where CERTIFICATE_EXPIRES and CERTIFICATE_EXPIRED are told.
        now: The clock.
        is_clock_sure: Whether the clock can be believed; nothing is decided while it cannot.
        on_renewed: Called when another identity lies there than before.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        health: Health,
        now: Callable[[], datetime],
        is_clock_sure: Callable[[], bool],
        on_renewed: Callable[[], None],
    ) -> None:
        self._data_dir = data_dir
        self._health = health
        self._now = now
        self._is_clock_sure = is_clock_sure
        self._on_renewed = on_renewed

    async def run(self) -> None:
        """Watch the certificate for ever."""
        await asyncio.Event().wait()
