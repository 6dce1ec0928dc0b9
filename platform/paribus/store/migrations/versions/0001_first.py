"""The first schema: experiments, the runs they need, attempts and scores."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("folder", sa.String(300), nullable=False),
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("used_at", sa.String(40), nullable=False),
        sa.Column("plan", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_experiment_name", "experiment", ["name"])
    op.create_index("ix_experiment_folder", "experiment", ["folder"])
    op.create_index("experiment_identity", "experiment", ["folder", "digest"], unique=True)
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(16), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("finished_at", sa.String(40), nullable=False),
        sa.Column("record", sa.LargeBinary),
    )
    op.create_index("ix_attempt_run", "attempt", ["run"])
    op.create_table(
        "run",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer, sa.ForeignKey("attempt.id"), nullable=False),
    )
    op.create_index("ix_run_status", "run", ["status"])
    op.create_table(
        "member",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("arm", sa.String(200), primary_key=True),
        sa.Column("task", sa.String(100), primary_key=True),
        sa.Column("seed", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(16), nullable=False),
    )
    op.create_index("ix_member_run", "member", ["run"])
    op.create_table(
        "score",
        sa.Column("run", sa.String(16), primary_key=True),
        sa.Column("split", sa.String(40), primary_key=True),
        sa.Column("metric", sa.String(60), primary_key=True),
        sa.Column("value", sa.Double),
        sa.Column("reason", sa.String, nullable=False),
    )
