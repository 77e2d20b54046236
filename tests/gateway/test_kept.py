"""The last good configuration survives a power cut at any moment."""

import os
from pathlib import Path

import pytest

from gateway.kept import FILE_NAME, Kept, write_kept


def test_the_whole_file_is_on_the_disk_before_it_takes_the_place_of_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First what it holds, then its name; the other way round a cut leaves an empty file."""
    write_kept(tmp_path, Kept(tried="first"))
    before = (tmp_path / FILE_NAME).stat().st_ino
    synced: list[tuple[int, int]] = []  # what was synced, and what bore the name then
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        synced.append((os.fstat(descriptor).st_ino, (tmp_path / FILE_NAME).stat().st_ino))

    monkeypatch.setattr(os, "fsync", watched)
    write_kept(tmp_path, Kept(tried="second"))
    after = (tmp_path / FILE_NAME).stat().st_ino
    assert after != before
    assert synced == [(after, before), (tmp_path.stat().st_ino, after)]
