"""The version of the ledger: whoever writes to it says which one was read, and is too late where it has grown."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the one row."""
    op.create_table("ledger", sa.Column("version", sa.BigInteger, nullable=False))
    op.execute("INSERT INTO ledger (version) VALUES (0)")
