"""The database of a store: which experiments there are, which runs they need, and what every attempt at a run left."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import ForeignKey, Index, String, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from paribus.errors import StoreError
from paribus.planning import Plan
from paribus.store import record as records
from paribus.store.record import Outcome, Record


class Table(DeclarativeBase):
    pass


class ExperimentRow(Table):
    """One resolved file; the same name may stand for several."""

    __tablename__ = "experiment"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), index=True)
    folder: Mapped[str] = mapped_column(String(300), index=True)
    digest: Mapped[str] = mapped_column(String(16))
    used_at: Mapped[str] = mapped_column(String(40))
    plan: Mapped[bytes]
    __table_args__ = (Index("experiment_identity", "folder", "digest", unique=True),)


class MemberRow(Table):
    """A run that an experiment needs, under the name that it has there."""

    __tablename__ = "member"
    experiment: Mapped[int] = mapped_column(ForeignKey("experiment.id", ondelete="CASCADE"), primary_key=True)
    arm: Mapped[str] = mapped_column(String(200), primary_key=True)
    task: Mapped[str] = mapped_column(String(100), primary_key=True)
    seed: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(String(16), index=True)


class RunRow(Table):
    """The newest attempt of every run that was tried."""

    __tablename__ = "run"
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    status: Mapped[str] = mapped_column(String(20), index=True)
    attempt: Mapped[int] = mapped_column(ForeignKey("attempt.id"))


class AttemptRow(Table):
    """One try at a run; superseded ones stay."""

    __tablename__ = "attempt"
    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(String(16), index=True)
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    finished_at: Mapped[str] = mapped_column(String(40))
    record: Mapped[bytes | None]


class ScoreRow(Table):
    """The scores of the newest attempt, for queries."""

    __tablename__ = "score"
    run: Mapped[str] = mapped_column(String(16), primary_key=True)
    split: Mapped[str] = mapped_column(String(40), primary_key=True)
    metric: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[float | None]
    reason: Mapped[str]


@dataclass(frozen=True)
class Member:
    """A run under the name that an experiment gives it."""

    experiment: str
    arm: str
    task: str
    seed: int
    run: str
    status: str

    @property
    def name(self) -> str:
        return "/".join([self.experiment, self.arm, *([self.task] if self.task else []), str(self.seed)])


class Database:
    """All reading and writing of one database; only drivers write."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self._engine = _sqlite(file)
        with self._telling():
            _migrate(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    # Experiments

    def save_plan(self, plan: Plan) -> None:
        """Remember a plan as the newest one of its folder."""
        packed = _pack(plan.tree())
        with self._writing() as connection:
            same = sql.and_(ExperimentRow.folder == plan.folder, ExperimentRow.digest == plan.digest)
            found = connection.execute(sql.select(ExperimentRow.id).where(same)).scalar()
            if found is not None:
                connection.execute(sql.update(ExperimentRow).where(same).values(plan=packed, used_at=_now()))
                return
            row = {"name": plan.name, "folder": plan.folder, "digest": plan.digest, "used_at": _now(), "plan": packed}
            key = connection.execute(sql.insert(ExperimentRow).values(row).returning(ExperimentRow.id)).scalar_one()
            connection.execute(
                sql.insert(MemberRow),
                [{"experiment": key, "arm": r.arm, "task": r.task, "seed": r.seed, "run": r.id} for r in plan.runs],
            )

    def plan(self, folder: str) -> Plan | None:
        """The newest plan of a folder under reports/."""
        query = sql.select(ExperimentRow.plan).where(ExperimentRow.folder == folder).order_by(*_newest()).limit(1)
        with self._reading() as connection:
            packed = connection.execute(query).scalar()
        return None if packed is None else Plan.of(_unpack(packed))

    def plans(self) -> list[Plan]:
        """The newest plan of every folder, by name."""
        with self._reading() as connection:
            folders = connection.execute(sql.select(ExperimentRow.folder).distinct()).scalars().all()
        return [plan for folder in sorted(folders) if (plan := self.plan(folder))]

    def members(self, experiment: str | None = None) -> list[Member]:
        """The runs of the newest plans, under their names, tried or not."""
        newest: dict[str, int] = {}
        with self._reading() as connection:
            rows = connection.execute(sql.select(ExperimentRow.id, ExperimentRow.folder).order_by(*_newest()))
            for key, folder in rows:
                newest.setdefault(folder, key)
            query = (
                sql.select(MemberRow, ExperimentRow.folder, RunRow.status)
                .join(ExperimentRow, ExperimentRow.id == MemberRow.experiment)
                .outerjoin(RunRow, RunRow.id == MemberRow.run)
                .where(MemberRow.experiment.in_(list(newest.values())))
                .order_by(ExperimentRow.folder, MemberRow.seed, MemberRow.task, MemberRow.arm)
            )
            if experiment is not None:
                query = query.where(ExperimentRow.folder == experiment)
            return [
                Member(row.folder, row.arm, row.task, row.seed, row.run, row.status or "pending")
                for row in connection.execute(query)
            ]

    def main_scores(self, members: Sequence[Member]) -> dict[str, dict[str, Any]]:
        """The score of each run that decides in its experiment."""
        plans = {name: self.plan(name) for name in {member.experiment for member in members}}
        deciding = {
            (name, task.name): plan.deciding(task) for name, plan in plans.items() if plan for task in plan.tasks
        }
        wanted = {member.run: deciding[member.experiment, member.task] for member in members}
        found: dict[str, dict[str, Any]] = {}
        with self._reading() as connection:
            for some in _pieces(list(wanted)):
                for row in connection.execute(sql.select(ScoreRow).where(ScoreRow.run.in_(some))):
                    if (row.metric, row.split) == wanted[row.run]:
                        known = ("metric", "split", "value", "reason")
                        found[row.run] = {name: getattr(row, name) for name in known}
        return found

    # Runs

    def add(self, record: Record) -> None:
        """Store an attempt's record as the newest of its run."""
        self.add_attempt(record.run, record.status, record.reason, record)

    def add_attempt(self, run: str, status: str, reason: str, record: Record | None = None) -> None:
        packed = None if record is None else _pack(records.tree(record))
        row = {"run": run, "status": status, "reason": reason, "finished_at": _now(), "record": packed}
        with self._writing() as connection:
            before = connection.execute(sql.select(RunRow.status).where(RunRow.id == run)).scalar()
            key = connection.execute(sql.insert(AttemptRow).values(row).returning(AttemptRow.id)).scalar_one()
            if before in records.RESULTS and status not in records.RESULTS:
                return  # what broke off does not take the place of a result
            connection.execute(sql.delete(ScoreRow).where(ScoreRow.run == run))
            updated = connection.execute(sql.update(RunRow).where(RunRow.id == run).values(status=status, attempt=key))
            if not updated.rowcount:
                connection.execute(sql.insert(RunRow).values(id=run, status=status, attempt=key))
            if record is not None and record.scores:
                rows = [{"run": run, **vars(score)} for score in record.scores]
                connection.execute(sql.insert(ScoreRow), rows)

    def statuses(self, runs: Iterable[str]) -> dict[str, str]:
        """The status of every run that was tried."""
        found: dict[str, str] = {}
        with self._reading() as connection:
            for some in _pieces(list(runs)):
                query = sql.select(RunRow.id, RunRow.status).where(RunRow.id.in_(some))
                found.update((row.id, row.status) for row in connection.execute(query))
        return found

    def outcomes(self, runs: Iterable[str]) -> dict[str, Outcome]:
        """What is known of each run; those never tried are pending."""
        wanted = list(dict.fromkeys(runs))
        found = {run: Outcome(run) for run in wanted}
        counts = sql.select(AttemptRow.run, sql.func.count().label("count")).group_by(AttemptRow.run).subquery()
        with self._reading() as connection:
            for some in _pieces(wanted):
                query = (
                    sql.select(RunRow.id, AttemptRow.status, AttemptRow.reason, AttemptRow.record, counts.c.count)
                    .join(AttemptRow, AttemptRow.id == RunRow.attempt)
                    .join(counts, counts.c.run == RunRow.id)
                    .where(RunRow.id.in_(some))
                )
                for run, status, reason, packed, count in connection.execute(query):
                    record = None if packed is None else records.of(_unpack(packed))
                    found[run] = Outcome(run, status, record, count, reason)
        return found

    def attempts(self, run: str) -> list[tuple[str, str, str]]:
        """(when, status, reason) of every try at a run, the oldest first."""
        query = sql.select(AttemptRow.finished_at, AttemptRow.status, AttemptRow.reason).where(AttemptRow.run == run)
        with self._reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(AttemptRow.id))]

    def needed(self) -> set[str]:
        """The runs of all experiments, older plans of them too."""
        with self._reading() as connection:
            return set(connection.execute(sql.select(MemberRow.run).distinct()).scalars())

    def known(self) -> set[str]:
        with self._reading() as connection:
            return set(connection.execute(sql.select(RunRow.id)).scalars())

    def remove(self, run: str) -> None:
        """Forget a run and all its attempts; experiments still need it."""
        with self._writing() as connection:
            connection.execute(sql.delete(ScoreRow).where(ScoreRow.run == run))
            connection.execute(sql.delete(RunRow).where(RunRow.id == run))
            connection.execute(sql.delete(AttemptRow).where(AttemptRow.run == run))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._telling(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._telling(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Database errors in one sentence that says how to go on."""
        try:
            yield
        except DatabaseError as error:
            reason = str(error.orig or error).splitlines()[0]
            hint = "the run folders beside it are whole: move the file away, and the next run reads them in again"
            raise StoreError(f"the database {self.file} cannot be used ({reason}); {hint}") from error


def _newest() -> tuple[Any, Any]:
    return ExperimentRow.used_at.desc(), ExperimentRow.id.desc()


def _sqlite(file: Path) -> Engine:
    engine = sql.create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; quick where it is there already."""
    from paribus.store import migrations

    migrations.upgrade(engine)


def _pack(tree: Any) -> bytes:
    return zlib.compress(json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


def _unpack(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _pieces(items: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """SQLite takes a limited number of values in one query."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
