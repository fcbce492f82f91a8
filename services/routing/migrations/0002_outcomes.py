"""Outcomes of jobs, which routing learns from, and the benchmarks that it asks for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "outcomes",
        sa.Column("job_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
        sa.Column("decision_id", sa.Uuid),
        sa.Column("backend_id", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("calibration_id", sa.Text),
        sa.Column("fidelity", sa.Double),
        sa.Column("fidelity_method", sa.Text, nullable=False),
        sa.Column("queue_seconds", sa.Double, nullable=False),
        sa.Column("run_seconds", sa.Double, nullable=False),
        sa.Column("engine_seconds", sa.Double),
        sa.Column("error_type", sa.Text),
        sa.Column("backend_fault", sa.Boolean, nullable=False),
        sa.Column("forecast", JSONB),
        sa.Column("promise", JSONB),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "benchmarks",
        sa.Column("benchmark_id", sa.Uuid, primary_key=True),
        sa.Column("backend_id", sa.Text, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("qubit_count", sa.Integer, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("two_qubit_gate_count", sa.Integer, nullable=False),
        sa.Column("shot_count", sa.BigInteger, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("job_id", sa.Uuid),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True)),
    )
    op.create_index("benchmarks_of_job", "benchmarks", ["job_id"])
    op.create_index("benchmarks_of_cell", "benchmarks", ["backend_id", "family", "qubit_count", "create_time"])
