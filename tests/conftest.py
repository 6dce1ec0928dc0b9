"""What many tests start from: a small right experiment, and a folder to write it in."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SMALL = """\
name: small
task:
  {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}
network: {width: 16, depth: 2, mixer: {heads: 2}, feedforward: {width: 32}, dropout: 0.0}
training: {steps: 6, batch: {examples: 20}, optimizer: {lr: 1e-2}, evaluate: {every: 0.5, examples: 40}}
seeds: 2
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes `SMALL` with more lines behind it (or another text) to a file in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARIBUS_STORE", raising=False)

    def written(more: str = "", *, text: str | None = None, name: str = "small.yaml") -> Path:
        file = tmp_path / name
        file.write_text((SMALL + more) if text is None else text, encoding="utf-8")
        return Path(name)

    return written


class Server:
    """A PostgreSQL server of a test's own, on a port of 127.0.0.1."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._call("initdb", "-D", str(folder), "-U", "me", "--auth=trust", "-E", "UTF8", "--no-sync")
        self.start()

    def _call(self, program: str, *words: str) -> None:
        # The server refuses to run as root.
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        log = self._folder.parent / "log.txt"
        with log.open("a") as out:
            done = subprocess.run(
                [*prefix, str(self._programs / program), *words],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        assert done.returncode == 0, log.read_text()

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._call("pg_ctl", "-D", str(self._folder), "-w", "-o", options, "start")

    def stop(self) -> None:
        self._call("pg_ctl", "-D", str(self._folder), "-m", "immediate", "stop")

    def database(self) -> str:
        """The address of a new database."""
        import psycopg
        from psycopg import sql

        name = f"db{uuid.uuid4().hex[:8]}"
        with psycopg.connect(f"postgresql://me@127.0.0.1:{self._port}/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql://me:secret@127.0.0.1:{self._port}/{name}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server; where PostgreSQL is not installed the test is skipped, but not where everything has to be tested."""
    found = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *(Path(w).resolve().parent for w in [shutil.which("initdb")] if w),
    ]
    if not found or (os.geteuid() == 0 and shutil.which("runuser") is None):
        assert not os.environ.get("CI"), "PostgreSQL has to be installed for this test"
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="paribus-postgresql-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
    server = Server(data, found[-1])
    yield server
    server.stop()
    shutil.rmtree(folder)
