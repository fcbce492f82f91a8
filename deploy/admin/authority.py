"""The authority of the mesh's own certificates, on a machine that has it: one of `make up`.

In a cluster cert-manager or SPIRE issues certificates, and rotates their authority.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from cryptography import x509

from deploy.admin.command import Command, Shown
from deploy.admin.session import Session
from deploy.local.authority import Rotation, Step
from deploy.local.lock import holder
from mesh.channel import RENEW_SECONDS
from mesh.config import ConfigError
from mesh.errors import Unavailable
from mesh.identity import ensure_authority

FOLLOW_SECONDS = 2 * RENEW_SECONDS
"""A channel looks at its files this often, and then connects anew."""
_SUPERVISOR_SECONDS = 30.0
_DONE = {
    Step.TRUST_BOTH: "1 of 3: everyone trusts the old and the new authority",
    Step.ISSUE: "2 of 3: everyone has a certificate of the new authority",
    Step.TRUST_NEW: "3 of 3: everyone trusts the new authority alone",
}


async def _show(session: Session, _given: argparse.Namespace) -> Shown:
    certificates = x509.load_pem_x509_certificates(session.identity.authority())
    leaf = x509.load_pem_x509_certificate(session.identity.certificate())
    return {
        "operator_certificate_until": leaf.not_valid_after_utc.isoformat(),
        "authorities": [
            {
                "subject": certificate.subject.rfc4514_string(),
                "valid_until": certificate.not_valid_after_utc.isoformat(),
                "issued_ours": certificate.subject == leaf.issuer,
            }
            for certificate in certificates
        ],
    }


async def _rotate(session: Session, given: argparse.Namespace) -> Shown:
    identities = _identities(session)
    supervisor = holder(identities.parent)
    if supervisor is None:
        raise Unavailable("No mesh of `make up` runs with this state.", reason="NOT_RUNNING")
    rotation = Rotation(identities / "authority")
    while True:
        step = rotation.take()
        os.kill(supervisor, signal.SIGUSR1)
        await asyncio.to_thread(_await_followers, identities)
        await asyncio.sleep(FOLLOW_SECONDS)
        sys.stderr.write(f"{_DONE[step]}\n")
        if step is Step.TRUST_NEW:
            return await _show(session, given)


def _await_followers(identities: Path) -> None:
    """Return when the supervisor has handed out what the authority's folder says; raises Unavailable."""
    authority = ensure_authority(identities / "authority")
    trusted = authority.certificate_file.read_bytes()
    folders = [folder for folder in identities.iterdir() if folder.name != "authority"]
    end = time.monotonic() + _SUPERVISOR_SECONDS
    while not all(_follows(folder, trusted, authority.certificate) for folder in folders):
        if time.monotonic() > end:
            message = "The supervisor does not hand out the certificates: look at its output, then run this again."
            raise Unavailable(message, reason="NOT_FOLLOWED")
        time.sleep(0.05)


def _follows(folder: Path, trusted: bytes, issuer: x509.Certificate) -> bool:
    leaf = x509.load_pem_x509_certificate((folder / f"{folder.name}.crt").read_bytes())
    return (folder / "authority.crt").read_bytes() == trusted and leaf.issuer == issuer.subject


def _identities(session: Session) -> Path:
    if not session.config.local_state:
        raise ConfigError("this mesh's certificates are not issued here: rotate the authority where they are")
    return Path(session.config.local_state) / "identity"


COMMANDS = (
    Command(group="authority", name="show", summary="who is trusted, and until when", run=_show),
    Command(
        group="authority",
        name="rotate",
        summary="replace the authority of a mesh of `make up`, without a failed call; takes half a minute",
        run=_rotate,
        examples=("authority rotate --yes",),
        question="Replace the authority of every certificate of the mesh?",
    ),
)
