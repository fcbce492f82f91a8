"""The buckets of tokens from which every edge takes for the requests of a team."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "request_buckets",
        sa.Column("team_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("bucket", sa.LargeBinary, nullable=False),
        sa.Column("idle_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("request_buckets_idle", "request_buckets", ["idle_time"])
