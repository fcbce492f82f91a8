"""What `qmumma verify` says of a certificate that somebody has changed."""

from __future__ import annotations

import io
import json
import random
import re
import time
from collections.abc import Callable

import msgspec
import pypdfium2
import pytest
from qmumma import certificate, verify
from qmumma.pdf import attachments_of, pages_end, seals_of
from qmumma.report import Report

from mesh.vault import Vault
from services.certificates.authority import Authority, roots_pem
from services.certificates.printing import Press
from tests.unit.certificates.conftest import NOW, House, make_house

Checked = Callable[..., Report]


@pytest.fixture(scope="module")
def pdf(house: House, press: Press) -> bytes:
    return press.print(house.order(*house.job()))


@pytest.fixture(scope="module")
def check(house: House) -> Checked:
    roots = roots_pem(house.held)

    def check(document: bytes, roots: bytes | None = roots) -> Report:
        return verify(document, house.jwks, house.log_keys, roots=roots)

    return check


def flip(data: bytes, place: int, bit: int = 1) -> bytes:
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def names(report: Report) -> str:
    return " | ".join(f"{fault.name}: {fault.detail}" for fault in report.failed)


def test_a_genuine_certificate_holds_and_says_what_was_looked_at(pdf: bytes, check: Checked) -> None:
    report = check(pdf)
    assert report.failed == ()
    assert {
        "file",
        "seal ECDSA P-256",
        "seal ECDSA P-256 root",
        "seal ML-DSA-65",
        "seal ML-DSA-65 root",
        "certificate.json",
        "parameters.json",
    } <= {passed.name for passed in report.checks}


def test_it_is_pdf_a_3b_to_the_end_and_opens_in_a_viewer(pdf: bytes) -> None:
    metadata = pdf[pdf.rindex(b"<x:xmpmeta") :]
    assert re.search(rb"pdfaid:part(>|=\")3", metadata)
    assert re.search(rb"pdfaid:conformance(>|=\")B", metadata)
    with pypdfium2.PdfDocument(pdf) as document:
        assert len(document) == 2


def test_pyhanko_too_finds_both_seals_whole_and_trusted(pdf: bytes, house: House) -> None:
    from pyhanko.keys import load_certs_from_pemder_data
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    signatures = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    assert [each.field_name for each in signatures] == ["Seal-ECDSA", "Seal-ML-DSA-65"]
    trust = list(load_certs_from_pemder_data(roots_pem(house.held)))
    for each in signatures:
        status = validate_pdf_signature(each, ValidationContext(trust_roots=trust, moment=NOW))
        assert status.intact
        assert status.valid
        assert status.trusted
        assert status.docmdp_ok


def test_any_byte_that_is_changed_is_found(pdf: bytes, check: Checked) -> None:
    chance = random.Random(11)
    last = seals_of(pdf)[-1]
    places = [chance.randrange(len(pdf)) for _ in range(15)]
    places += [chance.randrange(last.gap, last.gap + 19_000) for _ in range(15)]  # the last seal's own container
    places += [last.gap, last.resume - 1, last.resume - 2, last.end - 1, 0, 9]
    for place in places:
        altered = flip(pdf, place)
        report = verify_or_refuse(check, altered)
        assert report is None or not report.ok, place


def verify_or_refuse(check: Checked, document: bytes) -> Report | None:
    from qmumma import UnreadableError

    try:
        return check(document)
    except UnreadableError:
        return None


@pytest.mark.parametrize("part", ["03420004", "06082a8648ce3d030107", "0603551d0f", "170d"])
def test_a_seals_certificate_that_cannot_be_read_any_more_is_named(pdf: bytes, check: Checked, part: str) -> None:
    container = seals_of(pdf)[0].gap
    place = pdf.lower().index(part.encode(), container) + len(part)
    for distance in range(-4, 6):
        assert "seal ECDSA P-256" in names(check(flip(pdf, place + distance)))


def test_lower_case_in_a_container_is_a_change_too(pdf: bytes, check: Checked) -> None:
    last = seals_of(pdf)[-1]
    text = pdf[last.gap : last.resume]
    altered = pdf[: last.gap] + text.replace(b"A", b"a", 1) + pdf[last.resume :]
    assert "seal ML-DSA-65" in names(check(altered))


@pytest.mark.parametrize("name", ["result.json", "parameters.json", "roots.json", "certificate.json"])
def test_a_changed_attachment_is_named(pdf: bytes, check: Checked, name: str) -> None:
    number = re.search(rf"/Type/Filespec/F\({name}\).*?/F (\d+) 0 R".encode(), pdf)[1]
    place = pdf.index(b"\n" + number + b" 0 obj") + 170
    assert f"the attachment {name}" in names(check(flip(pdf, pdf.index(b"stream", place - 40) + 12)))


def test_a_changed_page_is_named(pdf: bytes, check: Checked) -> None:
    contents = re.search(rb"/Type/Page/.*?/Contents (\d+) 0 R", pdf, re.DOTALL)[1]
    place = pdf.index(b"stream", pdf.index(b"\n" + contents + b" 0 obj")) + 100
    assert "the content of a page" in names(check(flip(pdf, place)))


def test_a_removed_seal_and_an_appended_revision_are_named(pdf: bytes, check: Checked) -> None:
    first, last = seals_of(pdf)
    assert "seal ML-DSA-65: is not there" in names(check(pdf[: first.end]))
    assert "seal ECDSA P-256: is not there" in names(check(pdf[: pages_end(pdf)]))
    assert "a revision was appended" in names(check(pdf + b"\n1 0 obj\n<<>>\nendobj\n%%EOF\n"))
    assert "missing at the end" in names(check(pdf[:-1]))
    assert not check(pdf[: last.gap]).ok


def test_a_root_that_the_log_does_not_have_is_named(house: House, press: Press, check: Checked) -> None:
    job = house.job()
    other = make_house(b"another key of the seals' keys!!")
    strangers = msgspec.structs.replace(house.order(*job), roots=other.roots())
    faults = names(check(press.print(strangers)))
    assert "seal ECDSA P-256 root: sha256:" in faults
    assert "seal ML-DSA-65 root: sha256:" in faults
    forged = json.loads(house.roots())
    forged["roots"][0]["subject"] = "another"
    faults = names(check(press.print(msgspec.structs.replace(house.order(*job), roots=json.dumps(forged).encode()))))
    assert "roots.json[0] subject" in faults
    assert "seal ECDSA P-256 root" in faults
    assert "seal ML-DSA-65 root" not in faults
    for nothing in (b"{}", b'{"roots":[1,{"type":"qmumma.root/v1"}]}'):
        assert "ML-DSA-65 root" in names(check(press.print(msgspec.structs.replace(house.order(*job), roots=nothing))))


def test_a_certificate_of_before_the_roots_were_logged_is_told_so(
    pdf: bytes, check: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {name: content for name, content in attachments_of(pdf).items() if name != "roots.json"}
    assert json.loads(without["certificate.json"])["template"] == "generic/1"
    monkeypatch.setattr(certificate, "attachments_of", lambda _: without)
    assert "roots.json: was not attached by template 1" in names(check(pdf))
    later = without["certificate.json"].replace(b"generic/1", b"generic/3")
    monkeypatch.setattr(certificate, "attachments_of", lambda _: {**without, "certificate.json": later})
    assert "roots.json: is not attached" in names(check(pdf))


def test_another_house_is_not_trusted(pdf: bytes, check: Checked) -> None:
    stranger = roots_pem(Authority("Aumtrix", Vault(b"q" * 32)).missing([], NOW))
    faults = names(check(pdf, stranger))
    assert "seal ECDSA P-256 certificate" in faults
    assert "seal ML-DSA-65 certificate" in faults
    assert "no roots were given" in names(check(pdf, None))


@pytest.mark.parametrize(
    "filler",
    [
        b"\n1 0 obj<<",
        b">>stream\n",
        b"/Type /QMUMDigests ",
        b"/ByteRange [0 1 2 3]\n",
        b"\nendobj\n1 0 obj",
        b"%%EOF\n",
    ],
)
def test_a_file_that_is_made_to_be_slow_is_read_in_one_pass(check: Checked, filler: bytes) -> None:
    began = time.process_time()
    report = check(b"%PDF-1.7\n1 0 obj<<" + filler * (2 * 2**20 // len(filler)))
    assert not report.ok
    assert time.process_time() - began < 6  # what is quadratic takes hours
