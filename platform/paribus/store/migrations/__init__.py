"""The history of the schema: alembic brings a database of any released version to the newest one."""

from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.engine import Engine

HEAD = "0001"


def upgrade(engine: Engine) -> None:
    """Run the migrations that a database lacks; alembic is loaded only if there are any."""
    with engine.connect() as connection:
        tables = sql.inspect(connection)
        if tables.has_table("alembic_version"):
            version = connection.execute(sql.text("SELECT version_num FROM alembic_version")).scalar()
            if version == HEAD:
                return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
