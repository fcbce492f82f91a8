"""Holds, the ledger's entries and balances, included jobs used, and a team's own terms."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "holds",
        sa.Column("job_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, sa.CheckConstraint("amount >= 0"), nullable=False),
        sa.Column("charge_kind", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("close_time", sa.DateTime(timezone=True)),
    )
    op.create_index("holds_open", "holds", ["create_time"], postgresql_where=sa.text("state = 1"))
    op.create_table(
        "entries",
        sa.Column("transfer_id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("amount", sa.BigInteger, sa.CheckConstraint("amount <> 0"), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "balances",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "included_jobs",
        sa.Column("team_id", sa.Uuid, primary_key=True),
        sa.Column("month", sa.Date, primary_key=True),
        sa.Column("used_count", sa.Integer, nullable=False),
    )
    op.create_table(
        "terms",
        sa.Column("team_id", sa.Uuid, primary_key=True),
        sa.Column("budget", sa.BigInteger, sa.CheckConstraint("budget >= 0")),
        sa.Column("agreed_count", sa.Integer, sa.CheckConstraint("agreed_count >= 0")),
    )
