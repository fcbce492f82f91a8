"""The certificates service: documents that prove what was run, and the audit trail."""

from __future__ import annotations

from qm.certificates.v1 import certificates_pb2

from mesh.config import load
from mesh.identity import now
from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from mesh.vault import Vault
from services.certificates.authority import Authority
from services.certificates.config import CertificatesConfig
from services.certificates.dossier import Dossiers
from services.certificates.framework import Frameworks
from services.certificates.issuing import House, Issuer
from services.certificates.jobs import Jobs, Peers
from services.certificates.ledger import AuditLedger
from services.certificates.press import PressClient
from services.certificates.roots import LoggedRoots
from services.certificates.service import CertificatesService
from services.certificates.store import CertificateStore
from services.certificates.trail import Trail


async def wire(process: Process[CertificatesConfig], config: CertificatesConfig) -> None:
    """Connect the parts."""
    house = House(
        authority=Authority(config.issuer, Vault.read(config.key_encryption_key_file)),
        public_url=config.public_url.rstrip("/"),
        frameworks=load(config.frameworks_file, Frameworks),
    )
    database = await process.database()
    events = await process.events()
    outbox = Outbox(database, events)
    outbox.start()
    process.on_close(outbox.close)
    peers = Peers.of(process)
    press = PressClient(config.print_seconds)
    process.on_close(press.close)
    jobs = Jobs(peers)
    roots = LoggedRoots(peers.signing)
    issuer = Issuer(CertificateStore(database, outbox), jobs, press, roots, house=house, clock=now)
    ledger = AuditLedger(database)
    trail = Trail(ledger, peers.signing, batch=config.audit_batch)
    process.on_close(trail.close)
    process.background(trail.listen(events), "trail")
    process.background(trail.anchor_forever(config.anchor_seconds), "anchors")
    await issuer.keys()
    process.background(roots.log_soon(issuer.keys), "roots")
    process.server.add(
        certificates_pb2.DESCRIPTOR.services_by_name["CertificatesService"],
        CertificatesService(issuer, Dossiers(issuer, jobs, ledger, trail), ledger, jobs),
    )


PART = Part("certificates", CertificatesConfig, wire)

if __name__ == "__main__":
    run(PART)
