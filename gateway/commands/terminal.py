"""What every command needs of the terminal: the configuration, exit codes, complaints."""

import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from gateway.config import Config, ConfigProblems, load

BAD_CONFIGURATION: Final = 2
UNREACHABLE: Final = 1
IN_USE: Final = 1

ConfigFile = Annotated[Path, Parameter(help="The gateway's TOML file.")]


def configuration(path: Path) -> Config:
    """Return the configuration in *path*, or complain of everything in it and exit."""
    try:
        return load(path)
    except ConfigProblems as error:
        sys.exit(complain(str(error), BAD_CONFIGURATION))


def complain(words: str, code: int) -> int:
    """Say *words* where problems are said; return *code*."""
    print(words, file=sys.stderr)
    return code
