"""The answers of `howdah simulate`: each calls one function of the simulator.

Owns finding the model that a command means, and the JSON around an answer (version 1). Must never
print: the command does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from howdah.errors import BadInput
from howdah.report.simulated import designs, runs, tipping
from howdah.report.simulated import scenarios as scenes
from howdah.report.simulation import Page
from howdah.simulate import files, paths, search
from howdah.simulate import scenarios as built_in
from howdah.simulate import sweep as sweeps
from howdah.simulate.model import Model
from howdah.simulate.run import Run
from howdah.simulate.search import Budget
from howdah.simulate.validate import validate

VERSION = 1
_BUILT_IN = "scenario:"
Tell = Callable[[str, float], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The model that a command means, and what it changes of it."""

    model: str
    settings: Mapping[str, str]

    def load(self) -> Model:
        """The checked model. Raises `BadInput` or `BadFile` with the place and the reason."""
        model = _found(self.model)
        for path, text in self.settings.items():
            model = paths.replace(model, path, _value(text))
        validate(model)
        return model


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer for people and for programs. `ok` is false where a check failed."""

    verb: str
    model: str
    result: Any
    page: Page
    ok: bool = True

    def json(self) -> str:
        """The JSON contract: `{version, verb, model, result}`, indented."""
        content = {
            "version": VERSION,
            "verb": self.verb,
            "model": self.model,
            "result": self.result,
        }
        return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


def budget(replicas: int, seed: int, threads: int | None, engine: str | None) -> Budget:
    """What a search may spend."""
    cores = threads or os.cpu_count() or 1
    return Budget(replicas=replicas, seed=seed, threads=cores, engine=engine)


def run(
    asked: Asked,
    *,
    until: float | None,
    seed: int,
    engine: str | None,
    save: Path | None,
    tell: Tell,
) -> Answer:
    """One run."""
    model = asked.load()
    tell("running", 0.0)
    done = Run.start(model, seed=seed, engine=engine)
    done.until(until if until is not None else model.horizon)
    if save is not None:
        done.save(save)
    told = runs.told(done)
    return Answer(verb="run", model=model.name, result=told, page=runs.run(done, told))


def replay(file: Path, at: float | None, tell: Tell) -> Answer:
    """A run that must be the same to the bit, and one moment of it."""
    tell("running it again", 0.0)
    done = Run.replay(file)
    told = runs.told(done, at=at)
    page = runs.run(done, told, again=f"howdah simulate replay {file}")
    return Answer(verb="replay", model=done.model.name, result=told, page=page)


def sweep(
    asked: Asked,
    over: Mapping[str, Sequence[float]],
    budget: Budget,
    workers: int | None,
    ray: str | None,
    file: Path | None,
    tell: Tell,
) -> Answer:
    """A verdict at every point of a grid."""
    grid = sweeps.sweep(
        asked.load(), over, budget=budget, workers=workers, ray=ray, file=file, tell=tell
    )
    return Answer(verb="sweep", model=grid.model, result=grid, page=tipping.sweep(grid))


def trigger(
    asked: Asked,
    over: Mapping[str, tuple[float, float]],
    share: float,
    budget: Budget,
    replay: Path | None,
    tell: Tell,
) -> Answer:
    """The smallest disturbance that tips it."""
    model = asked.load()
    found = search.find_minimal_trigger(
        model, over=over, p=share, budget=budget, replay=replay, progress=tell
    )
    page = tipping.trigger(model.name, found)
    return Answer(verb="trigger", model=model.name, result=found, page=page)


def hysteresis(
    asked: Asked, loads: Sequence[float], hold: float | None, budget: Budget, tell: Tell
) -> Answer:
    """The load up and down again."""
    model = asked.load()
    found = search.hysteresis(model, loads, hold=hold, budget=budget, progress=tell)
    page = tipping.hysteresis(model.name, found)
    return Answer(verb="hysteresis", model=model.name, result=found, page=page)


def compare(asked: Asked, given: Sequence[str], budget: Budget, tell: Tell) -> Answer:
    """The model and other designs of it."""
    model = asked.load()
    others = {name: _design(model, text) for name, text in map(_named, given)}
    found = search.compare({"as it is": model, **others}, budget=budget, progress=tell)
    return Answer(verb="compare", model=model.name, result=found, page=designs.compare(found))


def attribute(
    asked: Asked, moments: int, patience: float | None, budget: Budget, tell: Tell
) -> Answer:
    """What keeps it down."""
    model = asked.load()
    found = search.attribute(
        model, moments=moments, patience=patience, budget=budget, progress=tell
    )
    page = designs.attribution(model, found)
    return Answer(verb="attribute", model=model.name, result=found, page=page)


def scenarios(which: str, scale: str, replicas: int | None, tell: Tell) -> Answer:
    """The list, or measured beside expected."""
    everyone = built_in.all_scenarios()
    if not which:
        listed = [{"id": each.id, "title": each.title, "source": each.source} for each in everyone]
        return Answer(verb="scenarios", model="", result=listed, page=scenes.listed(everyone))
    if scale not in ("quick", "full"):
        raise BadInput(f"no scale {scale!r}", hint="quick or full")
    wanted = everyone if which == "all" else (built_in.scenario(which),)
    reports = []
    for place, each in enumerate(wanted):
        tell(f"{each.id} {each.title}", place / len(wanted))
        reports.append(each.check(replicas=replicas, scale="full" if scale == "full" else "quick"))
    return Answer(
        verb="scenarios",
        model=which,
        result=[_told(each) for each in reports],
        page=scenes.checked(wanted, reports),
        ok=all(each.ok for each in reports),
    )


def export(which: str, file: Path) -> None:
    """A built-in scenario's model as a file, to change it."""
    files.dump(built_in.scenario(which).model(), file)


def _told(report: built_in.Report) -> dict[str, Any]:
    """A report as data: the measuring functions of its expectations are none."""
    return {
        "id": report.id,
        "scale": report.scale,
        "replicas": report.replicas,
        "figures": [
            {
                "what": each.expectation.what,
                "verdict": each.verdict,
                "measured": each.estimate,
                "expected": each.expectation.value,
                "low": each.expectation.low,
                "high": each.expectation.high,
                "source": each.expectation.source,
                "not_reproduced": each.expectation.not_reproduced,
            }
            for each in report.measured
        ],
    }


def _found(name: str) -> Model:
    if name.startswith(_BUILT_IN):
        return built_in.scenario(name.removeprefix(_BUILT_IN)).model()
    return files.load(Path(name))


def _named(given: str) -> tuple[str, str]:
    name, colon, text = given.partition(":")
    if not colon or not name or not text:
        raise BadInput(
            f"--design {given!r} names no design", hint="--design lifo:db.discipline=lifo"
        )
    return name, text


def _design(model: Model, text: str) -> Model:
    if "=" not in text:
        return _found(text)
    for each in text.split(","):
        path, _, value = each.partition("=")
        model = paths.replace(model, path.strip(), _value(value.strip()))
    validate(model)
    return model


def _value(text: str) -> float | int | str | bool | None:
    """What a text on the command line means: a number, true, false, none, or a word."""
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
