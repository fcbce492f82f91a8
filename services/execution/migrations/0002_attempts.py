"""Attempts of workers at a job, so that one which breaks them is given up."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Count from here on."""
    op.add_column("jobs", sa.Column("attempt_count", sa.Integer, nullable=False, server_default="0"))
