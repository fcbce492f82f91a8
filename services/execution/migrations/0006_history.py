"""What became of a job, entry by entry; and the wishes of test keys: a late start, and engines that crash."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Of earlier jobs what their times tell: that they were taken, and how they ended."""
    op.add_column("jobs", sa.Column("history", ARRAY(sa.SmallInteger), nullable=False, server_default="{1}"))
    op.execute(
        "UPDATE jobs SET history = ARRAY[1]::smallint[]"
        " || CASE WHEN start_time IS NOT NULL THEN ARRAY[2]::smallint[] ELSE '{}' END"
        " || CASE WHEN state > 2 THEN ARRAY[state]::smallint[] ELSE '{}' END"
    )
    op.add_column("jobs", sa.Column("release_time", sa.DateTime(timezone=True)))
    op.add_column("jobs", sa.Column("engine_crash", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index(
        "jobs_held", "jobs", ["release_time"], postgresql_where=sa.text("state = 1 AND release_time IS NOT NULL")
    )
