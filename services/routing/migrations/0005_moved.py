"""A job that its backend failed and that went on elsewhere has two outcomes: that fault, and its end."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Tell them apart."""
    op.add_column("outcomes", sa.Column("moved", sa.Boolean, nullable=False, server_default=sa.false()))
    op.drop_constraint("outcomes_pkey", "outcomes", type_="primary")
    op.create_primary_key("outcomes_pkey", "outcomes", ["job_id", "moved"])
