"""What can be wrong with what a device, a gateway or a peer sent us.

Each error holds its evidence as attributes; nobody has to parse a message.
"""

# A refusal is read by a person: long payloads are cut in the message, never in the attribute.
SHOWN_BYTES_MAX = 32

# A problem may quote what somebody else sent. It goes into receipts and tables, which take 500
# characters (devices.reading.Problem), and it stands there behind "wire message: ".
PROBLEM_CHARACTERS_MAX = 400


class DeviceError(Exception):
    """Somebody else's bytes are not what their format promises."""


class MalformedPayload(DeviceError):
    """A characteristic value or service data does not follow its layout.

    Attributes:
        characteristic: The layout's name, e.g. ``Blood Pressure Measurement``.
        payload: The bytes, whole.
        problem: What is wrong, e.g. ``ends at byte 3``.
    """

    def __init__(self, characteristic: str, payload: bytes, problem: str) -> None:
        self.characteristic = characteristic
        self.payload = bytes(payload)
        self.problem = _quotable(problem)
        super().__init__(f"{characteristic}: {self.problem} in '{_shown(self.payload)}'")


class MalformedMessage(DeviceError):
    """A wire message or one reading in it does not follow the wire format.

    Attributes:
        message: The bytes, whole.
        problem: What is wrong and where.
    """

    def __init__(self, message: bytes, problem: str) -> None:
        self.message = bytes(message)
        self.problem = _quotable(problem)
        super().__init__(f"wire message: {self.problem}")


class UnsupportedVersion(MalformedMessage):
    """A wire message says it is of a version this program does not read.

    Attributes:
        version: The version the message names.
    """

    def __init__(self, message: bytes, version: int, newest: int) -> None:
        self.version = version
        super().__init__(message, f"version {version} is not read here (newest known: {newest})")


def _quotable(problem: str) -> str:
    """Return *problem* cut to its limit, and without characters that nobody can read or store."""
    cut = problem[:PROBLEM_CHARACTERS_MAX]
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut
    )


def _shown(payload: bytes) -> str:
    cut = payload[:SHOWN_BYTES_MAX].hex(" ")
    return cut if len(payload) <= SHOWN_BYTES_MAX else f"{cut} … ({len(payload)} bytes)"
