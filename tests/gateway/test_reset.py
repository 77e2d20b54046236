"""A reset that was cut short, or comes after a power cut."""

from pathlib import Path

import pytest

from gateway import kept
from gateway.commands.reset import wipe
from gateway.database import FILE_NAME


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / FILE_NAME).write_text("readings")
    (tmp_path / "identity-1a2b").mkdir()
    (tmp_path / "identity").symlink_to("identity-1a2b")
    return tmp_path


def test_a_configuration_that_a_power_cut_left_half_written_is_wiped(data_dir: Path) -> None:
    (data_dir / kept.FRESH_NAME).write_text("half")
    assert wipe(data_dir) == []
    assert list(data_dir.iterdir()) == []


def test_a_reset_that_failed_can_be_made_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enrolled box has its configuration from its identity: without it no command runs."""
    unlink = Path.unlink

    def fails(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == FILE_NAME:
            raise OSError(5, "Input/output error", str(path))
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fails)
        assert any(FILE_NAME in problem for problem in wipe(data_dir))
    assert (data_dir / "identity").is_dir()
    assert wipe(data_dir) == []
    assert list(data_dir.iterdir()) == []
