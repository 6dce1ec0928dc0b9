"""The history of the schema: alembic brings a database of any released version to the newest one."""

from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.engine import Connection

HEAD = "0005"


def known() -> set[str]:
    """The schemas that this version can start from."""
    return {file.name.partition("_")[0] for file in (Path(__file__).parent / "versions").glob("[0-9]*.py")}


def version(connection: Connection) -> str | None:
    """The schema of a database; None where there is none yet."""
    if not sql.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sql.text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection) -> None:
    """Run the migrations that a database lacks, within the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
