"""Client libraries of brokers, which are extras: imported only by the sink that needs them.

Owns the error for a missing one. Must never import a client library itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from howdah.errors import Unsupported


@contextmanager
def needs(extra: str, package: str) -> Iterator[None]:
    """Around the imports of a client library: `with needs("nats", "nats-py"): import nats`.

    Raises `Unsupported`, which names the line to install it, where it is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"this sink needs {package}, which is not installed",
            detail=f"no module named {error.name!r}",
            hint=f'pip install "howdah[{extra}]"',
        ) from error
