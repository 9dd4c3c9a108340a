"""Who can take part: the contenders found in the folder of that name.

Owns the finding and the choosing by name. A contender is a module with `CONTENDERS`; adding one
touches no other file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from howdah.bench import contenders
from howdah.bench.contender import Contender
from howdah.bench.model import Bench
from howdah.config import suggestion
from howdah.errors import BadInput

OURS = "howdah"


def everyone() -> tuple[Contender, ...]:
    """Every contender; one name may stand for several, one for each bench."""
    modules = sorted(each.name for each in pkgutil.iter_modules(contenders.__path__))
    return tuple(
        contender
        for module in modules
        for contender in importlib.import_module(f"{contenders.__name__}.{module}").CONTENDERS
    )


def of(bench: Bench) -> dict[str, Contender]:
    """The contenders that know this bench, by name."""
    return {each.name: each for each in everyone() if bench in each.benches}


def chosen(bench: Bench, against: Sequence[str]) -> tuple[Contender, ...]:
    """Ours first, then those asked for, or all that know this bench.

    `BadInput` for a name that nobody has, or that does not take part in this bench.
    """
    able = of(bench)
    for name in against:
        if name not in able:
            raise BadInput(
                f"no contender {name!r} in the {bench} bench", hint=suggestion(name, able)
            )
    wanted = list(dict.fromkeys(against)) if against else sorted(able)
    ours = [name for name in able if is_ours(name)]
    return tuple(able[name] for name in dict.fromkeys([*ours, *wanted]))


def is_ours(name: str) -> bool:
    """Whether the contender is Howdah itself."""
    return name == OURS
