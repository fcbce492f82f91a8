"""The press's child: sets a document with Typst, draws its QR code, seals it twice. A program of its own, over pipes.

Each message is four bytes of length, big-endian, and MessagePack. The child keeps what is costly between documents: the
fonts, the compiler, pyHanko. It reads no file but the template, and opens no connection.
"""

from __future__ import annotations

import datetime as dt
import io
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

TEMPLATE = Path(__file__).with_name("template")
LENGTH = struct.Struct(">I")
INK = "#16202e"


class Seal(msgspec.Struct, frozen=True):
    """A seal's X.509 certificate and its private key (PKCS #8), DER both."""

    certificate: bytes
    private_key: bytes


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A document to print."""

    sheet: bytes
    """JSON, for the template."""
    link: str
    """What the QR code says."""
    result: bytes
    parameters: bytes
    roots: bytes
    """The seals' roots with what proves that they are in the log, JSON."""
    moment: dt.datetime
    classical: Seal
    quantum_safe: Seal


class Printed(msgspec.Struct, frozen=True):
    """The document, or what went wrong."""

    pdf: bytes = b""
    fault: str = ""


class Press:
    """Prints."""

    def __init__(self) -> None:
        """Load the fonts and compile nothing yet."""
        import typst  # noqa: PLC0415 - only the child pays for it

        fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(TEMPLATE / "fonts")])
        self._compiler = typst.Compiler(root=str(TEMPLATE), font_paths=fonts)

    def set_pages(self, order: Order) -> bytes:
        """The pages, unsealed, as PDF/A-3b. Everything from outside is data; nothing becomes Typst source."""
        inputs = {
            "data": order.sheet.decode(),
            "qr": qr_code(order.link),
            "result": order.result.decode(),
            "parameters": order.parameters.decode(),
            "roots": order.roots.decode(),
        }
        pdf = self._compiler.compile(
            str(TEMPLATE / "certificate.typ"),
            format="pdf",
            sys_inputs=inputs,
            pdf_standards=["a-3b"],
            timestamp=int(order.moment.timestamp()),
        )
        if not isinstance(pdf, bytes):
            raise TypeError("Typst gave no document")
        return pdf + b"\n"  # Typst ends at %%EOF, and the next revision belongs on a line of its own

    def print(self, order: Order) -> bytes:
        """The sealed document."""
        from services.certificates.sealing import SealKey, seal_twice  # noqa: PLC0415 - only the child pays for it

        keys = [SealKey.load(seal.certificate, seal.private_key) for seal in (order.classical, order.quantum_safe)]
        return seal_twice(self.set_pages(order), keys[0], keys[1])


def qr_code(link: str) -> str:
    """A QR code as SVG."""
    import segno  # noqa: PLC0415 - only the child pays for it

    out = io.BytesIO()
    segno.make(link, error="m", micro=False).save(out, kind="svg", border=0, dark=INK)
    return out.getvalue().decode()


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    """Print until the orders end."""
    press = Press()
    decoder = msgspec.msgpack.Decoder(Order)
    while len(head := orders.read(LENGTH.size)) == LENGTH.size:
        body = orders.read(LENGTH.unpack(head)[0])
        try:
            printed = Printed(pdf=press.print(decoder.decode(body)))
        except Exception as error:  # noqa: BLE001 - one document that cannot be made must not end the others
            printed = Printed(fault=f"{type(error).__name__}: {error}"[:2000])
        answer = msgspec.msgpack.encode(printed)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
