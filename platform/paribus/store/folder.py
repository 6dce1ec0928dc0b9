"""Where a store lies: the database, and a folder of plain files for each run, from which it can be rebuilt."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from paribus.errors import StoreError
from paribus.store import record as records
from paribus.store.database import Database, Member, Merged, hidden
from paribus.store.mounts import network
from paribus.store.unfinished import abandoned, unfinished

if TYPE_CHECKING:
    from paribus.store.artifacts import Artifacts

VARIABLE = "PARIBUS_STORE"
ARTIFACTS = "PARIBUS_ARTIFACTS"


@dataclass
class Store:
    """One store, opened."""

    folder: Path
    database: Database
    placed: Path | None = None  # where run folders lie instead of beside the database
    artifacts: "Artifacts | None" = None  # where they lie besides, under a URL; what is here is then a copy

    @property
    def runs(self) -> Path:
        return self.placed or self.folder / "runs"

    @property
    def reports(self) -> Path:
        """Beside the store, where people look."""
        return self.folder.parent / "reports"

    def run_folder(self, run: str) -> Path:
        return self.runs / run

    def fetched(self, run: str) -> Path:
        """The folder of a run with its files in it, brought here where they lie elsewhere."""
        folder = self.run_folder(run)
        if (folder / records.FILE).is_file():
            return folder
        if self.placed is not None and (self.folder / "runs" / run / records.FILE).is_file():
            return self.folder / "runs" / run  # trained before its place was another
        if self.artifacts is not None:
            self.artifacts.fetch(run, self.runs)
        return folder

    def whereabouts(self, run: str) -> str:
        """Where the finished folder of a run lies, here or at the artifacts; empty where it is at neither."""
        for runs in (self.runs, self.folder / "runs"):
            if (runs / run / records.FILE).is_file():
                return str(runs / run)
        if self.artifacts is None or self.artifacts.record(run) is None:
            return ""
        return f"{self.artifacts.shown}/{run}"

    def absence(self) -> str:
        """What to tell of a run whose folder is nowhere that this store knows of."""
        if self.artifacts is None:
            return f"its folder is not in {self.runs}; --artifacts names the folder or URL where it lies"
        return f"its folder is neither in {self.runs} nor at {self.artifacts.shown}; --artifacts names where it lies"

    def take_in(self) -> list[str]:
        """Store the records of finished folders that the database lacks, and give the runs they are of."""
        known = self.database.known()
        found = []
        for folder in _finished(self.runs):
            if folder.name not in known:
                self.database.add(records.read(folder))
                found.append(folder.name)
        if self.artifacts is not None:
            for run in sorted(self.artifacts.names() - known - set(found)):
                record = self.artifacts.record(run)
                if record is not None:
                    self.database.add(record)
                    found.append(run)
        return found

    def place(self) -> None:
        """Copy to the artifacts what lies here only."""
        if self.artifacts is not None:
            for folder in _finished(self.runs):
                if not self.artifacts.is_placed(folder):
                    self.artifacts.place(folder)

    def merge(self, other: "Store") -> Merged:
        """Take over what another store holds and this one lacks, its folders first."""
        new = sorted(other.held() - self.held())
        for run in new:
            here = [runs / run for runs in (other.runs, other.folder / "runs") if (runs / run / records.FILE).is_file()]
            if here:
                self._copy(here[0])
            elif other.artifacts is not None:
                other.artifacts.fetch(run, self.runs)
        self.place()
        merged = self.database.merge(other.database)
        merged.folders = len(new)
        return merged

    def _copy(self, folder: Path) -> None:
        """Take over the folder of a run, as a whole or not at all."""
        from paribus.store.artifacts import PLACED

        target = self.run_folder(folder.name)
        partial = unfinished(target)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(PLACED))
        partial.rename(target)

    def held(self) -> set[str]:
        """The runs whose folders are whole, here or where artifacts lie."""
        found = {folder.name for runs in {self.runs, self.folder / "runs"} for folder in _finished(runs)}
        if self.artifacts is not None:
            found |= {run for run in self.artifacts.names() - found if self.artifacts.record(run) is not None}
        return found

    def lacking(self) -> set[str]:
        """The runs with a result whose folders are nowhere."""
        known = self.database.statuses(self.database.known())
        return {run for run, status in known.items() if status in records.RESULTS} - self.held()

    def remove(self, run: str) -> None:
        """Remove a run's row and folder together."""
        self.database.remove(run)
        for runs in {self.runs, self.folder / "runs"}:
            shutil.rmtree(runs / run, ignore_errors=True)
        if self.artifacts is not None:
            self.artifacts.remove(run)

    def size(self, run: str) -> int:
        """Bytes that the folder of a run takes, here or where artifacts lie."""
        here = size(self.run_folder(run))
        return here if here or self.artifacts is None else self.artifacts.size(run)

    def forget_checkpoints(self, runs: Iterable[str]) -> None:
        """Let runs start anew."""
        for run in runs:
            shutil.rmtree(self.runs / f"{run}.resume", ignore_errors=True)
            if self.artifacts is not None:
                self.artifacts.forget(run)

    def sweep(self) -> None:
        """Remove what attempts left on this machine whose processes are gone."""
        for folder in self.leftovers():
            shutil.rmtree(folder, ignore_errors=True)

    def leftovers(self) -> Iterator[Path]:
        """Folders of attempts that never finished."""
        if self.runs.is_dir():
            partial = (folder for folder in sorted(self.runs.iterdir()) if ".partial" in folder.name)
            yield from filter(abandoned, partial)

    def checkpoints(self) -> list[Path]:
        """Folders of what runs without a result can be gone on with."""
        return sorted(self.runs.glob("*.resume")) if self.runs.is_dir() else []

    def find(self, name: str) -> Member:
        """The run that a user means by the start of an id or by experiment/arm/seed."""
        members = self.database.members()
        found = [member for member in members if member.name == name]
        if not found and name:
            found = [member for member in members if member.run.startswith(name)]
        runs = {member.run for member in found}
        if len(runs) == 1:
            return found[0]
        if not runs:
            raise StoreError(
                f"no run is called '{name}'{_near(name, [member.name for member in members])} "
                "(the start of an id, or experiment/arm/seed); `paribus runs` lists them"
            )
        raise StoreError(f"'{name}' could be {len(runs)} runs: {', '.join(sorted(runs)[:5])}; give more of the id")


def _near(name: str, names: Sequence[str]) -> str:
    """The run that may be meant: of the same arm and seed in a variant of the experiment, or written alike."""
    experiment, _, rest = name.partition("/")
    variants = sorted(
        other for other in names if rest and re.fullmatch(rf"{re.escape(experiment)}@[^/]*/{re.escape(rest)}", other)
    )
    near = variants or get_close_matches(name, names, n=1, cutoff=0.8)
    return f"; did you mean '{near[0]}'?" if near else ""


def _finished(runs: Path) -> list[Path]:
    """The folders of runs that are whole."""
    folders = sorted(runs.iterdir()) if runs.is_dir() else []
    return [folder for folder in folders if "." not in folder.name and (folder / records.FILE).is_file()]


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def locate(given: str | None = None) -> Path:
    """The folder of the store: as given, as the environment says, or `.paribus` in the nearest project."""
    chosen = given or os.environ.get(VARIABLE)
    if chosen and "://" not in chosen:
        return Path(chosen).expanduser().resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".paribus").is_dir() or (folder / "pyproject.toml").is_file():
            return folder / ".paribus"
    return here / ".paribus"


def address_of(given: str | None) -> str | None:
    """The database server that the store is on, if any; raises StoreError for one of another kind."""
    chosen = given or os.environ.get(VARIABLE) or ""
    kind, mark, _ = chosen.partition("://")
    if not mark:
        return None
    if kind not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise StoreError(f"a store is a folder or postgresql://USER:PASSWORD@HOST/DATABASE, got '{kind}://...'")
    return "postgresql" + chosen[len(kind) :]


def open_store(given: str | None = None, *, create: bool = True, artifacts: str | None = None) -> Store:
    """The store; where it may not be created and is not there, StoreError says so.

    Artifacts lie where the environment says, unless a place is given: "" for beside the database.
    """
    place = os.environ.get(ARTIFACTS, "") if artifacts is None else artifacts
    store = _opened(given, create)
    if "://" not in place:
        store.placed = Path(place).expanduser().resolve() if place else None
        return store
    from paribus.store.artifacts import Artifacts

    store.artifacts = Artifacts(place)
    if create:
        store.artifacts.check()
    return store


def _opened(given: str | None, create: bool) -> Store:
    folder = locate(given)
    address = address_of(given)
    if address is not None:
        hidden(address)
        return Store(folder, Database(address))
    file = folder / "store.db"
    if create and (kind := network(folder.resolve())):
        raise StoreError(
            f"the store {folder} would lie on a network file system ({kind}), where a database in a file is not safe: "
            f"name a folder of this machine with --store and {folder / 'runs'} with --artifacts, or a PostgreSQL server"
        )
    if not create and not file.is_file() and not (folder / "runs").is_dir():
        raise StoreError(f"there is no store at {folder} yet; `paribus run FILE` makes one, --store names another")
    reading = not create and file.is_file() and not os.access(folder, os.W_OK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Store(folder, Database(file, reading=reading))
    except OSError as error:
        raise StoreError(f"the store {folder} cannot be used: {error.strerror}") from None
