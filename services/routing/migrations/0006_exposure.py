"""Where on its machine a job's circuit runs, so that what its outcome says is learned of the places that it used."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; of decisions from before nobody knows."""
    op.add_column("decisions", sa.Column("exposure", JSONB))
