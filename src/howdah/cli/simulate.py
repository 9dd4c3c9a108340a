"""`howdah simulate`: run a model, see where it tips, and what keeps it down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from howdah.cli import simulate_options as options
from howdah.cli.target import progress

if TYPE_CHECKING:
    from howdah.report.simulation import Page

app = typer.Typer(
    help="See the overload before it happens: run a model, search what tips it, name the loop.",
    epilog="Example: howdah simulate scenarios",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def simulate() -> None:
    """See the overload before it happens."""


@app.command(epilog="Example: howdah simulate run scenario:A1 --until 3000 --seed 7")
def run(
    model: options.MODEL,
    *,
    settings: options.SET = None,
    until: options.UNTIL = None,
    seed: options.SEED = 1,
    engine: options.ENGINE = None,
    save: Annotated[Path | None, typer.Option(help="Keep the run as a replay file.")] = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """Run a model once: what came, what was answered, and what the formulas say beside it."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    asked = answers.Asked(model=model, settings=options.pairs(settings, "--set"))
    with _telling() as tell:
        answer = answers.run(asked, until=until, seed=seed, engine=engine, save=save, tell=tell)
    _say(answer, as_json, html)


@app.command(epilog="Example: howdah simulate sweep scenario:A1 --over rate=0.2:0.4:3 --replicas 4")
def sweep(
    model: options.MODEL,
    *,
    over: Annotated[
        list[str],
        typer.Option(help="A knob and its values: web.rate=0.2:0.8:7; repeat for a grid."),
    ],
    settings: options.SET = None,
    replicas: options.REPLICAS = 64,
    seed: options.SEED = 1,
    workers: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Processes; all cores without it.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Run on the Ray cluster at this address; `local` starts one.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Keep finished points here; run again, it goes on.")
    ] = None,
    engine: options.ENGINE = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """Judge a model at every point of a grid of settings; on all cores, resumable."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    grid = {
        knob: options.numbers(text, "--over")
        for knob, text in options.pairs(over, "--over").items()
    }
    asked = answers.Asked(model=model, settings=options.pairs(settings, "--set"))
    budget = answers.budget(replicas, seed, 1, engine)
    with _telling() as tell:
        answer = answers.sweep(asked, grid, budget, workers, ray, file, tell)
    _say(answer, as_json, html)


@app.command(
    epilog="Example: howdah simulate trigger scenario:A1 --over triggers.burst.length=1:200 "
    "--replicas 8"
)
def trigger(
    model: options.MODEL,
    *,
    over: Annotated[
        list[str],
        typer.Option(
            help="A knob and its range: triggers.burst.length=1:200; repeat for a frontier."
        ),
    ],
    settings: options.SET = None,
    share: Annotated[float, typer.Option(min=0.01, max=0.99, help="Of the runs, that tip.")] = 0.5,
    replicas: options.REPLICAS = 64,
    seed: options.SEED = 1,
    threads: options.THREADS = None,
    engine: options.ENGINE = None,
    replay: Annotated[Path | None, typer.Option(help="Keep the certificate's run here.")] = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """Search the smallest disturbance that tips a model; a replay file certifies it."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    ranges = {
        knob: options.between(text, "--over")
        for knob, text in options.pairs(over, "--over").items()
    }
    asked = answers.Asked(model=model, settings=options.pairs(settings, "--set"))
    budget = answers.budget(replicas, seed, threads, engine)
    with _telling() as tell:
        answer = answers.trigger(asked, ranges, share, budget, replay, tell)
    _say(answer, as_json, html)


@app.command(
    epilog="Example: howdah simulate hysteresis scenario:A1 --loads 0.5,1,1.5 --replicas 2"
)
def hysteresis(
    model: options.MODEL,
    *,
    loads: Annotated[
        str, typer.Option(help="Factors on the clients' rates, rising: 0.2:1.6:8.")
    ] = "0.2:1.6:8",
    hold: Annotated[
        float | None, typer.Option(min=0, help="Seconds at each load; the horizon without it.")
    ] = None,
    settings: options.SET = None,
    replicas: options.REPLICAS = 8,
    seed: options.SEED = 1,
    threads: options.THREADS = None,
    engine: options.ENGINE = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """Raise the load and lower it again: where it falls, and where it comes back."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    asked = answers.Asked(model=model, settings=options.pairs(settings, "--set"))
    budget = answers.budget(replicas, seed, threads, engine)
    with _telling() as tell:
        answer = answers.hysteresis(asked, options.numbers(loads, "--loads"), hold, budget, tell)
    _say(answer, as_json, html)


@app.command(
    epilog="Example: howdah simulate compare scenario:A1 --design lifo:db.discipline=lifo "
    "--replicas 4"
)
def compare(
    model: options.MODEL,
    *,
    design: Annotated[
        list[str],
        typer.Option(
            help="A name and what it changes: lifo:db.discipline=lifo,db.capacity=50; or a name "
            "and a model file: new:new.toml; repeat for more."
        ),
    ],
    settings: options.SET = None,
    replicas: options.REPLICAS = 64,
    seed: options.SEED = 1,
    threads: options.THREADS = None,
    engine: options.ENGINE = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """The model beside other designs of it: the same triggers in the same worlds."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    asked = answers.Asked(model=model, settings=options.pairs(settings, "--set"))
    budget = answers.budget(replicas, seed, threads, engine)
    with _telling() as tell:
        answer = answers.compare(asked, design, budget, tell)
    _say(answer, as_json, html)


@app.command(epilog="Example: howdah simulate attribute scenario:A1 --replicas 4 --moments 2")
def attribute(
    model: options.MODEL,
    *,
    moments: Annotated[int, typer.Option(min=1, max=1000, help="Stuck runs to cut from.")] = 8,
    patience: Annotated[
        float | None, typer.Option(min=0, help="Seconds that each cut is watched.")
    ] = None,
    settings: options.SET = None,
    replicas: options.REPLICAS = 16,
    seed: options.SEED = 1,
    threads: options.THREADS = None,
    engine: options.ENGINE = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """Cut one feedback at a time from the stuck state: which cut recovers names the loop."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    asked = answers.Asked(model=model, settings=options.pairs(settings, "--set"))
    budget = answers.budget(replicas, seed, threads, engine)
    with _telling() as tell:
        answer = answers.attribute(asked, moments, patience, budget, tell)
    _say(answer, as_json, html)


@app.command(epilog="Example: howdah simulate replay storm.replay --at 2050")
def replay(
    file: Annotated[Path, typer.Argument(help="A replay file, of `run --save` or `trigger`.")],
    *,
    at: Annotated[float | None, typer.Option(min=0, help="Show everything at this second.")] = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """Run a replay file again, prove that it is the same to the bit, and look at any moment."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    with _telling() as tell:
        answer = answers.replay(file, at, tell)
    _say(answer, as_json, html)


@app.command(epilog="Example: howdah simulate scenarios A1")
def scenarios(
    scenario: Annotated[
        str, typer.Argument(help="Check this one, or `all`; without it they are listed.")
    ] = "",
    *,
    scale: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    replicas: Annotated[int | None, typer.Option(min=1, help="Runs of each figure.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the scenario's model as a file and end.")
    ] = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """List the built-in scenarios, or run them and put measured beside published figures."""
    with options.simulator():
        from howdah.cli import simulate_answers as answers
    if export is not None:
        answers.export(scenario, export)
        return
    with _telling() as tell:
        answer = answers.scenarios(scenario, scale, replicas, tell)
    _say(answer, as_json, html)
    if not answer.ok:
        raise typer.Exit(1)


@app.command(epilog="Example: howdah simulate calibrate --rate 2000 --connections 100 --timeout 1")
def calibrate(
    *,
    recording: Annotated[
        Path | None, typer.Option(help="Fit to what `howdah watch --record` wrote under load.")
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(help="A pgbench script for a server of our own; a select without it."),
    ] = None,
    setup: Annotated[
        Path | None, typer.Option(help="SQL that makes the script's tables; pgbench's without it.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, max=600, help="At each concurrency.")] = 4,
    up_to: Annotated[int, typer.Option(min=4, max=512, help="Clients of the last step.")] = 64,
    cores: Annotated[
        float | None, typer.Option(min=0.1, help="Assume so many, where the knee was not reached.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Transactions a second now: asks where it tips.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, help="That the pool allows at once.")] = 100,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds until a client gives up.")] = 1.0,
    retries: Annotated[int, typer.Option(min=0, help="Of a client that gave up.")] = 3,
    burst: Annotated[float, typer.Option(min=1, help="Times the rate: the disturbance.")] = 3.0,
    export: Annotated[Path | None, typer.Option(help="Write the fitted model as a file.")] = None,
    as_json: options.JSON = False,
    html: options.HTML = None,
) -> None:
    """Fit a model to a real database, and say at what load and burst it would tip.

    Without a recording it climbs a ladder of concurrencies on a server of our own.
    """
    with options.simulator():
        from howdah.cli import simulate_calibration as calibration
    usage = calibration.usage(rate, connections, timeout, retries, burst)
    with _telling() as tell:
        measured = calibration.measured(recording, script, setup, (seconds, up_to), tell)
        answer = calibration.answer(measured, usage, cores, export, tell)
    _say(answer, as_json, html)


@contextmanager
def _telling() -> Iterator[Callable[[str, float], None]]:
    """Progress on the error stream, with the share that is done."""
    with progress() as tell:
        yield lambda what, share: tell(f"{what}: {share:.0%}" if share else what)


def _say(answer: Any, as_json: bool, html: Path | None) -> None:
    """The answer on the output, as JSON or for people; the page into its file."""
    from howdah.report import simulation

    page: Page = answer.page
    if html is not None:
        html.write_text(simulation.page(page), encoding="utf-8")
    if as_json:
        typer.echo(answer.json(), nl=False)
    else:
        simulation.show(page, Console(file=sys.stdout, highlight=False))
