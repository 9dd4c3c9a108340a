"""What a relay says while it runs: one line per event, as text or as JSON.

Owns the logger and the two forms. Must never say a secret, nor a payload.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

LOGGER = logging.getLogger("howdah.outbox.relay")


def tell(level: int, what: str, **fields: Any) -> None:
    """One line: what happened, and the facts."""
    if LOGGER.isEnabledFor(level):
        said = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
        extra = {"what": what, "facts": fields}
        LOGGER.log(level, "%s %s" if said else "%s%s", what, said, extra=extra)


class JsonLines(logging.Formatter):
    """Each record as one JSON object: at (RFC 3339, UTC), level, logger, what, and the facts."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "what": getattr(record, "what", None) or record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if facts:
            line |= {name: value for name, value in facts.items() if value is not None}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()
