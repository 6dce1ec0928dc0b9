"""What was declared of an experiment, and which of its runs had results by then."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "lock",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("folder", sa.String(300), nullable=False),
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("declared", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_lock_folder", "lock", ["folder"])
