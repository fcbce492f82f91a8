"""What decisions were made from, so that they can be made again; and calibrations with their history.

Decisions from before were kept without most of it and cannot be repeated. What they were made from is dropped: nothing
reads it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "grounds",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("features", JSONB, nullable=False),
        sa.Column("candidates", JSONB, nullable=False),
        sa.Column("question", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
    )
    op.add_column("decisions", sa.Column("grounds", sa.LargeBinary, sa.ForeignKey("grounds.digest")))
    op.drop_column("decisions", "features")
    op.drop_column("decisions", "candidates")
    op.create_table(
        "calibrations",
        sa.Column("calibration_id", sa.Text, primary_key=True),
        sa.Column("backend_id", sa.Text, nullable=False),
        sa.Column("measure_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("medians", JSONB, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("calibrations_of_backend", "calibrations", ["backend_id", "measure_time"])
