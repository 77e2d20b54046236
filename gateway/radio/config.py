"""RadioConfig: the ``[radio]`` part of the gateway's configuration."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.settings import Problem

# In the data directory: bonds and address of our own Bluetooth stack. BlueZ keeps its own.
KEYS_DIRECTORY: Final = "keys"


class RadioConfig(Struct, frozen=True, kw_only=True):
    """The backend and which adapter it uses.

    Attributes:
        backend: ``bluez`` is Linux's own Bluetooth; ``bumble`` speaks HCI itself.
        transport: For bumble: any Bumble HCI transport.
        adapter: For bluez: an adapter's name, for example ``hci1``; empty is the first.
    """

    backend: Annotated[Literal["bluez", "bumble"], Meta(description="'bluez' or 'bumble'")] = (
        "bluez"
    )
    transport: Annotated[str, Meta(description="for bumble: an HCI transport")] = ""
    adapter: Annotated[
        str | None, Meta(description="for bluez: an adapter's name, such as 'hci1'")
    ] = None

    def problems(self) -> Iterator[Problem]:
        """Yield what does not go together."""
        if self.backend == "bumble" and not self.transport:
            cure = 'Name an HCI transport, for example "tcp-client:127.0.0.1:7777" or "usb:0"'
            yield Problem("transport", 'needed when backend is "bumble"', cure)
        if self.backend == "bluez" and self.transport:
            yield Problem(
                "transport", 'used only when backend is "bumble"', "Set that, or remove this"
            )
        if self.backend == "bumble" and self.adapter:
            cure = "Name the controller in transport"
            yield Problem("adapter", 'used only when backend is "bluez"', cure)
