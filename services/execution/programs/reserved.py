"""Words that may be no register's name in one of the versions: keywords, functions, constants, gates of the library."""

from __future__ import annotations

_KEYWORDS = """
OPENQASM include defcalgrammar def cal defcal gate opaque extern box let break continue if else end return for while in
switch case default pragma input output const readonly mutable qreg qubit creg bool bit int uint float angle complex
array void duration stretch gphase inv pow ctrl negctrl dim durationof delay reset measure barrier true false im nop
"""
_NAMES = """
pi tau euler sin cos tan exp ln log sqrt asin acos atan arcsin arccos arctan ceiling floor mod popcount rotl rotr sizeof
real imag
"""
_GATES = """
x y z h s sdg t tdg sx sxdg id p rx ry rz u u0 u1 u2 u3 cx cy cz cp csx ch crx cry crz cu cu1 cu3 swap ccx ccz cswap
rxx ryy rzx rzz c3x c3sx c3sqrtx c4x rccx rc3x phase cphase delay
"""
RESERVED = frozenset(f"{_KEYWORDS} {_NAMES} {_GATES}".split())
