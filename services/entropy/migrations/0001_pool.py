"""Sources, where their raw bits came from, the pool of tested blocks, answers kept for repeats, records, the beacon."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def _time(name: str, *, nullable: bool = False) -> "sa.Column[Any]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _key(*, primary: bool = False) -> "tuple[sa.Column[Any], sa.Column[Any]]":
    return (
        sa.Column("source_id", sa.Text, primary_key=primary, nullable=False),
        sa.Column("live", sa.Boolean, primary_key=primary, nullable=False),
    )


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sources",
        *_key(primary=True),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("failure_count", sa.Integer, nullable=False, server_default="0"),
        _time("retry_time", nullable=True),
        sa.Column("assessed_min_entropy", sa.Float, nullable=False, server_default="0"),
        _time("chunk_time", nullable=True),
    )
    op.create_table(
        "chunks",
        sa.Column("chunk_id", sa.Uuid, primary_key=True),
        *_key(),
        sa.Column("job_id", sa.Uuid, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("calibration_id", sa.Text, nullable=False),
        sa.Column("circuit_sha256", sa.LargeBinary, nullable=False),
        sa.Column("bit_count", sa.BigInteger, nullable=False),
        sa.Column("credited_bits", sa.BigInteger, nullable=False),
        sa.Column("digests", postgresql.ARRAY(sa.LargeBinary), nullable=False),
        sa.Column("report", postgresql.JSONB, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        _time("create_time"),
    )
    op.create_index("chunks_digests", "chunks", ["digests"], postgresql_using="gin")
    op.create_table(
        "blocks",
        sa.Column("block_id", sa.Uuid, primary_key=True),
        sa.Column("chunk_id", sa.Uuid, sa.ForeignKey("chunks.chunk_id"), nullable=False),
        *_key(),
        sa.Column("grade", sa.SmallInteger, nullable=False),
        sa.Column("bit_count", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("tests", postgresql.JSONB),
    )
    op.create_index("blocks_pool", "blocks", ["source_id", "live", "grade", "block_id"])
    op.create_table(
        "answers",
        sa.Column("team_id", sa.Uuid, primary_key=True),
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("hold_id", sa.Uuid, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("kid", sa.Text),
        _time("create_time"),
    )
    op.create_index("answers_age", "answers", ["create_time"])
    op.create_table(
        "certifications",
        sa.Column("entropy_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "beacons",
        sa.Column("beacon_index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary),
        _time("create_time"),
    )
