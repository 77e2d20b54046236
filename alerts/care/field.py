"""What the fields of the care record file are made of."""

from collections.abc import Iterable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

T = TypeVar("T")


def _printable(text: str) -> str:
    if not all(char.isprintable() or char == "\n" for char in text):
        problem = "holds characters that cannot be shown"
        raise ValueError(problem)
    return text


Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\n\r]*$"),
    AfterValidator(_printable),
]
Steps = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=1000),
    AfterValidator(_printable),
]
USERNAME = r"^[a-z0-9._-]{1,64}$"
Username = Annotated[str, StringConstraints(pattern=USERNAME)]
# Eight is the least NIST SP 800-63B accepts; the most keeps the hash's work bounded.
PASSWORD_CHARS_MAX = 128
Password = Annotated[SecretStr, Field(min_length=8, max_length=PASSWORD_CHARS_MAX)]


class Part(BaseModel):
    """A part of the file. What it does not know is an error, never passed over."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def doubles(values: Iterable[T]) -> list[T]:
    """Return the values that come more than once, in order of appearance."""
    seen: dict[T, int] = {}
    for value in values:
        seen[value] = seen.get(value, 0) + 1
    return [value for value, times in seen.items() if times > 1]
