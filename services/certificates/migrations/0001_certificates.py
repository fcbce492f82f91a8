"""Editions of certificates, the seals' keys, and the audit trail, which nobody may change, not even its owner."""

import sqlalchemy as sa
from alembic import op

from mesh import outbox

revision = "0001"
down_revision = None

APPEND_ONLY = ("audit_entries", "audit_batches", "audit_seals", "editions", "keys")


def upgrade() -> None:
    """Make the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "keys",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("not_before", moment, nullable=False),
        sa.Column("expire_time", moment, nullable=False),
    )
    op.create_table(
        "editions",
        sa.Column("job_id", sa.Uuid, primary_key=True),
        sa.Column("framework", sa.Text, primary_key=True),
        sa.Column("edition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("issue_time", moment, nullable=False),
        sa.Column("pdf", sa.LargeBinary, nullable=False),
    )
    # A sealed PDF does not compress.
    op.execute("ALTER TABLE editions ALTER COLUMN pdf SET STORAGE EXTERNAL")
    op.create_table(
        "audit_entries",
        sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("time", moment, nullable=False),
        sa.Column("canonical", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("audit_chain", "audit_entries", ["team_id", "position"], unique=True)
    op.create_index("audit_of_object", "audit_entries", ["team_id", "object_id", "position"])
    op.create_index("audit_of_job", "audit_entries", ["team_id", "job_id", "position"])
    op.create_table(
        "audit_batches",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_entry", sa.BigInteger, nullable=False, unique=True),
        sa.Column("last_entry", sa.BigInteger, nullable=False, unique=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.execute(outbox.CREATE_TABLE)
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM CURRENT_USER")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
