"""Issuing: what is printed for whom, kept, and told to the trail, top to bottom."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from qm.type.v1.requester_pb2 import Requester

from mesh.audit import Deed, audit_message
from mesh.errors import Conflict, InvalidArgument
from mesh.events import Message
from services.certificates.authority import Algorithm, Authority, StoredKey, current, private_der, roots_pem
from services.certificates.framework import Framework, Frameworks
from services.certificates.jobs import Jobs, ProvenJob
from services.certificates.press import PressClient
from services.certificates.printing import Order, Seal
from services.certificates.roots import LoggedRoots
from services.certificates.sheet import Issue, SealFacts, build_sheet
from services.certificates.store import CertificateStore, Edition

SERVICE = "certificates"
_KEYS_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Who issues, and under which wording."""

    authority: Authority
    """Makes the keys of its seals."""
    public_url: str
    frameworks: Frameworks


class Issuer:
    """Issues certificates."""

    def __init__(
        self,
        store: CertificateStore,
        jobs: Jobs,
        press: PressClient,
        roots: LoggedRoots,
        *,
        house: House,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Print with `press`, seal with keys that `store` keeps, under `roots` that are logged."""
        self._store = store
        self._jobs = jobs
        self._press = press
        self._logged = roots
        self._house = house
        self._clock = clock
        self._keys: list[StoredKey] = []
        self._keys_until = dt.datetime.min.replace(tzinfo=dt.UTC)

    async def keys(self) -> list[StoredKey]:
        """Every key, with a seal of each algorithm that is good for a while; made or renewed where it is missing."""
        now = self._clock()
        if now >= self._keys_until:
            self._keys = await self._store.settle_keys(lambda held: self._house.authority.missing(held, now))
            self._keys_until = now + dt.timedelta(seconds=_KEYS_SECONDS)
        return self._keys

    async def roots(self) -> bytes:
        """The roots of the seals, PEM."""
        return roots_pem(await self.keys())

    def framework(self, framework_id: str) -> Framework:
        """A framework by its id; raises InvalidArgument (UNKNOWN_FRAMEWORK)."""
        found = self._house.frameworks.find(framework_id)
        if found is None:
            known = ", ".join(framework.id for framework in self._house.frameworks.frameworks)
            raise InvalidArgument(f"framework: must be one of {known}", reason="UNKNOWN_FRAMEWORK", field="framework")
        return found

    async def get(self, requester: Requester, job_id: str, framework_id: str, *, reissue: bool) -> Edition:
        """The newest edition, made now where it is the first, or a new one is wanted.

        Raises PermissionDenied, NotFound, Conflict and InvalidArgument as `Jobs` and `framework` do, and what
        `PressClient.print` raises.
        """
        framework = self.framework(framework_id)
        await self._jobs.require_plan(requester.plan)
        job_uuid, team = uuid.UUID(job_id), uuid.UUID(requester.team_id)
        newest = await self._store.newest(job_uuid, framework.id, team)
        if newest is not None and not reissue:
            await self._store.tell(self._told(requester, "downloaded", newest))
            return newest
        job = await self._jobs.proven(requester, job_id)
        edition = await self._print(job, framework, job_uuid, newest.edition + 1 if newest else 1)
        word = "issued" if newest is None else "reissued"
        if await self._store.keep(edition, self._told(requester, word, edition)):
            return edition
        # Another request was quicker: its edition is the one that stands.
        standing = await self._store.newest(job_uuid, framework.id, team)
        if standing is None:
            raise Conflict("another edition is being made; repeat the request", reason="EDITION_IN_FLIGHT")
        return standing

    async def _print(self, job: ProvenJob, framework: Framework, job_id: uuid.UUID, number: int) -> Edition:
        keys = await self.keys()
        classical, quantum_safe = (current(keys, algorithm) for algorithm in Algorithm)
        now = self._clock().replace(microsecond=0)
        public_id = f"qm_job_{job_id.hex}"
        issue = Issue(
            issuer=self._house.authority.issuer,
            edition=number,
            moment=now,
            template_version=self._house.frameworks.version,
            verify_url=f"{self._house.public_url}/verify/{public_id}?t={job.view_token}",
            seals=tuple(
                SealFacts(
                    algorithm=key.algorithm,
                    subject=key.subject,
                    fingerprint=key.fingerprint,
                    expire_time=key.expire_time,
                )
                for key in (classical, quantum_safe)
            ),
        )
        sheet = build_sheet(job.facts, framework, issue)
        order = Order(
            sheet=msgspec.json.encode(sheet),
            link=issue.verify_url,
            result=job.proven,
            parameters=job.facts.parameters,
            roots=await self._logged.proven(keys),
            moment=now,
            classical=self._seal(classical),
            quantum_safe=self._seal(quantum_safe),
        )
        return Edition(
            job_id=job_id,
            framework=framework.id,
            edition=number,
            team_id=uuid.UUID(job.facts.team_id),
            number=sheet.number,
            template_version=issue.template_version,
            issue_time=now,
            pdf=await self._press.print(order),
        )

    def _seal(self, key: StoredKey) -> Seal:
        return Seal(key.certificate, private_der(self._house.authority.open(key)))

    def _told(self, requester: Requester, word: str, edition: Edition) -> Message:
        deed = Deed.by(
            requester,
            SERVICE,
            f"certificate.{word}",
            edition.number,
            job_id=f"qm_job_{edition.job_id.hex}",
            framework=edition.framework,
            edition=str(edition.edition),
            sha256=hashlib.sha256(edition.pdf).hexdigest(),
        )
        return audit_message(deed, self._clock())
