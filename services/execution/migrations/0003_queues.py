"""What a worker looks for: the pool and the queue of a job, the jobs that wait by team, and the leases that run."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Every earlier job is one of the pool `sim`; those of enterprises waited in the common queue."""
    op.add_column("jobs", sa.Column("pool", sa.Text, nullable=False, server_default="sim"))
    op.add_column("jobs", sa.Column("queue", sa.SmallInteger, nullable=False, server_default="1"))
    op.alter_column("jobs", "pool", server_default=None)
    op.alter_column("jobs", "queue", server_default=None)
    waiting = ["pool", "queue", "priority", "team_id", "job_id"]
    op.create_index("jobs_waiting", "jobs", waiting, postgresql_where=sa.text("state = 1"))
    op.create_index("jobs_leased", "jobs", ["pool", "lease_end_time"], postgresql_where=sa.text("state = 2"))
