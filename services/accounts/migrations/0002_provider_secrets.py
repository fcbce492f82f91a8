"""Credentials at providers, encrypted, and the audit of who touched them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "provider_secrets",
        sa.Column("team_id", sa.Uuid, sa.ForeignKey("teams.team_id"), primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("set_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Uuid, nullable=False),
        sa.Column("last_use_time", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["team_id", "set_by"], ["users.team_id", "users.user_id"]),
    )
    op.create_table(
        "provider_secret_events",
        sa.Column("event_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("team_id", sa.Uuid, sa.ForeignKey("teams.team_id"), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("action", sa.SmallInteger, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("purpose", sa.Text, nullable=False, server_default=""),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("provider_secret_events_of_team", "provider_secret_events", ["team_id", "event_id"])
