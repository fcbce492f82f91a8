"""The audit trail as a chain, as a file, and as the verifier sees it when somebody has changed it."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import json
import random
import uuid
import zipfile
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from qm.audit.v1.audit_pb2 import OUTCOME_SUCCEEDED, AuditEvent
from qm.certificates.v1 import certificates_pb2 as pb
from qm.signing.v1 import signing_pb2
from qmumma import UnreadableError, verify
from qmumma.bundle import verify_bundle
from qmumma.documents import verify_trusting
from qmumma.merkle import root_of
from qmumma.report import Report

from edge.dialects.qmumma.audit_export import as_csv, as_json, harmless
from services.certificates.authority import roots_pem
from services.certificates.entry import BadEventError, Batch, Entry, Head, chain, check_event, cut_batch
from services.certificates.evidence import Parts, audit_file, pack
from services.certificates.ledger import Line, SealedBatch
from services.certificates.printing import Press
from services.certificates.tree import hash_leaf, levels_of, path_of
from tests.unit.certificates.conftest import NOW, House

TEAM = "0199d1c2-0000-7000-8000-000000000001"
JOB = "qm_job_0199d1c27d3e7c559f5a3c0f5d2b7a10"


def event(action: str = "job.submitted", team: str = TEAM, **fields: Any) -> AuditEvent:
    made = AuditEvent(
        event_id=str(uuid.uuid4()), team_id=team, action=action, object_id=JOB, outcome=OUTCOME_SUCCEEDED, **fields
    )
    made.create_time.FromDatetime(NOW)
    return made


def exported(house: House, entries: list[Entry]) -> bytes:
    """The trail as the service exports it, its one batch signed and logged."""
    hashes = tuple(entry.hash for entry in entries)
    batch = cut_batch(1, 1, hashes, b"")
    _, proven = house.proven(batch.record)
    lines = [Line(entry.position, entry.canonical, 1, index) for index, entry in enumerate(entries)]
    return audit_file(lines, [SealedBatch(batch, signing_pb2.Seal(), hashes)], {1: proven})


@pytest.fixture(scope="module")
def trail(house: House) -> bytes:
    return exported(
        house,
        chain(
            [event("job.submitted"), event("job.completed"), event("certificate.issued", details={"job_id": JOB})], {}
        ),
    )


def failures(house: House, document: bytes) -> list[str]:
    return [check.name for check in verify_trusting(document, house.trust).failed]


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40))
def test_every_leaf_is_proven_by_the_verifiers_own_tree(leaves: list[bytes]) -> None:
    hashes = [hash_leaf(leaf) for leaf in leaves]
    levels = levels_of(hashes)
    for index, leaf in enumerate(hashes):
        assert root_of(leaf, index, len(hashes), tuple(path_of(levels, index))) == levels[-1][0]


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=4))
def test_an_entry_is_the_canonical_json_of_what_it_says(text: str, details: dict[str, str]) -> None:
    [entry] = chain([event(request_id=text, address=text, details=details)], {})
    assert entry.canonical == rfc8785.dumps(json.loads(entry.canonical))


def test_teams_have_chains_of_their_own_that_go_on_where_they_ended() -> None:
    other = str(uuid.uuid4())
    first = chain([event(), event(team=other), event()], {})
    assert [entry.position for entry in first] == [1, 1, 2]
    later = chain([event()], {TEAM: Head(2, first[2].hash)})
    assert later[0].position == 3
    assert json.loads(later[0].canonical)["previous"] == f"sha256:{first[2].hash.hex()}"


@pytest.mark.parametrize(
    "fault", [{"team_id": "x"}, {"event_id": ""}, {"action": ""}, {"outcome": 0}, {"object_id": "\0"}]
)
def test_an_event_that_cannot_be_kept_is_refused(fault: dict[str, Any]) -> None:
    bad = event()
    for name, value in fault.items():
        setattr(bad, name, value)
    with pytest.raises(BadEventError):
        check_event(bad)


def test_a_genuine_trail_holds(house: House, trail: bytes) -> None:
    assert failures(house, trail) == []


def test_a_changed_a_removed_and_a_swapped_entry_are_named(house: House, trail: bytes) -> None:
    body = json.loads(trail)
    altered = trail.replace(b"job.completed", b"job.cancelled")
    assert "entries[1]" in failures(house, altered)
    assert "entries[2].previous" in failures(house, altered)
    swapped = {**body, "entries": [body["entries"][0], body["entries"][2], body["entries"][1]]}
    assert "entries[2].position" in failures(house, msgspec.json.encode(swapped))
    body["batches"]["1"]["entries"] = 2
    assert any(name.startswith("batches.1") for name in failures(house, msgspec.json.encode(body)))


def test_every_sampled_byte_of_an_export_is_named_when_it_changes(house: House, trail: bytes) -> None:
    chance = random.Random(5)
    for place in (chance.randrange(len(trail)) for _ in range(120)):
        for bits in (1, 0x20):
            altered = trail[:place] + bytes([trail[place] ^ bits]) + trail[place + 1 :]
            with suppress(UnreadableError):  # no JSON any more
                assert failures(house, altered), (place, bits)


def test_what_an_export_leaves_unproven_is_said(house: House, trail: bytes) -> None:
    body = json.loads(trail)

    def checked(**changes: Any) -> Report:
        return verify(msgspec.json.encode({**body, **changes}), house.jwks, house.log_keys)

    assert checked().notes == ()
    waiting = {"entry": body["entries"][0]["entry"], "batch": None, "leaf_index": None, "inclusion": None}
    report = checked(entries=[waiting, *body["entries"][1:]], has_more=True)
    assert report.ok
    assert report.notes[0].startswith("entries[0] was not in the log yet")
    assert report.notes[1].startswith("there are later entries")
    assert "1 entries of the team" in checked(entries=body["entries"][1:]).notes[0]
    assert [check.name for check in checked(added=1).failed] == ["added"]
    assert [check.name for check in checked(has_more="no").failed] == ["has_more"]
    assert [check.name for check in checked(entries=[{**waiting, "leaf_index": 0}]).failed] == ["entries[0].batch"]
    stranger = note_line("witness.example/w", body["batches"]["1"]["proof"]["checkpoint"])
    body["batches"]["1"]["proof"]["checkpoint"] = stranger
    [said] = checked().notes
    assert said.startswith("the checkpoint's line of witness.example/w+")
    assert said.endswith("is not checked: its key was not given")


def note_line(name: str, checkpoint: str) -> str:
    """The checkpoint with a line of somebody whose key the verifier does not have."""
    return f"{checkpoint}\u2014 {name} {base64.b64encode(bytes(80)).decode()}\n"


def test_a_csv_cell_never_begins_like_a_formula() -> None:
    canonical = chain([event(user_id="=cmd|' /C calc'!A0", key_id="@x", request_id="+1", address="\t=1")], {})[
        0
    ].canonical
    page = pb.ListAuditEntriesResponse(entries=[pb.AuditEntry(canonical=canonical)])
    header, row = list(csv.reader(io.StringIO(as_csv(page).decode(), newline="")))
    cells = dict(zip(header, row, strict=True))
    assert cells["user_id"] == "'=cmd|' /C calc'!A0"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in row)
    assert harmless("qm_job_1") == "qm_job_1"


def test_the_api_exports_what_the_verifier_reads(house: House, trail: bytes) -> None:
    body = msgspec.json.decode(trail, type=dict[str, msgspec.Raw])
    entries = msgspec.json.decode(body["entries"], type=list[dict[str, msgspec.Raw]])
    batches = msgspec.json.decode(body["batches"], type=dict[str, msgspec.Raw])
    page = pb.ListAuditEntriesResponse(
        entries=[
            pb.AuditEntry(
                canonical=bytes(entry["entry"]),
                batch_number=1,
                leaf_index=json.loads(bytes(entry["leaf_index"])),
                inclusion=[bytes.fromhex(node) for node in json.loads(bytes(entry["inclusion"]))],
            )
            for entry in entries
        ],
        batches=[pb.AuditBatch(number=1, proven_record=bytes(batches["1"]))],
    )
    assert failures(house, as_json(page)) == []


def test_a_bundle_holds_and_names_the_file_that_was_changed(house: House, press: Press, trail: bytes) -> None:
    job, proven = house.job()
    parts = Parts(
        result=proven,
        parameters=job.parameters,
        certificate=press.print(house.order(job, proven)),
        audit=trail,
        jwks=house.jwks,
        log_keys=house.log_keys.encode(),
        roots=roots_pem(house.held),
    )
    bundle = pack(parts, NOW)
    assert pack(parts, NOW) == bundle

    def failed(changes: dict[str, bytes]) -> str:
        with zipfile.ZipFile(io.BytesIO(bundle)) as source:
            altered = repacked({name: changes.get(name, source.read(name)) for name in source.namelist()})
        report = verify(altered, house.jwks, house.log_keys, roots=roots_pem(house.held))
        return " ".join(check.name for check in report.failed)

    assert failed({}) == ""
    assert "parameters.json" in failed({"parameters.json": b"{}"})
    assert "result.json shots" in failed({"result.json": proven.replace(b'"shots":1000', b'"shots":1001')})
    assert "audit.json entries[1]" in failed({"audit.json": trail.replace(b"job.completed", b"job.cancelled")})
    assert "certificate.pdf seal" in failed({"certificate.pdf": parts.certificate[:-9] + b"\n%%EOF \n\n"})
    _, other_proven = house.job(shots=2000)
    assert "certificate.pdf result" in failed({"result.json": other_proven})


def repacked(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The files as the service packs them, or compressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as target:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, NOW.timetuple()[:6])
            info.external_attr, info.compress_type = 0o644 << 16, compression
            target.writestr(info, content)
    return out.getvalue()


def frame_faults(house: House, bundle: bytes) -> list[str]:
    """What is said of the frame of a bundle whose files prove nothing; what cannot be read at all is a fault too."""
    try:
        report = verify_bundle(bundle, house.trust)
    except UnreadableError as error:
        return [str(error)]
    return [check.detail for check in report.failed if check.name == "file"]


def test_every_byte_of_a_bundles_frame_is_named_when_it_changes(house: House) -> None:
    texts = {name: name.encode() for name in Parts.__dataclass_fields__}
    bundle = pack(Parts(**texts), NOW)
    assert frame_faults(house, bundle) == []
    for place in range(4, len(bundle)):  # what does not begin as a ZIP is taken for something else
        for bits in (1, 0xFF):
            broken = bundle[:place] + bytes([bundle[place] ^ bits]) + bundle[place + 1 :]
            assert frame_faults(house, broken), place
    assert frame_faults(house, bundle + b"\n")
    assert frame_faults(house, bundle[:-1])


def test_a_bundle_that_was_packed_anew_is_told_so(house: House) -> None:
    files = {name: name.encode() * 9 for name in ("result.json", "README.txt")}
    assert frame_faults(house, repacked(files)) == []
    [fault] = frame_faults(house, repacked(files, zipfile.ZIP_DEFLATED))
    assert "packed anew" in fault
    [fault] = frame_faults(house, repacked(dict(reversed(files.items()))) + repacked(files))
    assert fault.startswith("byte ")
    assert frame_faults(house, repacked({})[:0] + b"PK\x03\x04" + repacked({}))


def test_a_batch_names_its_span_and_the_batch_before() -> None:
    first = cut_batch(1, 1, [b"a" * 32, b"b" * 32], b"")
    second = cut_batch(2, 3, [b"c" * 32], first.record)
    assert isinstance(second, Batch)
    assert (first.first_entry, first.last_entry, second.first_entry, second.last_entry) == (1, 2, 3, 3)
    assert json.loads(second.record)["previous_batch"] == f"sha256:{hash_leaf(first.record).hex()}"
    assert first.subject == "audit/1"


def test_times_are_kept_to_the_microsecond() -> None:
    made = event()
    made.create_time.FromDatetime(dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC))
    assert json.loads(chain([made], {})[0].canonical)["time"] == "2026-01-02T03:04:05.000006Z"
