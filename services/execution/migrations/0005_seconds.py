"""How long a job is predicted to run, by which very short ones are taken several at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing is known of earlier jobs: they are taken one at a time."""
    op.add_column("jobs", sa.Column("seconds", sa.REAL, nullable=False, server_default="1"))
    op.alter_column("jobs", "seconds", server_default=None)
