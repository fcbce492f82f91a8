"""A quote is for one job; why a job was moved to another backend, and its circuits where it was before."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Of earlier jobs nobody knows their quotes and faults."""
    op.add_column("jobs", sa.Column("quote_id", sa.Uuid))
    op.create_index(
        "jobs_by_quote", "jobs", ["quote_id"], unique=True, postgresql_where=sa.text("quote_id IS NOT NULL")
    )
    op.add_column("jobs", sa.Column("fault", sa.Text, nullable=False, server_default=""))
    op.add_column("provider_jobs", sa.Column("left_behind", sa.Boolean, nullable=False, server_default=sa.false()))
