"""User Control Point, characteristic 0x2A9F (UDS 1.0, section 3.7): requests, and their answers.

A scale of several users delivers a user's measurements after that user's consent: the slot and
the code it was registered with. Of the procedures only those two and the plain ones are known
here; whatever else is refused.
"""

import enum
from dataclasses import dataclass
from typing import Final, Self

from devices.gatt.cursor import Cursor, uint

CODE_MAX: Final = 9999  # UDS 1.0, section 3.7.2.1
_RESPONSE: Final = 0x20
_NAME: Final = "User Control Point"


class Operation(enum.IntEnum):
    """What is asked of a device."""

    REGISTER_NEW_USER = 1
    CONSENT = 2
    DELETE_USER_DATA = 3  # of the user whose consent was given


class Result(enum.IntEnum):
    """What became of it."""

    SUCCESS = 1
    NOT_SUPPORTED = 2
    INVALID_PARAMETER = 3
    FAILED = 4
    NOT_AUTHORIZED = 5  # wrong code, or no such user


@dataclass(frozen=True, slots=True, kw_only=True)
class UserControlRequest:
    """What a central writes."""

    operation: Operation
    slot: int | None = None  # with CONSENT
    code: int | None = None  # with REGISTER_NEW_USER and CONSENT; 0 to 9999

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the request in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout, or asks for what is not known here.
        """
        fields = Cursor(payload, _NAME)
        code = fields.uint8()
        if code not in set(Operation):
            fields.refuse(f"operation {code:#04x} is not known")
        operation = Operation(code)
        slot = fields.uint8() if operation is Operation.CONSENT else None
        consent = None
        if operation is not Operation.DELETE_USER_DATA:
            consent = fields.uint16()
            if consent > CODE_MAX:
                fields.refuse(f"code {consent} is over {CODE_MAX}")
        fields.end()
        return cls(operation=operation, slot=slot, code=consent)

    def encode(self) -> bytes:
        """Return what to write; ``ValueError`` if a field is missing, or one too many."""
        fields = uint(self.operation, 1)
        if (self.slot is None) is (self.operation is Operation.CONSENT):
            problem = f"{self.operation.name} with slot {self.slot}"
            raise ValueError(problem)
        if (self.code is None) is not (self.operation is Operation.DELETE_USER_DATA):
            problem = f"{self.operation.name} with code {self.code}"
            raise ValueError(problem)
        if self.slot is not None:
            fields += uint(self.slot, 1)
        if self.code is None:
            return fields
        if not 0 <= self.code <= CODE_MAX:
            problem = f"code {self.code} is not from 0 to {CODE_MAX}"
            raise ValueError(problem)
        return fields + uint(self.code, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserControlResponse:
    """What a device indicates when it is done."""

    operation: int  # the one that was asked for, known here or not
    result: Result
    slot: int | None = None  # of the user that was registered

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the response in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, _NAME)
        if (kind := fields.uint8()) != _RESPONSE:
            fields.refuse(f"{kind:#04x} is no response")
        operation, code = fields.uint8(), fields.uint8()
        if code not in set(Result):
            fields.refuse(f"result {code:#04x} is not known")
        result = Result(code)
        registered = operation == Operation.REGISTER_NEW_USER and result is Result.SUCCESS
        slot = fields.uint8() if registered else None
        fields.end()
        return cls(operation=operation, result=result, slot=slot)

    def encode(self) -> bytes:
        """Return the response's bytes."""
        slot = b"" if self.slot is None else uint(self.slot, 1)
        return uint(_RESPONSE, 1) + uint(self.operation, 1) + uint(self.result, 1) + slot
