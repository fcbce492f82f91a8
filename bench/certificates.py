"""What a certificate costs, warm: wall and CPU of the whole, of setting its pages and of its seals, beside limits.

    python -m bench.certificates [--rounds N]

The limits are Typst alone on the same template (what no way of sealing can beat), and the bare signatures (ECDSA P-256
and ML-DSA-65 over the same bytes, without a PDF). The record has the counts of 40 qubits, 1,000 different ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from qmumma import verify

from services.certificates.authority import Algorithm, current, roots_pem
from services.certificates.printing import Order, Press
from services.certificates.sealing import SealKey, seal_twice
from tests.unit.certificates.conftest import make_house

PROMISED_MS = 150.0


def measure(rounds: int, work: Callable[[], object]) -> tuple[float, float]:
    """Median wall and mean CPU of a call, in milliseconds."""
    work()
    walls, cpu = [], time.process_time()
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        walls.append(1000 * (time.perf_counter() - began))
    return statistics.median(walls), 1000 * (time.process_time() - cpu) / rounds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    house, press = make_house(), Press()
    counts = {f"{number * 1_099_511_627:040b}"[-40:]: 1 + number % 7 for number in range(1000)}
    order: Order = house.order(*house.job(result={"counts": counts}))
    keys = [house.authority.open(current(house.held, algorithm)) for algorithm in Algorithm]
    pages = press.set_pages(order)
    sealed = [SealKey.load(seal.certificate, seal.private_key) for seal in (order.classical, order.quantum_safe)]
    document = press.print(order)

    def sign_bare() -> None:
        classical, quantum_safe = keys
        assert isinstance(classical, ec.EllipticCurvePrivateKey)
        classical.sign(document, ec.ECDSA(hashes.SHA256()))
        assert not isinstance(quantum_safe, ec.EllipticCurvePrivateKey)
        quantum_safe.sign(document)

    roots = roots_pem(house.held)
    rows = {
        "whole certificate": lambda: press.print(order),
        "  pages (Typst alone)": lambda: press.set_pages(order),
        "  seals (pyHanko)": lambda: seal_twice(pages, *sealed),
        "  bare signatures": sign_bare,
        "qmumma verify": lambda: verify(document, house.jwks, house.log_keys, roots=roots),
    }
    print(f"{len(document) / 1024:.0f} KiB, {rounds} rounds; promised: {PROMISED_MS:.0f} ms\n")
    print(f"{'':24} {'wall ms':>9} {'CPU ms':>9}")
    for name, work in rows.items():
        wall, cpu = measure(rounds, work)
        print(f"{name:24} {wall:9.1f} {cpu:9.1f}")


if __name__ == "__main__":
    main()
