"""`python -m qmumma`."""

from __future__ import annotations

import sys

from qmumma.cli import main

sys.exit(main())
