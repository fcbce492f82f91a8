"""Fidelities by the model that fits the circuit to each machine (prediction/), as a choice takes them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from mesh.telemetry import log
from services.routing.catalogue import Backend, Kind
from services.routing.history import day_of
from services.routing.prediction.calibration import CALIBRATIONS
from services.routing.prediction.circuit import encode
from services.routing.prediction.model import Method
from services.routing.prediction.pool import LONGEST_SECONDS
from services.routing.prediction.predictor import Candidate, Predictor
from services.routing.question import Prediction

_QUBITS = 5
_USUAL = encode(
    _QUBITS,
    _QUBITS,
    [
        ("h", (0,), (), ()),
        *(("cx", (each, each + 1), (), ()) for each in range(_QUBITS - 1)),
        *(("measure", (each,), (), (each,)) for each in range(_QUBITS)),
    ],
)
"""A circuit that nearly every machine takes."""


class FittedFidelity:
    """Asks the predictor about the machines of whose calibration it knows every place."""

    def __init__(self, predictor: Predictor, *, clock: Callable[[], dt.datetime]) -> None:
        """Ask `predictor`; `clock` tells the time in UTC."""
        self._predictor = predictor
        self._clock = clock
        self._known = frozenset(path.stem for path in CALIBRATIONS.glob("*.json"))

    async def __call__(
        self, circuit: bytes, backends: Sequence[Backend], shots: int, seconds: float
    ) -> tuple[Mapping[str, Prediction], bool]:
        """The fidelity on each machine, within `seconds`, and whether who asks next hears the same.

        Raises ValueError where the circuit is none.
        """
        asked = {
            backend.backend_id: known.calibration_id
            for backend in backends
            if (known := backend.calibration) is not None and known.calibration_id in self._known
        }
        # A twin is as its calibration says however old that is; a machine is not.
        live = {backend.backend_id for backend in backends if backend.kind is Kind.LIVE}
        candidates = [
            Candidate(name, each, self._clock() - day_of(each)) if name in live else Candidate(name, each)
            for name, each in asked.items()
        ]
        told = await self._predictor.predict(circuit, candidates, shots=shots, seconds=seconds)
        # Angles that came for the first time are looked at when they come again.
        new = any(each.method is Method.KNOWN_STRUCTURE for each in told.values())
        predictions = {
            name: Prediction(each.value, each.low, each.high, each.method, asked[name], each.exposure)
            for name, each in told.items()
        }
        return predictions, not new and not self._predictor.works_on(circuit)

    async def warm(self, backends: Sequence[Backend], *, after: float) -> None:
        """Let the children start, and make the likeliest machines ready, `after` seconds: when the mesh has started.

        A circuit that came first would else wait for that, and be answered by summaries.
        """
        await asyncio.sleep(after)
        try:
            await self(_USUAL, backends, 1000, LONGEST_SECONDS)
        except Exception:  # noqa: BLE001 - then the first circuit waits
            log.exception("prediction_not_warm")
