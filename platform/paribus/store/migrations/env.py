"""How alembic reaches the database: through the connection that paribus has open."""

from alembic import context

from paribus.store.database import Table

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Table.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
