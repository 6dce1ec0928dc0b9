"""Where Optuna keeps its studies: beside a store that is a folder, on the same server as a store that is on one."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import sqlalchemy as sql
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from sqlalchemy import URL, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from paribus.errors import StoreError
from paribus.store.database import PATIENCE, is_lost
from paribus.store.folder import Store

FILE = "tuning.db"
P = ParamSpec("P")
LOCK = 7_272_748  # of PostgreSQL: the number after the one of the store


def open_storage(store: Store) -> RDBStorage:
    """Optuna's own storage, which optuna-dashboard opens too."""
    address = store.database.server
    with telling(store):
        if address is not None:
            return _on_server(address)
        with _alone(store.folder):
            return _in_file(f"sqlite:///{store.folder / FILE}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: Optuna looks whether its tables are there, and then makes them."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


@contextmanager
def telling(store: Store) -> Iterator[None]:
    """Trouble with the studies in one sentence; an address in it has no password."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise StoreError(
            f"the studies of the tuning beside {store.database.shown} cannot be used ({reason}); "
            "the same command goes on once they can"
        ) from error


def patient(keep: Callable[P, None]) -> Callable[P, None]:
    """Repeats a writing that changes nothing where it was done already, while the server of a study is away."""

    @wraps(keep)
    def patiently(*args: P.args, **kwargs: P.kwargs) -> None:
        until = time.monotonic() + PATIENCE
        again = False
        while True:
            try:
                return keep(*args, **kwargs)
            except UpdateFinishedTrialError:
                if not again:
                    raise
                return None  # its end was kept, and only the answer was lost
            except (StorageInternalError, OperationalError) as error:
                if not _away(error) or time.monotonic() > until:
                    raise
                again = True
                time.sleep(1)

    return patiently


def _away(error: BaseException) -> bool:
    """Whether it is the server that is gone; a file that is locked or full does not come back by waiting."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, OperationalError) and not isinstance(cause.orig, sqlite3.Error) and is_lost(cause)


def _in_file(address: str) -> RDBStorage:
    storage = RDBStorage(address, engine_kwargs={"connect_args": {"timeout": 60}})

    @event.listens_for(storage.engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing, and commits wait for no disk.
        connection.execute("PRAGMA synchronous = NORMAL")

    storage.engine.dispose()  # the connections that were opened before
    return storage


def _on_server(address: URL) -> RDBStorage:
    """In a schema of its own: Optuna's tables and ours share a name, `alembic_version`."""
    engine = sql.create_engine(address)
    try:
        with engine.connect() as connection:
            # Several drivers may be the first one; the lock ends with the connection.
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
            schema = f"{connection.exec_driver_sql('SELECT current_schema()').scalar_one()}_tuning"
            connection.execute(sql.schema.CreateSchema(schema, if_not_exists=True))
            connection.commit()
            given = address.query.get("options", ())
            options = " ".join([*([given] if isinstance(given, str) else given), f"-csearch_path={schema}"])
            kept = {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10, "options": options}}
            return RDBStorage(address.render_as_string(hide_password=False), engine_kwargs=kept)
    finally:
        engine.dispose()
