"""Which request submitted a job, and its trace, for whoever works on the job later."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Nothing is known of earlier jobs."""
    for name in ("public_request", "traceparent"):
        op.add_column("jobs", sa.Column(name, sa.Text, nullable=False, server_default=""))
