"""What a team was charged, by month and day beside its included jobs; what was bought; and an outbox for the audit."""

import sqlalchemy as sa
from alembic import op

from mesh import outbox

revision = "0004"
down_revision = "0003"

_FORMATS = ("YYYY-MM", "YYYY-MM-DD")


def upgrade() -> None:
    """Make the tables, and count what there is."""
    op.add_column("holds", sa.Column("item", sa.Text, nullable=False, server_default=""))
    op.add_column("holds", sa.Column("metered", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("holds", sa.Column("surcharge", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "periods",
        sa.Column("team_id", sa.Uuid, primary_key=True),
        sa.Column("period", sa.Text, primary_key=True),
        sa.Column("used_count", sa.Integer, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("charge_count", sa.BigInteger, nullable=False),
    )
    for form in _FORMATS:
        op.execute(f"""
            INSERT INTO periods (team_id, period, used_count, spent, charge_count)
            SELECT team_id, period, sum(used), sum(spent), sum(charges) FROM (
              SELECT team_id, to_char(create_time AT TIME ZONE 'UTC', '{form}') AS period,
                     1 AS used, 0 AS spent, 0 AS charges
              FROM holds WHERE charge_kind = 2 AND state <> 3
              UNION ALL
              SELECT team_id, to_char(close_time AT TIME ZONE 'UTC', '{form}'), 0, amount, 1
              FROM holds WHERE charge_kind <> 3 AND state = 2
            ) AS counted GROUP BY 1, 2
        """)  # noqa: S608 - the two formats above
    op.drop_table("included_jobs")
    op.execute(outbox.CREATE_TABLE)
