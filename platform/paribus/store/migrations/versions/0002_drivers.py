"""Which driver trains what, and which runs reports leave out."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "driver",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("place", sa.String(200), nullable=False),
        sa.Column("process", sa.Integer, nullable=False),
        sa.Column("beat", sa.Integer, nullable=False),
    )
    op.create_table(
        "claim",
        sa.Column("run", sa.String(16), primary_key=True),
        sa.Column("driver", sa.String(40), nullable=False),
    )
    op.create_index("ix_claim_driver", "claim", ["driver"])
    op.create_table(
        "exclusion",
        sa.Column("run", sa.String(16), primary_key=True),
        sa.Column("why", sa.String, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
    )
