"""The command line: `howdah <feature> <verb>`.

Owns words, options and exit codes: 0 fine, 1 findings or a failed verdict, 2 could not run. Must
never decide anything itself: each command calls one function of a feature and renders its result.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import psycopg
import typer

from howdah import __version__
from howdah.cli import (
    bench,
    check,
    demo,
    doctor,
    install,
    log,
    outbox,
    queue,
    sandbox,
    simulate,
    snapshot,
    watch,
)
from howdah.errors import HowdahError, from_database

COULD_NOT_RUN = 2

app = typer.Typer(
    name="howdah",
    help="One PostgreSQL, many workloads, with proof.\n\n"
    "Point it at a database: `howdah check postgresql://localhost/shop`. A DSN may also be left "
    "out: then PGHOST, PGSERVICE and the other libpq variables apply.",
    epilog="Example: howdah demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(check.app, name="check")
app.add_typer(snapshot.app, name="snapshot")
app.command(name="doctor", epilog=doctor.EXAMPLE)(doctor.doctor)
app.command(name="watch", epilog=watch.EXAMPLE)(watch.watch)
app.command(name="demo", epilog=demo.EXAMPLE)(demo.demo)
app.command(name="install", epilog=install.INSTALL_EXAMPLE)(install.install)
app.command(name="upgrade", epilog=install.UPGRADE_EXAMPLE)(install.upgrade)
app.command(name="uninstall", epilog=install.UNINSTALL_EXAMPLE)(install.uninstall)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(bench.app, name="bench")
app.add_typer(log.app, name="log")
app.add_typer(outbox.app, name="outbox")
app.add_typer(queue.app, name="queue")
app.add_typer(simulate.app, name="simulate")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"howdah {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and end.")
    ] = False,
) -> None:
    """One PostgreSQL, many workloads, with proof."""


def main() -> None:
    """Run the command line; every error ends in words and an exit code, never in a traceback."""
    try:
        app()
    except HowdahError as error:
        _complain(str(error))
    except BrokenPipeError:  # `howdah check | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except psycopg.Error as error:
        if os.environ.get("HOWDAH_DEBUG"):
            raise
        _complain(str(from_database(error)))
    except Exception as error:  # the last resort: a bug must not end in a traceback
        if os.environ.get("HOWDAH_DEBUG"):
            raise
        _complain(
            f"this is a bug in howdah {__version__}: {type(error).__name__}: {error}\n"
            "Try: HOWDAH_DEBUG=1 with the same command shows where it happened"
        )


def _complain(text: str) -> NoReturn:
    typer.echo(f"howdah: {text}", err=True)
    sys.exit(COULD_NOT_RUN)
