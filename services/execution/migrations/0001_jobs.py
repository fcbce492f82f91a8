"""Jobs and the outbox."""

import datetime as dt

import sqlalchemy as sa
from alembic import op

from mesh.outbox import CREATE_TABLE

revision = "0001"
down_revision = None


def _time(name: str, *, nullable: bool = True) -> sa.Column[dt.datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("key_id", sa.Uuid, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("environment", sa.SmallInteger, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("algorithm_id", sa.Text, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("requested_hardware", sa.Text, nullable=False),
        sa.Column("backend_id", sa.Text, nullable=False),
        sa.Column("backend", sa.LargeBinary, nullable=False),
        sa.Column("shot_count", sa.BigInteger, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("webhook_url", sa.Text, nullable=False),
        sa.Column("decision", sa.LargeBinary, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        _time("create_time", nullable=False),
        _time("update_time", nullable=False),
        _time("start_time"),
        _time("end_time"),
        sa.Column("worker", sa.Text),
        _time("lease_end_time"),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("progress", sa.Double, nullable=False, server_default="0"),
        sa.Column("progress_message", sa.Text, nullable=False, server_default=""),
        sa.Column("record", sa.LargeBinary),
        sa.Column("seal", sa.LargeBinary),
        sa.Column("error_type", sa.Text),
        sa.Column("error_message", sa.Text),
    )
    op.create_index("jobs_of_team", "jobs", ["team_id", sa.text("job_id DESC")])
    op.create_index("jobs_by_request", "jobs", ["team_id", "request_id"], unique=True)
    op.create_index("jobs_alive", "jobs", ["update_time"], postgresql_where=sa.text("state IN (1, 2)"))
    op.execute(CREATE_TABLE)
