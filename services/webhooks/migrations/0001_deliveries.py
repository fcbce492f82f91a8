"""Secrets, endpoints, deliveries with their tries, requests that were served, and the outbox."""

import datetime as dt

import sqlalchemy as sa
from alembic import op

from mesh.outbox import CREATE_TABLE

revision = "0001"
down_revision = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[dt.datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "secrets",
        sa.Column("secret_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("kid", sa.Text, nullable=False),
        _time("create_time"),
        _time("expire_time", nullable=True),
    )
    op.create_index("secrets_of_team", "secrets", ["team_id", "create_time"])
    op.create_index(
        "secrets_current", "secrets", ["team_id"], unique=True, postgresql_where=sa.text("expire_time IS NULL")
    )
    op.create_table(
        "endpoints",
        sa.Column("endpoint_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        _time("failing_since", nullable=True),
        _time("last_failure_time", nullable=True),
        _time("disable_time", nullable=True),
    )
    op.create_index("endpoints_of_team", "endpoints", ["team_id", "url"], unique=True)
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("endpoint_id", sa.Uuid, sa.ForeignKey("endpoints.endpoint_id"), nullable=False),
        sa.Column("job_id", sa.Uuid, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("attempt_count", sa.Integer, nullable=False, server_default="0"),
        _time("due_time"),
        _time("create_time"),
        # The states that change with every try are in no index but these two, which are short.
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("deliveries_of_team", "deliveries", ["team_id", sa.text("delivery_id DESC")])
    op.create_index("deliveries_of_endpoint", "deliveries", ["endpoint_id"])
    op.create_index("deliveries_old", "deliveries", ["create_time"])
    op.create_index(
        "deliveries_ready",
        "deliveries",
        ["team_id", "endpoint_id", "delivery_id"],
        postgresql_where=sa.text("state = 1"),
    )
    op.create_index("deliveries_due", "deliveries", ["due_time"], postgresql_where=sa.text("state IN (2, 3)"))
    op.create_table(
        "attempts",
        sa.Column(
            "delivery_id", sa.Uuid, sa.ForeignKey("deliveries.delivery_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("create_time", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("latency", sa.Interval, nullable=False),
        sa.Column("status_code", sa.SmallInteger, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("team_id", sa.Uuid, primary_key=True),
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("kid", sa.Text, nullable=False),
        _time("create_time"),
    )
    op.create_index("requests_old", "requests", ["create_time"])
    op.execute(CREATE_TABLE)
