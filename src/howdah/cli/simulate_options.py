"""The words and options that the verbs of `howdah simulate` share.

Owns them, and the hint for who has no numpy. Must never import the simulator itself: the command
line starts without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from howdah.errors import BadInput, Unsupported

MODEL = Annotated[
    str,
    typer.Argument(
        help="A model file (.toml, .yaml, .json), or `scenario:ID` for a built-in one.",
        show_default=False,
    ),
]
SET = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a value of the model: web.rate=0.8; repeat for more."),
]
SEED = Annotated[int, typer.Option(min=0, help="The first seed; the same seed is the same run.")]
UNTIL = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds of the model's time; the model's horizon without it."),
]
REPLICAS = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="Runs of each verdict, each with its own seed.")
]
THREADS = Annotated[int | None, typer.Option(min=1, max=512, help="All cores without it.")]
ENGINE = Annotated[
    str | None,
    typer.Option(help="kernel or reference; the kernel where it can run the model without it."),
]
JSON = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
HTML = Annotated[
    Path | None, typer.Option("--html", help="Write the answer with its plots as one page.")
]


@contextmanager
def simulator() -> Iterator[None]:
    """Imports of the simulator within; who lacks its packages is told what to type."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("numpy", "numba", "yaml"):
            raise Unsupported(
                f"the simulator needs {error.name}", hint="pip install 'howdah[simulate]'"
            ) from error
        raise


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """`name=text` of a repeated option."""
    found = {}
    for each in given or ():
        name, equals, text = each.partition("=")
        if not equals or not name or not text:
            raise BadInput(f"{option} {each!r} is no name=value", hint=f"{option} web.rate=0.8")
        found[name.strip()] = text.strip()
    return found


def numbers(text: str, option: str) -> tuple[float, ...]:
    """Numbers between commas, or `low:high:count` for equal steps.

    >>> numbers("0.1:0.5:5", "--over")
    (0.1, 0.2, 0.3, 0.4, 0.5)
    """
    try:
        if text.count(":") == 2:
            low, high, count = text.split(":")
            steps = int(count)
            if steps < 2:
                raise ValueError
            width = (float(high) - float(low)) / (steps - 1)
            return tuple(round(float(low) + place * width, 12) for place in range(steps))
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise BadInput(
            f"{option}: {text!r} is no list of numbers", hint="0.2,0.4,0.6 or 0.1:0.9:9"
        ) from None


def between(text: str, option: str) -> tuple[float, float]:
    """`low:high`."""
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(low), float(high)
    except ValueError:
        raise BadInput(f"{option}: {text!r} is no range", hint="low:high, such as 1:200") from None
