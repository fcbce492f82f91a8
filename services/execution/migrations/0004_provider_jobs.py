"""Circuits of live jobs at their providers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "provider_jobs",
        sa.Column("job_id", sa.Uuid, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("circuit_index", sa.Integer, primary_key=True),
        sa.Column("stand", sa.SmallInteger, nullable=False),
        sa.Column("circuit", sa.LargeBinary, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submit_time", sa.DateTime(timezone=True)),
        sa.Column("contact_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_job_id", sa.Text),
        sa.Column("reading", sa.LargeBinary),
        sa.Column("cost_micros", sa.BigInteger),
    )
