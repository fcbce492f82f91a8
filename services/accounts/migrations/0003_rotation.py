"""Keys that are rotated and used, peppers that change, users who leave, and answers that can be told again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Widen the tables."""
    op.add_column("keys", sa.Column("pepper_id", sa.Text, nullable=False, server_default=""))
    op.add_column("keys", sa.Column("retire_time", sa.DateTime(timezone=True)))
    op.add_column("keys", sa.Column("last_use_time", sa.DateTime(timezone=True)))
    op.drop_index("keys_of_team", "keys")
    op.create_index("keys_of_team", "keys", ["team_id", "key_id"])
    op.add_column("users", sa.Column("remove_time", sa.DateTime(timezone=True)))
    op.drop_index("users_email", "users")
    op.create_index(
        "users_email", "users", [sa.text("lower(email)")], unique=True, postgresql_where=sa.text("remove_time IS NULL")
    )
    op.add_column("requests", sa.Column("sealed", sa.LargeBinary))
    op.add_column("requests", sa.Column("kid", sa.Text, nullable=False, server_default=""))
    op.create_index("requests_sealed", "requests", ["create_time"], postgresql_where=sa.text("sealed IS NOT NULL"))
