"""The corpus, loaded: one database per schema and server, one diagnosis of each, for all tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import msgspec
import psycopg
import pytest

from howdah.check.ask import answers
from howdah.check.evaluate import evaluate, questions
from howdah.check.model import Result
from howdah.check.rules import all_rules
from howdah.postgres import Server
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.snapshot import collect
from howdah.snapshot.options import Options
from howdah.snapshot.picture import Picture
from howdah.testing import Database
from tests.corpus.schemas import CORPUS, FETCH, Schema


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """One schema on one server, and what every rule says of it."""

    schema: Schema
    database: Database
    picture: Picture
    results: Mapping[str, Result]

    def reported(self, rule: str) -> set[str]:
        """The objects that a rule reports, without the schema `public`."""
        return {each.object.removeprefix("public.") for each in self.results[rule].findings}


@pytest.fixture(scope="session")
def load(server: Server) -> Iterator[Callable[[Schema], Loaded]]:
    """Load and diagnose each schema once; everything is dropped at the end."""
    loaded: dict[str, Loaded] = {}
    with contextlib.ExitStack() as databases:

        def once(schema: Schema) -> Loaded:
            if schema.name not in loaded:
                database = Database(server)
                databases.callback(database.drop)
                loaded[schema.name] = _load(schema, database)
            return loaded[schema.name]

        yield once


def _load(schema: Schema, database: Database) -> Loaded:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pgstattuple")
        for script in schema.scripts:
            connection.execute(script.read_bytes())
        connection.execute("ANALYZE")
    picture, results = diagnose(database)
    return Loaded(schema=schema, database=database, picture=picture, results=results)


def diagnose(database: Database) -> tuple[Picture, Mapping[str, Result]]:
    """Every rule's verdict, the planner's answers included; no remedy is tried."""
    picture = Picture(collect.take(database.dsn, Options(sample_seconds=0.0)))
    rules = all_rules()
    with Sandbox.from_schema(dump_schema(database.dsn), server=database.server) as sandbox:
        said = answers(sandbox, questions(picture, rules))
    return picture, {result.rule: result for result in evaluate(picture, rules, said)}


@pytest.fixture(params=CORPUS, ids=lambda schema: schema.name)
def real(request: pytest.FixtureRequest, load: Callable[[Schema], Loaded]) -> Loaded:
    """Each schema of the corpus; skipped by name where it was not fetched."""
    schema: Schema = request.param
    if not schema.is_present:
        pytest.skip(f"the schema {schema.name} is not here. Try: {FETCH} {schema.name}")
    return load(schema)


@pytest.fixture
def connection(real: Loaded) -> Iterator[psycopg.Connection]:
    """A session on the schema under test."""
    with real.database.connect() as session:
        yield session
