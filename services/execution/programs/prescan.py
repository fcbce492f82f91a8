"""The first reading of a hostile text: one linear pass over its tokens, before any real parser sees it.

It fixes the version, refuses every include but the two standard ones, and bounds lengths, numbers, brackets,
operator chains and registers, so that the parsers behind it cannot be made to recurse, overflow or allocate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from services.execution.programs.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.execution.programs.errors import Reason
    from services.execution.programs.limits import Limits
    from services.execution.programs.program import Version

Kind = Literal["call", "word", "number", "string", "symbol"]

_NUMBER = r"(?:(?:\d{1,9}(?:\.\d{0,17})?|\.\d{1,17})(?:[eE][-+]?\d{1,3})?|pi)"
_ANGLE = rf"[ ]?-?{_NUMBER}(?:[ ]?[-+*/][ ]?{_NUMBER}){{0,3}}"
_BIT = r"[^\W\d]\w{0,63}\[\d{1,9}\]"
_CALL = rf"""(?P<call>(?!(?:OPENQASM|include|qreg|creg|qubit|bit|gate|opaque|if)\b)(?P<name>[^\W\d]\w{{0,63}})
    (?:\({_ANGLE}(?:,{_ANGLE}){{0,3}}\))?[ ]{_BIT}(?:(?:,[ ]?|[ ]?->[ ]?){_BIT}){{0,3}};\s*+)"""
"""A whole statement of the kind that long programs are made of: a gate or a measurement on single bits, its numbers
short, its expressions flat. It is read at once, ten times as fast as word by word, and passes every check below."""
_TOKEN = re.compile(
    rf"""{_CALL}
      |(?P<skip>\s+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
      |(?P<word>[^\W\d]\w*|\$\d{{1,9}})
      |(?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\w*)
      |(?P<string>"[^"\n]*"|'[^'\n]*')
      |(?P<symbol>->|==|!=|<=|>=|&&|\|\||\*\*|<<|>>|[^\w\s])""",
    re.VERBOSE,
)
_VERSIONS: dict[str, Version] = {"2": "2.0", "2.0": "2.0", "3": "3.0", "3.0": "3.0", "3.1": "3.0"}
_INCLUDES = {"2.0": "qelib1.inc", "3.0": "stdgates.inc"}
_LONGEST_WORD = 255
_LONGEST_NUMBER = 32
_LARGEST_INTEGER = 2**63 - 1
_OPERATORS = frozenset(
    {"+", "-", "*", "/", "%", "^", "**", "!", "~", "&&", "||", "|", "&", "<<", ">>"}
    | {"==", "!=", "<", ">", "<=", ">="}
)
_MOST_OPERATORS = 256
"""In one expression: parsers recurse on unary signs, powers and the left side of sums."""


class Token(NamedTuple):
    """One word of the source with its offset from the beginning.

    A `call` is a whole statement with its semicolon, and its text the name that it begins with.
    """

    kind: Kind
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Scan:
    """A source that passed: its version and its tokens, comments left out."""

    source: str
    version: Version
    tokens: tuple[Token, ...]

    def error(self, reason: Reason, message: str, token: Token | None) -> ProgramError:
        """Return the refusal, placed at a token."""
        return _error(self.source, reason, message, token)


def scan(source: str, limits: Limits) -> Scan:
    """Read the tokens and refuse what no parser should be given.

    Raises ProgramError.
    """
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise ProgramError("SYNTAX_ERROR", "the program is not valid Unicode text") from error
    if size > limits.source_bytes:
        message = f"the program has {size} bytes, more than the {limits.source_bytes} allowed"
        raise ProgramError("SOURCE_TOO_LONG", message)
    tokens = tuple(_tokens(source))
    version = _version(source, tokens)
    if version == "3.0" and size > limits.source_bytes_v3:
        message = (
            f"the program has {size} bytes, more than the {limits.source_bytes_v3} allowed in OpenQASM 3 beyond "
            "registers, library gates, measurements, resets and barriers"
        )
        raise ProgramError("SOURCE_TOO_LONG", message)
    found = Scan(source, version, tokens)
    _check_tokens(found, limits)
    _check_statements(found, limits)
    return found


def _error(source: str, reason: Reason, message: str, token: Token | None) -> ProgramError:
    if token is None:
        return ProgramError(reason, message)
    line = source.count("\n", 0, token.offset) + 1
    column = token.offset - (source.rfind("\n", 0, token.offset) + 1) + 1
    return ProgramError(reason, message, line, column)


def _tokens(source: str) -> Iterator[Token]:
    position = 0
    for match in _TOKEN.finditer(source):
        start, end = match.span()
        if start != position:
            break
        position = end
        kind: Kind | Literal["skip"] = match.lastgroup  # type: ignore[assignment]  # the groups are the kinds
        if kind == "call":
            yield Token(kind, match["name"], start)
        elif kind != "skip":
            yield Token(kind, match.group(), start)
    if position != len(source):
        unread = Token("symbol", source[position], position)
        raise _error(source, "SYNTAX_ERROR", f"unexpected character {source[position]!r}", unread)


def _version(source: str, tokens: tuple[Token, ...]) -> Version:
    expected = 'the program must begin with "OPENQASM 2.0;" or "OPENQASM 3.0;"'
    if not tokens or tokens[0].text != "OPENQASM":
        raise _error(source, "UNSUPPORTED_VERSION", expected, tokens[0] if tokens else None)
    number = tokens[1] if len(tokens) > 1 else tokens[0]
    if number.text not in _VERSIONS:
        raise _error(source, "UNSUPPORTED_VERSION", f"{expected}, not version {number.text[:20]!r}", number)
    return _VERSIONS[number.text]


def _check_tokens(found: Scan, limits: Limits) -> None:
    depth = operators = 0
    for token in found.tokens:
        text = token.text
        if token.kind == "call":
            operators = 0
        elif token.kind == "symbol":
            if text in "([{":
                depth += 1
            elif text in ")]}":
                depth -= 1
            operators = operators + 1 if text in _OPERATORS else 0 if text in ",;{}@" else operators
            if depth > limits.nesting:
                raise found.error("TOO_DEEP", f"brackets nest deeper than {limits.nesting}", token)
            if operators > _MOST_OPERATORS:
                raise found.error("TOO_DEEP", f"an expression has more than {_MOST_OPERATORS} operators", token)
        elif token.kind == "number":
            _check_number(found, token)
        elif len(text) > _LONGEST_WORD:
            raise found.error("SYNTAX_ERROR", f"a name is longer than {_LONGEST_WORD} characters", token)


def _check_number(found: Scan, token: Token) -> None:
    if len(token.text) > _LONGEST_NUMBER:
        message = f"a number is longer than {_LONGEST_NUMBER} characters"
        raise found.error("SYNTAX_ERROR", message, token)
    digits = token.text.replace("_", "")
    if digits.isdecimal() and int(digits) > _LARGEST_INTEGER:
        raise found.error("SYNTAX_ERROR", f"the integer {digits} is larger than 2^63 - 1", token)


def _check_statements(found: Scan, limits: Limits) -> None:
    """Refuse foreign includes and oversized registers whose size is written as a number."""
    qubits = clbits = 0
    tokens = found.tokens
    for index, token in enumerate(tokens):
        if token.kind != "word":
            continue
        if token.text[0] == "$":
            check_width(found, limits, int(token.text[1:]) + 1, clbits, token)
        elif token.text == "include":
            _check_include(found, tokens[index + 1] if index + 1 < len(tokens) else token)
        elif token.text in {"qreg", "qubit"}:
            qubits += _register_size(tokens[index + 1 : index + 4])
            check_width(found, limits, qubits, clbits, token)
        elif token.text in {"creg", "bit"}:
            clbits += _register_size(tokens[index + 1 : index + 4])
            check_width(found, limits, qubits, clbits, token)


def _check_include(found: Scan, name: Token) -> None:
    allowed = _INCLUDES[found.version]
    if name.kind == "string" and name.text[1:-1] == allowed:
        return
    message = f'only include "{allowed}" is allowed in OpenQASM {found.version}, not {name.text[:60]}'
    raise found.error("INCLUDE_REFUSED", message, name)


def _register_size(following: tuple[Token, ...]) -> int:
    """Return n of `qreg name[n]` or `qubit[n]`; 0 where the size is not a plain number."""
    after = [token.text for token in following]
    if "[" not in after[:2]:
        return 0
    number = after[after.index("[") + 1 :][:1]
    return int(number[0].replace("_", "")) if number and number[0].replace("_", "").isdecimal() else 0


def check_width(found: Scan, limits: Limits, qubits: int, clbits: int, token: Token | None) -> None:
    """Refuse a program with more qubits or classical bits than the limits allow."""
    if qubits > limits.qubits:
        message = f"the program has {qubits} qubits; at most {limits.qubits} are allowed"
        raise found.error("TOO_MANY_QUBITS", message, token)
    if clbits > limits.clbits:
        message = f"the program has {clbits} classical bits; at most {limits.clbits} are allowed"
        raise found.error("TOO_MANY_CLBITS", message, token)
