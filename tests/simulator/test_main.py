"""The command line."""

import signal

import pytest

from simulator import __main__ as command_line


def test_ctrl_c_while_libraries_are_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "app", interrupted)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 128 + signal.SIGINT
