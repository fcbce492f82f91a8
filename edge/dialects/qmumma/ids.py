"""How ids are shown: UUIDs as `qm_job_<32 hex>`, a log entry's hash as `vajra://txid/<64 hex>`."""

from __future__ import annotations

import re

JOB_ID_PATTERN = "^qm_job_[0-9a-f]{32}$"
ANCHOR_PATTERN = "^vajra://txid/[0-9a-f]{64}$"
QUOTE_ID_PATTERN = "^qm_quote_[0-9a-f]{32}$"
KEY_ID_PATTERN = "^qm_key_[0-9a-f]{32}$"
_UUID = re.compile(r"([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})")
_ANCHOR = re.compile(r"(?:vajra://txid/)?([0-9a-fA-F]{64})")


def shown_job_id(job_id: str) -> str:
    """The public id of the job with a canonical UUID."""
    return f"qm_job_{job_id.replace('-', '')}"


def shown_key_id(key_id: str) -> str:
    """The public id of the API key with a canonical UUID."""
    return f"qm_key_{key_id.replace('-', '')}"


def shown_hold_id(hold_id: str) -> str:
    """The public id of what is bought and no job, by the canonical UUID of its hold."""
    return f"qm_hold_{hold_id.replace('-', '')}"


def shown_user_id(user_id: str) -> str:
    """The public id of the user with a canonical UUID."""
    return f"qm_user_{user_id.replace('-', '')}"


def job_id_of(shown: str) -> str | None:
    """The canonical UUID behind a job's public id, or None where it is none."""
    return _uuid_behind("qm_job_", shown)


def quote_id_of(shown: str) -> str | None:
    """The canonical UUID behind a quote's public id, or None where it is none."""
    return _uuid_behind("qm_quote_", shown)


def key_id_of(shown: str) -> str | None:
    """The canonical UUID behind a key's public id, or None where it is none."""
    return _uuid_behind("qm_key_", shown)


def hold_id_of(shown: str) -> str | None:
    """The canonical UUID behind the public id of what is no job, or None where it is none."""
    return _uuid_behind("qm_hold_", shown)


def kept_id_of(shown: str) -> str:
    """The id that the audit trail keeps of a key or a user that may be given as it is shown; any other as it is."""
    return key_id_of(shown) or _uuid_behind("qm_user_", shown) or shown


def _uuid_behind(prefix: str, shown: str) -> str | None:
    match = _UUID.fullmatch(shown, len(prefix)) if shown.startswith(prefix) else None
    return "-".join(match.groups()) if match else None


def shown_anchor(leaf_hash: bytes) -> str:
    """The public name of a log entry."""
    return f"vajra://txid/{leaf_hash.hex()}"


def leaf_hash_of(shown: str) -> bytes | None:
    """The 32-byte leaf hash behind an anchor, with or without its scheme, or None where it is none."""
    match = _ANCHOR.fullmatch(shown)
    return bytes.fromhex(match[1]) if match else None
