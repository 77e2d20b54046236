"""alerts' command line, in this process: a process of its own takes a second only to begin."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from alerts.__main__ import app


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command has said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def command(*words: str, config: Path) -> Ended:
    """Run a command to its end."""
    code, out, err = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app([*words, "--config", str(config)])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())
