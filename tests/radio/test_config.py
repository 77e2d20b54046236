import pytest

from gateway.radio import RadioConfig
from gateway.settings import ConfigProblems, build


def _problem(**keys: str) -> tuple[str, str]:
    with pytest.raises(ConfigProblems) as refused:
        build(RadioConfig, keys, "X__")
    (line,) = refused.value.problems
    where, what = line.split(": ", 1)
    return where, what


def test_bluez_is_the_default() -> None:
    assert RadioConfig() == build(RadioConfig, {"backend": "bluez"}, "X__")


def test_bumble_without_a_transport_says_which_key_and_gives_an_example() -> None:
    where, what = _problem(backend="bumble")
    assert where == "transport"
    assert "tcp-client:127.0.0.1:7777" in what


def test_a_key_of_the_other_backend_is_refused() -> None:
    assert _problem(backend="bluez", transport="usb:0")[0] == "transport"
    assert _problem(backend="bumble", transport="usb:0", adapter="hci0")[0] == "adapter"


def test_unknown_keys_and_backends_are_refused() -> None:
    assert _problem(speed="fast")[0] == "speed"
    where, what = _problem(backend="windows")
    assert where == "backend"
    assert "'bluez' or 'bumble'" in what
