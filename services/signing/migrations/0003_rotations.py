"""Keys know which request made them and what the log was told; checkpoints are signed by witnesses too."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns and the tables."""
    op.add_column("keys", sa.Column("request_id", sa.Text, unique=True))
    op.add_column("keys", sa.Column("announcement", sa.LargeBinary))
    op.create_table(
        "witnesses",
        sa.Column("vkey", sa.Text, primary_key=True),
        sa.Column("first_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "cosignatures",
        sa.Column("size", sa.BigInteger, sa.ForeignKey("checkpoints.size"), primary_key=True, autoincrement=False),
        sa.Column("vkey", sa.Text, sa.ForeignKey("witnesses.vkey"), primary_key=True),
        sa.Column("line", sa.Text, nullable=False),
    )
