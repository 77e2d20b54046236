"""What the libraries say comes into our log; what was sent and keys do not."""

import logging
from collections.abc import Iterator

import pytest

from gateway.radio.log import heard_in_our_log, without_bytes


class Kept(logging.Handler):
    """Keeps what our log says."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.facts.append({"event": record.msg, **vars(record)["facts"]})


@pytest.fixture
def said() -> Iterator[list[dict[str, object]]]:
    kept, ours = Kept(), logging.getLogger("gateway")
    ours.addHandler(kept)
    yield kept.facts
    ours.removeHandler(kept)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("pairing failure (CONFIRM_VALUE_FAILED)", "pairing failure (CONFIRM_VALUE_FAILED)"),
        ("LTK=ba54e85895a9b419bfe1d7fc8d94b2ca!", "LTK=…!"),
        ("sent b'\\x1e\\x78' to C4:64:E3:00:00:01", "sent … to C4:64:E3:00:00:01"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("x" * 500, "x" * 200),
    ],
)
def test_bytes_are_taken_out(words: str, told: str) -> None:
    assert without_bytes(words) == told


def test_warnings_are_told_and_the_rest_is_not(said: list[dict[str, object]]) -> None:
    with heard_in_our_log("bumble"):
        library = logging.getLogger("bumble.smp")
        library.warning("pairing failure (%s)", "CONFIRM_VALUE_FAILED")
        library.debug("user input: 123456")
        library.info("nothing")
    assert [(each["event"], each["words"], each["part"]) for each in said] == [
        ("radio.library", "pairing failure (CONFIRM_VALUE_FAILED)", "bumble.smp")
    ]


def test_an_error_is_named_without_its_words(said: list[dict[str, object]]) -> None:
    secret = ValueError("key 00112233445566778899aabbccddeeff")
    with heard_in_our_log("bumble"):
        logging.getLogger("bumble.device").error("storing keys", exc_info=secret)
    assert [(each["words"], each["error"]) for each in said] == [("storing keys", "ValueError")]


def test_a_library_is_heard_no_longer_than_the_radio_is_open(
    said: list[dict[str, object]],
) -> None:
    with heard_in_our_log("bumble"):
        pass
    logging.getLogger("bumble.smp").warning("afterwards")
    assert said == []
