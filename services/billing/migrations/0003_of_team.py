"""A team's ledger lines and holds are found without reading everybody's."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("entries_of_account", "entries", ["account", "create_time"])
    op.create_index("holds_of_team", "holds", ["team_id", "close_time"])
