"""Control: a running gateway listens to its own machine's staff, on a socket in its data directory.

``<data_dir>/control.sock``, 0600: who may read the store may ask for a pairing. JSON lines of
bounded size; pair, passkey, cancel and progress, nothing else.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from devices.wire import PairingRequest, PairingStatus
from gateway.radio import AskPasskey

SOCKET_NAME: Final = "control.sock"

# Central.pair: runs until the pairing is over; raises PairingBusy when another one is going on.
Pair = Callable[
    [PairingRequest, AskPasskey, Callable[[PairingStatus], None]], Awaitable[PairingStatus]
]


class Control:
    """The socket, for as long as ``run`` runs.

    Args:
        data_dir: Where the socket lies.
        pair: What does the pairing.
    """

    def __init__(self, data_dir: Path, pair: Pair) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """Listen until cancelled."""
        raise NotImplementedError
