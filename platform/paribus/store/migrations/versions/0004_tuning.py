"""The runs that the trials of a tuning are made of."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "trial",
        sa.Column("experiment", sa.String(300), primary_key=True),
        sa.Column("arm", sa.String(200), primary_key=True),
        sa.Column("task", sa.String(100), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("seed", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(16), nullable=False),
    )
    op.create_index("ix_trial_run", "trial", ["run"])
