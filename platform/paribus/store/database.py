"""The database of a store: which experiments there are, which runs they need, and what every attempt at a run left."""

import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

import sqlalchemy as sql
from sqlalchemy import ForeignKey, Index, String, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from paribus.errors import StoreError
from paribus.planning import Plan, Run
from paribus.store import migrations
from paribus.store import record as records
from paribus.store.lock import Lock, declared
from paribus.store.record import Outcome, Record

PATIENCE = 300.0  # seconds that a server which went away is waited for
P = ParamSpec("P")
T = TypeVar("T")
LOCK = 7_272_747  # of PostgreSQL: any number that nobody else in the database uses


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


class DriverRow(Table):
    """A process that hands out runs; its beat goes up as long as it lives."""

    __tablename__ = "driver"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    place: Mapped[str] = mapped_column(String(200))
    process: Mapped[int]
    beat: Mapped[int]


class ClaimRow(Table):
    """A run that a driver has taken for itself, until it is done with it or gone."""

    __tablename__ = "claim"
    run: Mapped[str] = mapped_column(String(16), primary_key=True)
    driver: Mapped[str] = mapped_column(String(40), index=True)


class ExclusionRow(Table):
    """A run that reports leave out, and why."""

    __tablename__ = "exclusion"
    run: Mapped[str] = mapped_column(String(16), primary_key=True)
    why: Mapped[str]
    at: Mapped[str] = mapped_column(String(40))


class ScoreRow(Table):
    """The scores of the newest attempt, for queries."""

    __tablename__ = "score"
    run: Mapped[str] = mapped_column(String(16), primary_key=True)
    split: Mapped[str] = mapped_column(String(40), primary_key=True)
    metric: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[float | None]
    reason: Mapped[str]


class LockRow(Table):
    """What was declared of an experiment."""

    __tablename__ = "lock"
    id: Mapped[int] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(String(300), index=True)
    digest: Mapped[str] = mapped_column(String(16))
    at: Mapped[str] = mapped_column(String(40))
    declared: Mapped[bytes]


class TrialRow(Table):
    """A run of a tuning, under its trial."""

    __tablename__ = "trial"
    experiment: Mapped[str] = mapped_column(String(300), primary_key=True)
    arm: Mapped[str] = mapped_column(String(200), primary_key=True)
    task: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    seed: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(String(16), index=True)


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


@dataclass(frozen=True)
class Attempt:
    """One try at a run, and what it left if anything."""

    run: str
    status: str
    reason: str = ""
    record: Record | None = None


@dataclass(frozen=True)
class Driver:
    """A process that hands out runs: where it is, and how often it has said that it is there."""

    place: str
    process: int
    beat: int


class Lost(StoreError):
    """The server of a store that was open went away."""


def _patient(method: "Callable[Concatenate[Database, P], T]") -> "Callable[Concatenate[Database, P], T]":
    """Repeats a transaction while the server is away."""

    @wraps(method)
    def patient(self: "Database", /, *args: P.args, **kwargs: P.kwargs) -> T:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return method(self, *args, **kwargs)
            except Lost:
                if time.monotonic() > until:
                    raise
                time.sleep(1)

    return patient


class Database:
    """All reading and writing of one database; only drivers write."""

    def __init__(self, address: Path | str, *, reading: bool = False) -> None:
        self.file = address if isinstance(address, Path) else None
        self.shown = str(address) if isinstance(address, Path) else hidden(address)
        if isinstance(address, Path):
            self._engine = _sqlite(address, reading=reading)
        else:
            self._engine = _postgresql(address)
        self._opened = False  # a store that was there once is waited for when it goes away
        with self._reading() as connection:
            version = migrations.version(connection)
        if version != migrations.HEAD:
            self._upgrade(version, reading)
        self._opened = True

    def _upgrade(self, version: str | None, reading: bool) -> None:
        if version is not None and version not in migrations.known():
            raise StoreError(
                f"the database {self.shown} was written by a newer version of paribus (its schema is '{version}', "
                f"this version knows those up to '{migrations.HEAD}'); update paribus, nothing was changed"
            )
        if reading:
            raise StoreError(
                f"the database {self.shown} is of an older version and cannot be written to; "
                "make it writable once, so that it can be brought up to date"
            )
        with self._writing() as connection:
            if migrations.version(connection) != migrations.HEAD:  # unless another driver was quicker
                migrations.upgrade(connection)

    @property
    def server(self) -> sql.URL | None:
        """The address on a server, with its password: for others who keep something there, never to be shown."""
        return None if self.file is not None else self._engine.url

    def close(self) -> None:
        self._engine.dispose()

    # Experiments

    @_patient
    def save_plan(self, plan: Plan) -> None:
        """Remember a plan as the newest one of its folder."""
        packed = _pack(plan.tree())
        with self._writing() as connection:
            same = sql.and_(ExperimentRow.folder == plan.folder, ExperimentRow.digest == plan.digest)
            found = connection.execute(sql.select(ExperimentRow.id).where(same)).scalar()
            _lock(connection, plan, known=found is not None)
            last = connection.execute(sql.select(sql.func.max(ExperimentRow.used_at))).scalar()
            now = _later_than(last)
            if found is not None:
                connection.execute(sql.update(ExperimentRow).where(same).values(plan=packed, used_at=now))
                return
            row = {"name": plan.name, "folder": plan.folder, "digest": plan.digest, "used_at": now, "plan": packed}
            key = connection.execute(sql.insert(ExperimentRow).values(row).returning(ExperimentRow.id)).scalar_one()
            connection.execute(
                sql.insert(MemberRow),
                [{"experiment": key, "arm": r.arm, "task": r.task, "seed": r.seed, "run": r.id} for r in plan.runs],
            )

    def locks(self, folder: str) -> list[Lock]:
        """What was declared of an experiment, the oldest first."""
        with self._reading() as connection:
            return _locks(connection, folder)

    def plan(self, folder: str) -> Plan | None:
        """The newest plan of a folder under reports/."""
        query = sql.select(ExperimentRow.plan).where(ExperimentRow.folder == folder).order_by(*_newest()).limit(1)
        with self._reading() as connection:
            packed = connection.execute(query).scalar()
        return (
            None
            if packed is None
            else Plan.of(_unpack(packed, f"plan of {folder}", "`paribus run FILE` stores it anew"))
        )

    def last_seed(self, experiment: str, first: int) -> int | None:
        """The highest seed from `first` on that any plan of an experiment had, under whatever label, also long ago."""
        query = (
            sql.select(sql.func.max(MemberRow.seed))
            .join(ExperimentRow, ExperimentRow.id == MemberRow.experiment)
            .where(ExperimentRow.name == experiment, MemberRow.seed >= first)
        )
        with self._reading() as connection:
            return connection.execute(query).scalar()

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

    def save_trial(self, experiment: str, number: int, runs: Sequence[Run]) -> None:
        """Remember the runs of a trial; those of an older search with the same place are let go."""
        with self._writing() as connection:
            for run in runs:
                place = {"experiment": experiment, "arm": run.arm, "task": run.task, "number": number, "seed": run.seed}
                same = sql.and_(*(getattr(TrialRow, name) == value for name, value in place.items()))
                connection.execute(sql.delete(TrialRow).where(same))
                connection.execute(sql.insert(TrialRow).values(**place, run=run.id))

    def trial_runs(self, experiment: str) -> dict[tuple[str, str, int, int], str]:
        """The runs of an experiment's trials by arm, task, number and seed."""
        query = sql.select(TrialRow).where(TrialRow.experiment == experiment)
        with self._reading() as connection:
            return {(r.arm, r.task, r.number, r.seed): r.run for r in connection.execute(query)}

    def trial_experiments(self) -> set[str]:
        """The experiments that were searched for."""
        with self._reading() as connection:
            return set(connection.execute(sql.select(TrialRow.experiment).distinct()).scalars())

    # Runs

    def add(self, record: Record) -> None:
        """Store an attempt's record as the newest of its run."""
        self.add_attempts([Attempt(record.run, record.status, record.reason, record)])

    @_patient
    def add_attempts(self, attempts: "Sequence[Attempt]") -> None:
        """Store attempts in their order, all or none."""
        now = _now()
        rows = [
            {"run": a.run, "status": a.status, "reason": a.reason, "finished_at": now, "record": _packed(a.record)}
            for a in attempts
        ]
        with self._writing() as connection:
            before = _statuses(connection, [attempt.run for attempt in attempts])
            inserted = sql.insert(AttemptRow).returning(AttemptRow.id, sort_by_parameter_order=True)
            keys = connection.execute(inserted, rows).scalars().all()
            newest = _newest_attempts(attempts, keys, before)
            for some in _pieces([run for run in newest if run in before]):
                connection.execute(sql.delete(ScoreRow).where(ScoreRow.run.in_(some)))
                connection.execute(sql.delete(RunRow).where(RunRow.id.in_(some)))
            if newest:
                found = [{"id": run, "status": a.status, "attempt": key} for run, (key, a) in newest.items()]
                connection.execute(sql.insert(RunRow), found)
            known = [(run, a.record.scores) for run, (_, a) in newest.items() if a.record is not None]
            if scores := [{"run": run, **vars(score)} for run, several in known for score in several]:
                connection.execute(sql.insert(ScoreRow), scores)

    @_patient
    def complete(self, record: Record) -> None:
        """Put a record with more scores in the place of the newest one of its run; no attempt is added."""
        with self._writing() as connection:
            newest = sql.select(RunRow.attempt).where(RunRow.id == record.run).scalar_subquery()
            packed = _pack(records.tree(record))
            connection.execute(sql.update(AttemptRow).where(AttemptRow.id == newest).values(record=packed))
            connection.execute(sql.delete(ScoreRow).where(ScoreRow.run == record.run))
            connection.execute(sql.insert(ScoreRow), [{"run": record.run, **vars(score)} for score in record.scores])

    @_patient
    def statuses(self, runs: Iterable[str]) -> dict[str, str]:
        """The status of every run that was tried."""
        with self._reading() as connection:
            return _statuses(connection, list(runs))

    @_patient
    def outcomes(self, runs: Iterable[str]) -> dict[str, Outcome]:
        """What is known of each run; those never tried are pending."""
        wanted = list(dict.fromkeys(runs))
        found = {run: Outcome(run) for run in wanted}
        with self._reading() as connection:
            for some in _pieces(wanted):
                tries = sql.select(AttemptRow.run, sql.func.count().label("count")).where(AttemptRow.run.in_(some))
                counts = tries.group_by(AttemptRow.run).subquery()
                query = (
                    sql.select(RunRow.id, AttemptRow.status, AttemptRow.reason, AttemptRow.record, counts.c.count)
                    .join(AttemptRow, AttemptRow.id == RunRow.attempt)
                    .join(counts, counts.c.run == RunRow.id)
                    .where(RunRow.id.in_(some))
                )
                for run, status, reason, packed, count in connection.execute(query):
                    record = None if packed is None else _record(run, packed)
                    found[run] = Outcome(run, status, record, count, reason)
        for run, why in self.excluded().items():
            if run in found:
                found[run] = Outcome(run, "excluded", None, found[run].attempts, why)
        return found

    def attempts(self, run: str) -> list[tuple[str, str, str]]:
        """(when, status, reason) of every try at a run, the oldest first."""
        query = sql.select(AttemptRow.finished_at, AttemptRow.status, AttemptRow.reason).where(AttemptRow.run == run)
        with self._reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(AttemptRow.id))]

    def needed(self) -> set[str]:
        """The runs of all experiments and their tunings, older plans of them too."""
        with self._reading() as connection:
            members = set(connection.execute(sql.select(MemberRow.run).distinct()).scalars())
            return members | set(connection.execute(sql.select(TrialRow.run).distinct()).scalars())

    @_patient
    def known(self) -> set[str]:
        with self._reading() as connection:
            return set(connection.execute(sql.select(RunRow.id)).scalars())

    def remove(self, run: str) -> None:
        """Forget a run and all its attempts; experiments still need it."""
        with self._writing() as connection:
            connection.execute(sql.delete(ScoreRow).where(ScoreRow.run == run))
            connection.execute(sql.delete(RunRow).where(RunRow.id == run))
            connection.execute(sql.delete(AttemptRow).where(AttemptRow.run == run))
            connection.execute(sql.delete(ExclusionRow).where(ExclusionRow.run == run))

    # Other stores

    def merge(self, other: "Database") -> "Merged":
        """Take over what another database holds and this one lacks."""
        merged = Merged()
        with other._reading() as source, self._writing() as target:
            merged.experiments = _merge_experiments(source, target)
            runs = list(source.execute(sql.select(RunRow.id).order_by(RunRow.id)).scalars())
            for run in runs:
                attempts = _merge_attempts(source, target, run)
                merged.attempts += attempts
                merged.runs += bool(attempts)
            kept = set(target.execute(sql.select(ExclusionRow.run)).scalars())
            for row in source.execute(sql.select(ExclusionRow)):
                if row.run not in kept:
                    target.execute(sql.insert(ExclusionRow).values(run=row.run, why=row.why, at=row.at))
            merged.trials = _merge_missing(source, target, TrialRow, ("experiment", "arm", "task", "number", "seed"))
            _merge_missing(source, target, LockRow, ("folder", "digest"))
        return merged

    # Which driver trains what

    @_patient
    def enter(self, driver: str, place: str, process: int) -> None:
        """A driver begins."""
        with self._writing() as connection:
            connection.execute(sql.insert(DriverRow).values(id=driver, place=place, process=process, beat=0))

    @_patient
    def beat(self, driver: str) -> None:
        """A driver is still there."""
        with self._writing() as connection:
            found = sql.update(DriverRow).where(DriverRow.id == driver)
            connection.execute(found.values(beat=DriverRow.beat + 1))

    @_patient
    def leave(self, driver: str) -> None:
        """A driver ends, or is known to have ended."""
        with self._writing() as connection:
            connection.execute(sql.delete(ClaimRow).where(ClaimRow.driver == driver))
            connection.execute(sql.delete(DriverRow).where(DriverRow.id == driver))

    @_patient
    def drivers(self) -> dict[str, Driver]:
        """All drivers that did not say that they end."""
        with self._reading() as connection:
            return {
                row.id: Driver(row.place, row.process, row.beat) for row in connection.execute(sql.select(DriverRow))
            }

    @_patient
    def claim(self, driver: str, runs: Sequence[str], *, fresh: bool = False) -> dict[str, str]:
        """What becomes of runs that a driver wants to train: `mine`, `theirs`, or the status of a result."""
        found: dict[str, str] = {}
        with self._writing() as connection:
            for some in _pieces(runs):
                query = sql.select(RunRow.id, RunRow.status).where(RunRow.id.in_(some))
                if not fresh:
                    done = {row.id: row.status for row in connection.execute(query) if row.status in records.RESULTS}
                    found.update(done)
                held = sql.select(ClaimRow.run, ClaimRow.driver).where(ClaimRow.run.in_(some))
                holders = {row.run: row.driver for row in connection.execute(held)}
                for run in some:
                    if run not in found:
                        found[run] = "mine" if holders.get(run, driver) == driver else "theirs"
                new = [run for run in some if found[run] == "mine" and run not in holders]
                if new:
                    connection.execute(sql.insert(ClaimRow), [{"run": run, "driver": driver} for run in new])
        return found

    def holder(self, run: str) -> Driver | None:
        """The driver that has claimed a run."""
        query = sql.select(DriverRow).join(ClaimRow, ClaimRow.driver == DriverRow.id).where(ClaimRow.run == run)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else Driver(row.place, row.process, row.beat)

    @_patient
    def release(self, driver: str, runs: Sequence[str]) -> None:
        """A driver is done with runs."""
        with self._writing() as connection:
            for some in _pieces(runs):
                connection.execute(sql.delete(ClaimRow).where(ClaimRow.run.in_(some), ClaimRow.driver == driver))

    # What reports leave out

    def exclude(self, run: str, why: str) -> None:
        """Leave a run out, or take it in again where no reason is given."""
        with self._writing() as connection:
            connection.execute(sql.delete(ExclusionRow).where(ExclusionRow.run == run))
            if why:
                connection.execute(sql.insert(ExclusionRow).values(run=run, why=why, at=_now()))

    def excluded(self) -> dict[str, str]:
        """The runs that are left out, and why."""
        with self._reading() as connection:
            return {row.run: row.why for row in connection.execute(sql.select(ExclusionRow))}

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._telling(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One writer at a time, so that what was read is still so when it is written."""
        with self._telling(), self._engine.begin() as connection:
            if self.file is not None:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield connection

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Database errors in one sentence that says how to go on."""
        try:
            yield
        except DBAPIError as error:
            if self._opened and self.file is None and is_lost(error):
                raise Lost(f"the database {self.shown} does not answer ({_first_line(error)})") from error
            raise StoreError(f"the database {self.shown} {_told(_first_line(error), self.file)}") from error


@dataclass
class Merged:
    """How much was taken over."""

    experiments: int = 0
    attempts: int = 0
    runs: int = 0
    folders: int = 0
    trials: int = 0  # runs of trials
    searches: int = 0
    added: int = 0  # trials of searches that both have


def _merge_missing(source: Connection, target: Connection, table: type[Table], key: Sequence[str]) -> int:
    """How many rows were new, by what tells them apart; they come in the order in which they were made."""
    columns = [column for column in sql.inspect(table).columns if column.name != "id"]
    known = {tuple(row) for row in target.execute(sql.select(*(getattr(table, name) for name in key)))}
    order = sql.inspect(table).primary_key
    rows = [dict(row) for row in source.execute(sql.select(*columns).order_by(*order)).mappings()]
    new = [row for row in rows if tuple(row[name] for name in key) not in known]
    for some in _pieces(new):
        target.execute(sql.insert(table), list(some))
    return len(new)


def _merge_experiments(source: Connection, target: Connection) -> int:
    known = {(row.folder, row.digest) for row in target.execute(sql.select(ExperimentRow.folder, ExperimentRow.digest))}
    new = [row for row in source.execute(sql.select(ExperimentRow)) if (row.folder, row.digest) not in known]
    for row in new:
        values = {name: getattr(row, name) for name in ("name", "folder", "digest", "used_at", "plan")}
        key = target.execute(sql.insert(ExperimentRow).values(values).returning(ExperimentRow.id)).scalar_one()
        members = source.execute(sql.select(MemberRow).where(MemberRow.experiment == row.id))
        rows = [{"experiment": key, **{n: getattr(m, n) for n in ("arm", "task", "seed", "run")}} for m in members]
        if rows:
            target.execute(sql.insert(MemberRow), rows)
    return len(new)


def _merge_attempts(source: Connection, target: Connection, run: str) -> int:
    """How many attempts at a run were new; the newest counts, unless it would take the place of a result."""
    query = sql.select(AttemptRow).where(AttemptRow.run == run).order_by(AttemptRow.id)
    ours = {(row.status, row.reason, row.finished_at) for row in target.execute(query)}
    new = [row for row in source.execute(query) if (row.status, row.reason, row.finished_at) not in ours]
    for row in new:
        values = {name: getattr(row, name) for name in ("run", "status", "reason", "finished_at", "record")}
        key = target.execute(sql.insert(AttemptRow).values(values).returning(AttemptRow.id)).scalar_one()
        chosen = sql.select(RunRow.attempt, RunRow.status).where(RunRow.id == run)
        theirs = source.execute(chosen).one()
        if row.id != theirs.attempt:
            continue
        mine = target.execute(chosen).one_or_none()
        if mine is not None and mine.status in records.RESULTS:
            continue
        target.execute(sql.delete(ScoreRow).where(ScoreRow.run == run))
        target.execute(sql.delete(RunRow).where(RunRow.id == run))
        target.execute(sql.insert(RunRow).values(id=run, status=row.status, attempt=key))
        names = ("run", "split", "metric", "value", "reason")
        scores = [
            {n: getattr(s, n) for n in names} for s in source.execute(sql.select(ScoreRow).where(ScoreRow.run == run))
        ]
        if scores:
            target.execute(sql.insert(ScoreRow), scores)
    return len(new)


def hidden(address: str) -> str:
    """An address without its password; raises StoreError where it cannot be understood, and repeats none of it."""
    try:
        return sql.make_url(address).render_as_string(hide_password=True).partition("?")[0]
    except (ArgumentError, ValueError):
        kind = address.partition("://")[0]
        raise StoreError(
            f"the address of the store cannot be read: needs {kind}://USER:PASSWORD@HOST:PORT/DATABASE, "
            "with signs such as / or @ in the password written as %2F or %40"
        ) from None


def _first_line(error: DBAPIError) -> str:
    return str(error.orig or error).strip().splitlines()[0]


def is_lost(error: DBAPIError) -> bool:
    """Whether the server went away, or wants to be asked again."""
    state = getattr(error.orig, "sqlstate", None)
    again = ("08", "57P", "53300", "40001", "40P01")
    return isinstance(error, OperationalError) and (state is None or state.startswith(again))


# What a database says -> what it means, and what to do.
MEANINGS = {
    "database is locked": "is in use by another process that does not let go; end it, then repeat the command",
    "readonly": "cannot be written to; make it and its folder writable, or name another store with --store",
    "read-only": "cannot be written to; make it and its folder writable, or name another store with --store",
    "unable to open": "cannot be opened; make it and its folder readable and writable, or name another with --store",
    "disk is full": "has no room on its disk; free some, then repeat the command: what is stored stays",
    "disk I/O error": "cannot be reached on its disk; see whether it is full or failing, then repeat the command",
    "No space left": "has no room on the disk of its server; free some, then repeat the command: what is stored stays",
}


def _told(reason: str, file: Path | None) -> str:
    for sign, meaning in MEANINGS.items():
        if sign in reason:
            return f"{meaning} ({reason})"
    if file is None:
        return f"cannot be used ({reason})"
    hint = "the run folders beside it are whole: move the file away, and the next run reads them in again"
    return f"cannot be used ({reason}); {hint}"


def _statuses(connection: Connection, runs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _pieces(runs):
        query = sql.select(RunRow.id, RunRow.status).where(RunRow.id.in_(some))
        found.update((row.id, row.status) for row in connection.execute(query))
    return found


def _newest_attempts(
    attempts: Sequence[Attempt], keys: Sequence[int], before: Mapping[str, str]
) -> dict[str, tuple[int, Attempt]]:
    """The attempt of each run that counts from now on; what broke off does not take the place of a result."""
    statuses, newest = dict(before), {}
    for key, attempt in zip(keys, attempts, strict=True):
        if attempt.status in records.RESULTS or statuses.get(attempt.run) not in records.RESULTS:
            statuses[attempt.run] = attempt.status
            newest[attempt.run] = (key, attempt)
    return newest


def _locks(connection: Connection, folder: str) -> list[Lock]:
    rows = connection.execute(sql.select(LockRow).where(LockRow.folder == folder).order_by(LockRow.id))
    return [Lock.of_tree(row.at, _unpack(row.declared, f"lock of {folder}", "nothing can be done")) for row in rows]


def _lock(connection: Connection, plan: Plan, *, known: bool) -> None:
    """Remember what a plan declares, if it is something new, with the runs that have results already.

    A plan that is known from before there were locks is taken at its word.
    """
    before, now = _locks(connection, plan.folder), declared(plan)
    if any(lock.digest == now.digest for lock in before):
        return
    seen: list[str] = []
    for some in _pieces([run.id for run in plan.runs]) if before or not known else ():
        query = sql.select(RunRow.id).where(RunRow.id.in_(some), RunRow.status.in_(records.RESULTS))
        seen += connection.execute(query).scalars()
    packed = _pack(declared(plan, seen=seen).tree())
    connection.execute(sql.insert(LockRow).values(folder=plan.folder, digest=now.digest, at=_now(), declared=packed))


def _newest() -> tuple[Any, Any]:
    return ExperimentRow.used_at.desc(), ExperimentRow.id.desc()


def _sqlite(file: Path, *, reading: bool) -> Engine:
    address = f"sqlite:///file:{quote(str(file))}?mode=ro&immutable=1&uri=true" if reading else f"sqlite:///{file}"
    engine = sql.create_engine(address)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 30000")
        if not reading:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _postgresql(address: str) -> Engine:
    """With signs of life on the wire, so that a server which vanished is noticed within seconds."""
    kept = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 15000}
    url = sql.make_url(address).set(drivername="postgresql+psycopg")
    try:
        return sql.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10, **kept})
    except ImportError:
        raise StoreError("a store on PostgreSQL needs the extra: pip install 'paribus[postgres]'") from None


def _pack(tree: Any) -> bytes:
    return zlib.compress(json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


def _packed(record: Record | None) -> bytes | None:
    return None if record is None else _pack(records.tree(record))


def _unpack(packed: bytes, what: str, mend: str) -> Any:
    """Plain data of its packed form; where it is damaged StoreError says how to go on."""
    try:
        return json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError):
        raise StoreError(f"the stored {what} is damaged; {mend}") from None


def _record(run: str, packed: bytes) -> Record:
    mend = f"`paribus gc --run {run} --delete` removes it, and the next run trains it again"
    return records.of(_unpack(packed, f"record of the run {run}", mend))


def _later_than(last: str | None) -> str:
    """The time, or where the clock was put back, the moment after the last one: the newest has to stay the newest."""
    now = datetime.fromisoformat(_now())
    if last is not None and now <= datetime.fromisoformat(last):
        now = datetime.fromisoformat(last) + timedelta(microseconds=1)
    return now.isoformat(timespec="microseconds")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _pieces(items: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """SQLite takes a limited number of values in one query."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
