"""What has to be done, from what is there and what is wanted.

Owns every refusal and every plan. Must never touch a database: SQL is composed here, not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from howdah import __version__, query
from howdah.errors import Cannot, Denied, HowdahError, Unsupported
from howdah.schema.model import (
    LEDGER,
    OWNER_ROLE,
    ROLES,
    Applied,
    Component,
    Here,
    Migration,
    Phase,
    Plan,
    Step,
)
from howdah.schema.scripts import scripts

_QUERIES = query.load("howdah.schema", "sql/store.sql")


def with_requirements(components: Sequence[Component]) -> tuple[Component, ...]:
    """The components and all that they require, each once, requirements first, the ledger first.

    `ValueError` if two different components have one name.
    """
    ordered: dict[str, Component] = {}

    def add(component: Component) -> None:
        for required in component.requires:
            add(required)
        if ordered.setdefault(component.name, component) != component:
            raise ValueError(f"two different components are named {component.name!r}")

    add(LEDGER)
    for component in components:
        add(component)
    return tuple(ordered.values())


def refuse(here: Here) -> None:
    """Raise if nothing can be changed here, whatever is wanted."""
    if here.standby:
        raise Cannot(
            f"{here.database} is on a standby, where nothing can be changed",
            hint="connect to the primary; the standby will follow",
        )
    if here.read_only:
        raise Cannot(
            f"transactions in {here.database} are read-only for {here.user}",
            detail="default_transaction_read_only is on.",
            hint="connect with PGOPTIONS='-c default_transaction_read_only=off'",
        )
    if here.schema_owner is None:
        return
    if here.occupied and not here.ledger:
        raise Cannot(
            f"{here.database} has a schema howdah that is not Howdah's",
            detail="It is not empty and has no table howdah.installed.",
            hint="rename that schema, or choose another database",
        )
    if not here.may_be_schema_owner:
        raise Denied(
            f"schema howdah of {here.database} belongs to {here.schema_owner}",
            detail=f"{here.user} is no member of {here.schema_owner}.",
            hint=f"connect as a member: GRANT {_quoted(here.schema_owner)} TO {_quoted(here.user)}",
        )


def skew(component: Component, applied: Applied) -> HowdahError | None:
    """Why this library cannot run on that database; None if it can.

    It needs every expansion that it knows, and it cannot stand a contraction that it does not know.
    """
    versions = applied.get(component.name, {})
    if not versions:
        return Unsupported(
            f"{component.name} is not installed in this database",
            hint=f"howdah install --with {component.name}",
        )
    newer = [v for v, phase in versions.items() if v > component.version]
    if any(versions[v] is Phase.CONTRACT for v in newer):
        return Unsupported(
            f"the database has {component.name} {max(newer)}, and this library only knows"
            f" {component.version}",
            detail="What this library needs has been removed from the database.",
            hint=f"pip install --upgrade howdah (this is {__version__})",
        )
    missing = sorted(scripts(component).needed - versions.keys())
    if missing:
        return Unsupported(
            f"the database has {component.name} {max(versions)}, and this library needs"
            f" {max(missing)}",
            hint="howdah upgrade",
        )
    return None


def waiting(component: Component, applied: Applied) -> tuple[Migration, ...]:
    """The contractions that this library knows and the database has not had."""
    versions = applied.get(component.name, {})
    return tuple(
        each
        for each in scripts(component).migrations
        if versions and each.version not in versions and each.phase is Phase.CONTRACT
    )


def plan_install(here: Here, applied: Applied, components: Sequence[Component]) -> Plan:
    """Put in what is missing. A component that is there, but too old or too new, is refused."""
    refuse(here)
    wanted = with_requirements(components)
    missing = [each for each in wanted if each.name not in applied]
    _require_ledger_rows(here, applied)
    for each in wanted:
        if each.name in applied and (why := skew(each, applied)):
            raise why
    steps = [step for each in missing for step in _whole(each)]
    changed = [f"{each.name} {each.version} installed" for each in missing]
    return _framed(here, wanted, steps, changed)


def plan_upgrade(
    here: Here, applied: Applied, components: Sequence[Component], *, contract: bool
) -> Plan:
    """Bring what is installed up to this library: expansions, and with `contract` contractions too.

    In the order of the versions, but an expansion does not wait for an earlier contraction, so that
    workers of any older version can be upgraded beside a database that is upgraded first.
    """
    refuse(here)
    _require_ledger_rows(here, applied)
    installed = [each for each in components if each.name in applied]
    if not installed:
        names = ", ".join(each.name for each in components) or "nothing"
        raise Unsupported(
            f"none of these is installed in {here.database}: {names}", hint="howdah install"
        )
    steps: list[Step] = []
    changed: list[str] = []
    notes: list[str] = []
    for each in with_requirements(installed):
        if each.name not in applied:
            steps += _whole(each)
            changed.append(f"{each.name} {each.version} installed")
            continue
        if (why := skew(each, applied)) and max(applied[each.name]) > each.version:
            raise why
        for migration in _pending(each, applied, contract=contract):
            what = f"{each.name} {migration.version}: {migration.what}"
            steps += (
                Step(what=what, sql=migration.text),
                _record(each, [migration], migration.what),
            )
            changed.append(f"{each.name} {migration.version} ({migration.phase}) applied")
        notes += () if contract else _waits(each, applied)
    return _framed(here, with_requirements(installed), steps, changed, notes)


def _pending(component: Component, applied: Applied, *, contract: bool) -> Iterator[Migration]:
    for migration in scripts(component).migrations:
        expands = migration.phase is Phase.EXPAND
        if migration.version not in applied[component.name] and (expands or contract):
            yield migration


def _waits(component: Component, applied: Applied) -> Iterator[str]:
    for migration in waiting(component, applied):
        yield (
            f"{component.name} {migration.version} ({migration.what}) waits until every worker runs"
            f" howdah {__version__} or later; then: howdah upgrade --contract"
        )


def _whole(component: Component) -> Iterator[Step]:
    own = scripts(component)
    what = f"{component.name} {component.version}: schema.sql"
    yield Step(what=what, sql=own.whole)
    yield _record(component, own.migrations, "schema.sql")


def _record(component: Component, migrations: Sequence[Migration], what: str) -> Step:
    last = migrations[-1].version
    return Step(
        what=f"{component.name} {last}: into the ledger",
        sql=filled(
            "record",
            component=sql.Literal(component.name),
            versions=sql.Literal([each.version for each in migrations]),
            phases=sql.Literal([each.phase.value for each in migrations]),
            what=sql.Literal(what),
            requires=sql.Literal([each.name for each in component.requires]),
            last=sql.Literal(last),
            library=sql.Literal(__version__),
        ),
    )


def _framed(
    here: Here,
    components: Sequence[Component],
    steps: Sequence[Step],
    changed: Sequence[str],
    notes: Sequence[str] = (),
) -> Plan:
    """The steps with what comes before them (roles, schema, owner) and after them (rights)."""
    roles = list(_roles(here))
    rights = list(_rights(here, components)) if steps or not here.granted else []
    if not (roles or steps or rights):
        return Plan(notes=tuple(notes))
    closing = Step(what="new functions are not for everybody", sql=filled("close_to_public"))
    said = [roles[0].what] if roles else []
    return Plan(
        steps=(*roles, *_ownership(here), *steps, *([closing] if steps else []), *rights),
        changed=(*said, *changed, *(["rights given to the roles"] if rights else [])),
        notes=(*notes, *_advice(here)),
    )


def _rights(here: Here, components: Sequence[Component]) -> Iterator[Step]:
    """Run again and again: a script of grants may be repeated."""
    if _have_roles(here):
        for each in components:
            if text := scripts(each).grants:
                yield Step(what=f"{each.name}: grants.sql", sql=text)


def _roles(here: Here) -> Iterator[Step]:
    missing = [name for name in ROLES if name not in here.roles]
    if not missing or not here.may_create_roles:
        return
    names = sql.Literal(missing)
    yield Step(what=f"roles {', '.join(missing)} made", sql=filled("create_roles", names=names))
    if OWNER_ROLE in missing and here.schema_owner is None and not here.superuser:
        owner = sql.Identifier(OWNER_ROLE)
        yield Step(what=f"become {OWNER_ROLE}", sql=filled("join_owner", owner=owner))


def _ownership(here: Here) -> Iterator[Step]:
    """Create the schema if need be, and act as its owner."""
    owner = here.schema_owner
    if owner is None:
        if not here.may_create_schema:
            raise Denied(
                f"{here.user} may not create a schema in {here.database}",
                hint="as the database's owner: "
                f"GRANT CREATE ON DATABASE {_quoted(here.database)} TO {_quoted(here.user)}; or "
                f"CREATE SCHEMA howdah AUTHORIZATION {_quoted(here.user)}",
            )
        made = OWNER_ROLE not in here.roles and here.may_create_roles
        owner = OWNER_ROLE if made or here.may_be_owner_role else here.user
        create = filled("create_schema", owner=sql.Identifier(owner))
        yield Step(what=f"schema howdah of {owner}", sql=create)
    yield from acting(here, owner)


def acting(here: Here, owner: str | None) -> Iterator[Step]:
    """For the rest of the transaction, be the schema's owner."""
    if owner not in (None, here.user):
        become = filled("become", owner=sql.Identifier(owner))
        yield Step(what=f"act as {owner}", sql=become)


def _have_roles(here: Here) -> bool:
    """Whether all roles exist once the first steps have run."""
    return here.may_create_roles or set(ROLES) <= set(here.roles)


def _advice(here: Here) -> Iterator[str]:
    if _have_roles(here):
        return
    missing = (name for name in ROLES if name not in here.roles)
    asked = [filled("create_role", name=sql.Identifier(name)) for name in missing]
    yield "\n".join(
        [
            f"everything works as {here.user}. For least privilege a DBA may run:",
            *(f"  {statement};" for statement in asked),
            "and then: howdah upgrade, which gives the roles their rights",
        ]
    )


def _require_ledger_rows(here: Here, applied: Applied) -> None:
    if here.ledger and not applied:
        raise Cannot(
            f"howdah.installed in {here.database} is empty",
            detail="The schema was probably restored without its rows: its versions are unknown.",
            hint="restore the rows of schema howdah too, or drop the schema and install again",
        )


def filled(block: str, **parts: sql.Composable) -> str:
    """The text of a block of this room with its braces filled in."""
    return sql.SQL(_QUERIES.text(block)).format(**parts).as_string(None)


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
