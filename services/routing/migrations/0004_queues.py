"""The queue that a decision sent its job to, so that waits are learned again after a restart, and by every replica."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; of decisions from before nobody knows."""
    op.add_column("decisions", sa.Column("queue", sa.Text))
    op.add_column("decisions", sa.Column("queue_depth", sa.BigInteger))
