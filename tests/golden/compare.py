"""Compare a text with the golden file of that name; HOWDAH_UPDATE_GOLDEN=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "report"


def same_as_golden(name: str, text: str) -> None:
    """Fail with a difference where the text is not the file's; lines end without blanks."""
    path = FOLDER / name
    wanted = "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"
    if os.environ.get("HOWDAH_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted)
    assert path.exists(), f"no golden file {name}; HOWDAH_UPDATE_GOLDEN=1 writes it"
    assert wanted == path.read_text(), f"{name} changed; HOWDAH_UPDATE_GOLDEN=1 accepts it"
