"""What the entropy service is told at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mesh.config import MeshConfig, Positive
from services.entropy.cutoff import MOST_FALSE_ALARM, false_alarm

Share = Annotated[float, Meta(gt=0, le=1)]


class EntropyConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the entropy process."""

    key_encryption_key_file: Path
    """Holds the base64 of the 32 bytes that seal seeds and kept answers, mode 0600."""
    default_source: str = "sim.stabilizer"
    """What `auto` is while no live source is healthy. A simulator: pseudo-random, and labelled so."""
    live_sources: tuple[str, ...] = ()
    """Backends that are drawn from as machines, with the operator's account; what a chunk costs there, it pays."""
    live_min_entropy: Share = 0.5
    """What a raw bit of a machine is claimed to be worth, in bits; a chunk that is assessed at less is refused."""
    simulated_min_entropy: Share = 0.55
    """The same of simulators and twins for their tests; credited is nothing. The estimators cannot show much more of a
    fair source: at 0.7 one of its chunks in 30,000 would be refused, at 0.55 one in 16 million."""
    team_id: str = "00000000-0000-4000-8000-0000656e7472"
    """Whose jobs the draws are: the team of this service itself."""
    chunk_bits: Annotated[int, Meta(ge=65_536, le=4_194_304, multiple_of=8)] = 1_048_576
    """Raw bits of one job; SP 800-90B asks for a million at least to assess a source."""
    block_bits: Annotated[int, Meta(ge=65_536, le=33_554_432, multiple_of=8)] = 10_485_760
    """Bits of one block, which is tested as a whole; the longest request comes from one."""
    ready_blocks: Positive = 2
    """Blocks that are kept ready for each source in use."""
    first_refill_seconds: float = 10.0
    """How long after the start the pool is looked at first, unless somebody asks earlier."""
    refill_seconds: float = 5.0
    """Time between two looks at the pool."""
    wait_seconds: float = 10.0
    """How long a request waits for blocks in all, while none is ready; then it is told when to come again."""
    draw_seconds: float = 300.0
    """How long a job for raw bits may take."""
    quarantine_seconds: float = 60.0
    """Until a failed source makes its start-up test again; twice as long after each failure in a row."""
    beacon_seconds: Positive = 3600
    """Time between two values of the beacon, which come at its multiples since 1970."""
    examiner_idle_seconds: float = 30.0
    """How long a process for tests waits for more before it ends."""

    def __post_init__(self) -> None:
        """Refuse a claim that a fair source would fail too often: quarantines would say nothing then."""
        for name in ("live_min_entropy", "simulated_min_entropy"):
            claim = getattr(self, name)
            if (often := false_alarm(self.chunk_bits, claim)) > MOST_FALSE_ALARM:
                text = f"{name} = {claim}: of a fair source one chunk in {1 / often:,.0f} would be refused; claim less"
                raise ValueError(text)
