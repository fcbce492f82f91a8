"""The page as people see it: set, rasterised and looked at."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pypdfium2
import pytest
import segno

from services.certificates.printing import Press
from services.certificates.wording import _SHOWABLE, label
from tests.unit.certificates.conftest import FRAMEWORKS, LINK, House

SCALE = 2.0
MARGIN = round(9 * 72 / 25.4 * SCALE)
"""Pixels at each edge on which nothing may be: 9 mm, less than the layout leaves."""
HOSTILE = {
    "#let": '#read("/etc/passwd") #eval("1") $x$ ]] // */ \\u{202e}',
    "bidi": "\u202eevil\u202c \u2066x\u2069",
    "emoji \U0001f600": "\U0001f4a9" * 50,
    "long": "A" * 100_000,
    "n" * 100_000: 1,
    "line": "a\r\nb\x00c\u2028d",
    "surrogate-free": "\uffff\ufdd0\u0301\u0301",
}


def text_of(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        return "\n".join(page.get_textpage().get_text_bounded() for page in document)


def pixels_of(pdf: bytes) -> Iterator[np.ndarray[Any, Any]]:
    with pypdfium2.PdfDocument(pdf) as document:
        for page in document:
            yield page.render(scale=SCALE, grayscale=True).to_numpy().squeeze()


def assert_tidy(pdf: bytes) -> None:
    """Every page has ink, and none of it in the margins."""
    for page in pixels_of(pdf):
        ink = page < 250
        assert ink[MARGIN:-MARGIN, MARGIN:-MARGIN].any()
        for edge in (ink[:MARGIN], ink[-MARGIN:], ink[:, :MARGIN], ink[:, -MARGIN:]):
            assert not edge.any()


def test_the_page_says_what_ran_where_and_that_it_was_simulated(house: House, press: Press) -> None:
    pdf = press.set_pages(house.order(*house.job()))
    text = text_of(pdf)
    with pypdfium2.PdfDocument(pdf) as document:
        assert len(document) == 2
        for page in document:
            assert "SIMULATED" in page.get_textpage().get_text_bounded()
    for word in ("Certificate of Execution", "QMC-", "qm_job_0199d1c27d3e7c559f5a3c0f5d2b7a10", "97.12%", "51.20%",
                 "ibm_marrakesh@2025-02-26", "No quantum hardware was used", "vajra-2026-01", "not a person"[:3],
                 "0199d1c2-0000-7000-8000-000000000002"):  # fmt: skip
        assert word in text, word
    assert "certified" not in text.lower()
    assert_tidy(pdf)


def test_a_machine_is_told_from_a_simulator(house: House, press: Press) -> None:
    text = text_of(press.set_pages(house.order(*house.job(execution={"simulated": False}))))
    assert "QUANTUM HARDWARE" in text
    assert "SIMULATED" not in text


def test_bars_have_the_lengths_of_their_counts(house: House, press: Press) -> None:
    counts = {"00": 600, "11": 300, "01": 100}
    page = next(pixels_of(press.set_pages(house.order(*house.job(result={"counts": counts})))))
    runs = Counter(
        max(map(len, "".join("#" if dark else " " for dark in row).split()), default=0) for row in page < 100
    )
    # A bar is nine points high, a rule less than one.
    bars = sorted(length for length, rows in runs.items() if rows > 12 and length > 60)
    assert len(bars) == 3
    assert bars[2] > 300 * SCALE
    assert bars[1] == pytest.approx(bars[2] / 2, abs=2)
    assert bars[0] == pytest.approx(bars[2] / 6, abs=2)


def test_the_qr_code_on_the_page_is_the_link(house: House, press: Press) -> None:
    dark = next(pixels_of(press.set_pages(house.order(*house.job())))) < 60
    code = np.array([list(row) for row in segno.make(LINK, error="m", micro=False).matrix], dtype=bool)
    centres = ((np.arange(len(code)) + 0.5) * 82 * SCALE / len(code)).astype(int)
    left = round((18 * 72 / 25.4 + 11) * SCALE)
    lower = range(len(dark) * 2 // 3, len(dark) - centres[-1] - 1)
    assert max((dark[np.ix_(top + centres, left + centres)] == code).mean() for top in lower) > 0.995


@pytest.mark.parametrize("framework", FRAMEWORKS.frameworks, ids=lambda framework: framework.id)
def test_every_framework_fits_and_promises_no_more_than_it_holds(house: House, press: Press, framework: Any) -> None:
    pdf = press.set_pages(house.order(*house.job(), framework))
    text = " ".join(text_of(pdf).split())
    assert framework.title in text
    for word in ("is certified", "guarantee", "compliant"):
        assert word not in text.lower()
    assert "supports" in text
    assert_tidy(pdf)


def test_hostile_text_is_shown_harmless_and_nothing_leaves_the_page(house: House, press: Press) -> None:
    import rfc8785

    parameters = rfc8785.dumps(dict(HOSTILE.items()))
    wide = {f"{number:0127b}": 1 for number in range(300)}
    changes: dict[str, Any] = {
        "hardware": "#" * 64,
        "algorithm_id": "x" * 128,
        "result": {"counts": wide, **{f"#[{'k' * 90}{number}": "\u202e" + "v" * 500 for number in range(40)}},
    }
    pdf = press.set_pages(house.order(*house.job(parameters, **changes)))
    with pypdfium2.PdfDocument(pdf) as document:
        assert len(document) == 2
    text = "".join(text_of(pdf).split()).replace("\u200b", "").replace("\ufffe", "")
    assert "\\u{202e}" in text
    assert "\\u{1f4a9}" in text
    assert "root:" not in text
    assert_tidy(pdf)


def test_every_character_that_counts_as_showable_has_a_glyph(house: House, press: Press) -> None:
    import rfc8785

    parameters = rfc8785.dumps({"all": "".join(sorted(_SHOWABLE))[:290], "rest": "".join(sorted(_SHOWABLE))[290:]})
    press.set_pages(house.order(*house.job(parameters)))  # PDF/A refuses a missing glyph


def test_the_attachments_are_the_record_and_its_parameters_to_the_byte(house: House, press: Press) -> None:
    job, proven = house.job()
    with pypdfium2.PdfDocument(io.BytesIO(press.set_pages(house.order(job, proven)))) as document:
        found = {
            document.get_attachment(number).get_name(): bytes(document.get_attachment(number).get_data())
            for number in range(document.count_attachments())
        }
    assert set(found) == {"result.json", "parameters.json", "roots.json", "certificate.json"}
    assert (found["result.json"], found["parameters.json"]) == (proven, job.parameters)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("energy_hartree", "Energy (hartree)"),
        ("reference error_vs_fci_hartree", "Reference error against FCI (hartree)"),
        ("circuit num_qubits", "Circuit qubits"),
        ("openqasm_version", "OpenQASM version"),
        ("hartree", "Hartree"),
        ("", ""),
        ("num", "Num"),
    ],
)
def test_a_members_name_becomes_words(name: str, words: str) -> None:
    assert label(name) == words


def test_the_page_says_no_more_of_a_simulation_than_it_is(house: House, press: Press) -> None:
    text = " ".join(text_of(press.set_pages(house.order(*house.job()))).split())
    assert "It is that of a simulation, not of a machine." in text
    assert "2026-11-21 12:00:00 UTC" in text
    assert "Measured distribution".upper() not in text.upper()
    machine = {"execution": {"simulated": False}}
    assert "It is that of a simulation" not in text_of(press.set_pages(house.order(*house.job(**machine))))
