"""UserConsent: a slot of ours on a scale that keeps its users apart (User Data Service 1.0).

Such a scale names nobody, or delivers nothing, before a user's consent. The gateway registers a
user once and gives that slot's code at every connect from then on. It knows no person: which
patient a slot is, the server decides. No age, sex or height is written, so a scale that derives
body fat from them may leave it out.

Slots are few (8 to 10) and cannot be taken back without their code, so registering is counted
before it is tried, and there is an end to it. A write that times out may have been done at the
scale: only the scale's own refusal is counted back.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from devices.drivers.driver import RawValue, Request, Subscribe, Write
from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.user_control_point import (
    CODE_MAX,
    Operation,
    Result,
    UserControlRequest,
    UserControlResponse,
)

# Keys of a driver's memory.
USER_SLOT: Final = "user_slot"
USER_CODE: Final = "user_code"
USER_REGISTRATIONS: Final = "user_registrations"

# The first time, and once anew when the scale no longer takes the code: new batteries wipe the
# users of some. More needs a person: pairing anew begins from nothing.
REGISTRATIONS_MAX: Final = 2

_SLOT_MAX: Final = 254  # 255 is "unknown"

# What a scale says when the slot is gone or somebody else's; anything else may pass.
_LOST: Final = (Result.NOT_AUTHORIZED, Result.INVALID_PARAMETER)


class UserConsent:
    """One session's talk with a User Control Point.

    Args:
        device_id: The scale.
        memory: What the last session's ``memory`` was.
    """

    def __init__(self, device_id: str, memory: Mapping[str, str]) -> None:
        self._memory = dict(memory)
        self._code = _code(device_id)
        self._waits_for: Operation | None = None
        self._next = self._consent() or self._registration()

    @property
    def subscription(self) -> Subscribe:
        """What must be enabled for an answer to come."""
        return Subscribe(uuids.USER_CONTROL_POINT)

    @property
    def memory(self) -> Mapping[str, str]:
        """What to keep for the next session; holds what was given, too."""
        return dict(self._memory)

    def asks(self) -> Sequence[Request]:
        """Return the next procedure, when the one before it has ended."""
        request, self._next = self._next, None
        if request is None:
            return ()
        self._waits_for = request.operation
        if request.operation is Operation.REGISTER_NEW_USER:
            self._count(1)  # before it is known to have worked: an answer may be lost
        return (Write(uuids.USER_CONTROL_POINT, request.encode()),)

    def answered(self, raw: RawValue) -> None:
        """Take an indication of the User Control Point."""
        try:
            response = UserControlResponse.decode(raw.payload)
        except MalformedPayload:
            self._waits_for = None  # a dialect of its own: nothing more is asked of it
            return
        if self._waits_for is None or response.operation != self._waits_for:
            return
        self._waits_for = None
        if response.operation == Operation.REGISTER_NEW_USER:
            self._registered(response)
        elif response.result in _LOST:
            self._forget()
            self._next = self._registration()

    def unanswered(self, request: Request) -> None:
        """Take note that the device has no User Control Point, or does not let us write."""
        if request == self.subscription:
            self._next = None
            return
        is_ours = isinstance(request, Write) and request.characteristic == uuids.USER_CONTROL_POINT
        if is_ours and self._waits_for is Operation.CONSENT:
            self._waits_for = None  # a registration's answer may yet come

    def _registered(self, response: UserControlResponse) -> None:
        if response.slot is None:
            self._count(-1)  # refused by the scale itself: no slot was taken
            return
        self._memory |= {USER_SLOT: str(response.slot), USER_CODE: str(self._code)}
        self._next = self._consent()

    def _consent(self) -> UserControlRequest | None:
        slot = _number(self._memory.get(USER_SLOT), _SLOT_MAX)
        code = _number(self._memory.get(USER_CODE), CODE_MAX)
        if slot is None or code is None:
            return None
        return UserControlRequest(operation=Operation.CONSENT, slot=slot, code=code)

    def _registration(self) -> UserControlRequest | None:
        if self._registrations >= REGISTRATIONS_MAX:
            return None
        return UserControlRequest(operation=Operation.REGISTER_NEW_USER, code=self._code)

    @property
    def _registrations(self) -> int:
        return _number(self._memory.get(USER_REGISTRATIONS), REGISTRATIONS_MAX) or 0

    def _count(self, by: int) -> None:
        self._memory[USER_REGISTRATIONS] = str(self._registrations + by)

    def _forget(self) -> None:
        for key in (USER_SLOT, USER_CODE):
            self._memory.pop(key, None)


def _code(device_id: str) -> int:
    """Return the code for *device_id*: always the same.

    It keeps household members apart and guards nothing: whoever stands by the scale can read it.
    """
    return int.from_bytes(hashlib.sha256(device_id.encode()).digest()[:4]) % (CODE_MAX + 1)


def _number(text: str | None, highest: int) -> int | None:
    """Return the number in *text*, if it is one from 0 to *highest*."""
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    number = int(text[: len(str(highest)) + 1])
    return number if number <= highest else None
