"""Lifts of quarantines, with their records and seals."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "lifts",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )
