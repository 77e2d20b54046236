"""RadioConfig: the ``[radio]`` part of the gateway's configuration."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

_NEEDED = (
    'needed when backend is "bumble": name an HCI transport, '
    'for example "tcp-client:127.0.0.1:7777" or "usb:0"'
)


class RadioConfig(BaseModel):
    """The backend and which adapter it uses.

    Attributes:
        backend: ``bluez`` is Linux's own Bluetooth; ``bumble`` speaks HCI itself.
        transport: For bumble: any Bumble HCI transport.
        adapter: For bluez: an adapter's name, for example ``hci1``; empty is the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["bluez", "bumble"] = Field(default="bluez", description="'bluez' or 'bumble'")
    transport: str = Field(
        default="", validate_default=True, description="for bumble: an HCI transport"
    )
    adapter: str | None = Field(
        default=None, description="for bluez: an adapter's name, such as 'hci1'"
    )

    @field_validator("transport")
    @classmethod
    def _belongs_to_bumble(cls, transport: str, info: ValidationInfo) -> str:
        backend = info.data.get("backend")
        if backend == "bumble" and not transport:
            raise ValueError(_NEEDED)
        if backend == "bluez" and transport:
            problem = 'used only when backend is "bumble": set that, or remove this'
            raise ValueError(problem)
        return transport

    @field_validator("adapter")
    @classmethod
    def _belongs_to_bluez(cls, adapter: str | None, info: ValidationInfo) -> str | None:
        if adapter and info.data.get("backend") == "bumble":
            problem = 'used only when backend is "bluez": name the controller in transport'
            raise ValueError(problem)
        return adapter or None
