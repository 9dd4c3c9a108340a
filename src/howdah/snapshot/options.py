"""How a snapshot is taken: what is asked, how long, and within which bounds.

Owns the options' names, units and bounds. Must never hold a DSN or a password.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

OPEN_SECONDS = 5.0
"""The picture's transaction is closed by then, whatever was read: it holds the horizon."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of one snapshot; zero switches a measurement off."""

    sample_seconds: Annotated[float, Meta(ge=0, le=600)] = 2.0
    """Time between the two counter samples, and the time that waits are sampled."""

    wait_samples_per_second: Annotated[float, Meta(gt=0, le=100)] = 10.0
    values: bool = False
    """Whether most common values and histogram bounds, which are data of rows, may be kept."""

    statements: Annotated[int, Meta(ge=0, le=5000)] = 200
    """Statements kept by total time, and as many again by calls."""

    measure_megabytes: Annotated[int, Meta(ge=0, le=1_000_000)] = 64
    """I/O that pgstattuple and its kin may cause."""

    multixact_samples: Annotated[int, Meta(ge=0, le=65536)] = 4096
    lock_timeout_ms: Annotated[int, Meta(ge=1, le=5000)] = 100
    """All waiting behind locks together, over the whole snapshot."""

    statement_timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 4.0
    open_seconds: Annotated[float, Meta(gt=0, le=OPEN_SECONDS)] = 4.8
    """The deadline of the picture's transaction; what is not read by then is `timeout`."""


QUICK = Options(
    sample_seconds=0.0, wait_samples_per_second=1.0, measure_megabytes=0, multixact_samples=0
)
"""The picture alone: nothing sampled and nothing measured."""

TRIAL = Options(sample_seconds=0.0, wait_samples_per_second=1.0, multixact_samples=0)
"""The picture of a sandbox: its objects measured, nothing sampled."""
