"""Where Optuna keeps its studies: beside a store that is a folder, on the same server as a store that is on one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sql
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import URL, event
from sqlalchemy.exc import SQLAlchemyError

from paribus.errors import StoreError
from paribus.store.folder import Store

FILE = "tuning.db"
LOCK = 7_272_748  # of PostgreSQL: the number after the one of the store


def open_storage(store: Store) -> RDBStorage:
    """Optuna's own storage, which optuna-dashboard opens too."""
    address = store.database.server
    with telling(store):
        return _in_file(f"sqlite:///{store.folder / FILE}") if address is None else _on_server(address)


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
