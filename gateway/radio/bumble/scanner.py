"""BumbleScanner: bleak's scanner over Bumble; joins each advertisement to its scan response."""

from dataclasses import dataclass
from typing import Any

from bleak.backends.scanner import AdvertisementDataCallback, BaseBleakScanner
from bumble import hci

from gateway.radio.advertisement import parse
from gateway.radio.bumble.adapter import Adapter
from gateway.radio.bumble.host import Report

# Telephones passing by change their address every quarter of an hour; the oldest are forgotten.
HEARD_MAX = 1024

_Event = hci.HCI_LE_Advertising_Report_Event.EventType
_SCANNABLE = (_Event.ADV_IND, _Event.ADV_SCAN_IND)


@dataclass(slots=True)
class _Heard:
    """The two parts of one device's latest advertisement; None has not been heard yet."""

    advertising: bytes | None = None
    scan_response: bytes | None = None


class BumbleScanner(BaseBleakScanner):
    """Reports each advertisement, with the name its scan response gave.

    A device's first advertisement waits for its scan response, or for the second one: with
    many devices the name is what tells them apart.
    """

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        *,
        radio_adapter: Adapter,
        **_for_other_backends: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._adapter = radio_adapter
        self._active = scanning_mode == "active"
        self._heard: dict[str, _Heard] = {}

    async def start(self) -> None:
        self.seen_devices = {}
        self._heard = {}
        await self._adapter.start_scanning(self._on_report, active=self._active)

    async def stop(self) -> None:
        """Stop; there is nothing left to stop on an adapter that is gone."""
        if not self._adapter.is_lost:
            await self._adapter.stop_scanning()

    def _on_report(self, report: Report) -> None:
        # A bonded device that changes its address is known by the one it keeps.
        address = self._adapter.identity(report.address).to_string(with_type_qualifier=False)
        heard = self._heard.get(address) or self._first(address)
        if report.event_type == _Event.SCAN_RSP:
            is_known = heard.scan_response == report.data
            heard.scan_response = report.data
            if heard.advertising is None or is_known:
                return
        else:
            waits = self._active and heard.advertising is None and report.event_type in _SCANNABLE
            heard.advertising = report.data
            if waits:
                return
        self._detect(address, heard, report)

    def _first(self, address: str) -> _Heard:
        if len(self._heard) >= HEARD_MAX:
            oldest = next(iter(self._heard))
            del self._heard[oldest]
            self.seen_devices.pop(oldest, None)
        self._heard[address] = heard = _Heard()
        return heard

    def _detect(self, address: str, heard: _Heard, report: Report) -> None:
        seen = parse(heard.advertising or b"", heard.scan_response or b"", report.rssi)
        if self.is_allowed_uuid(seen.service_uuids):
            device = self.create_or_update_device(
                address, address, seen.local_name, report.address, seen
            )
            device.details = report.address  # bleak keeps what it was first heard under
            self.call_detection_callbacks(device, seen)
