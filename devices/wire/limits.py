"""The format's common types and limits."""

from typing import Annotated, Final

from msgspec import Meta

VERSION: Final = 1
# Readings and their receipts have a second version, in columns. The first is still read.
COLUMNS_VERSION: Final = 2

# 200 readings of 600 bytes are 120 kB; a broker's usual limit is 256 kB and above.
READINGS_MAX: Final = 200
MESSAGE_BYTES_MAX: Final = 256 * 1024

GATEWAY_ID: Final = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
GatewayId = Annotated[str, Meta(pattern=GATEWAY_ID)]
Version = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # whole in every JSON reader
Word = Annotated[str, Meta(pattern=r"^[^\x00]{0,64}$(?!\n)")]
