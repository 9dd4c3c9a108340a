"""What uninstalling takes away, and what forbids it.

Owns telling ours from theirs. Must never drop what no component claims.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from howdah.errors import BadInput, Cannot
from howdah.schema.decide import filled
from howdah.schema.model import LEDGER, Applied, Loss, Object, Plan, Removal, Step


def plan_uninstall(
    applied: Applied, names: Sequence[str], objects: Sequence[Object], dependents: Sequence[str]
) -> Removal:
    """Take away these components, or everything with the schema itself if no names are given.

    `BadInput` for a name that is not installed, `Cannot` for one that others need and for an object
    in the schema that is nobody's.
    """
    for name in names:
        if name not in applied or name == LEDGER.name:
            others = ", ".join(sorted(applied.keys() - {LEDGER.name}))
            raise BadInput(f"{name} is not installed here", hint=f"one of: {others}")
    if dependents:
        raise Cannot(
            f"{', '.join(names)} cannot go: {', '.join(dependents)} would not work without",
            hint=f"howdah uninstall --with {' --with '.join((*names, *dependents))}",
        )
    claims = {each: _claimed(each, applied) for each in objects}
    if names:
        ours = tuple(each for each, claim in claims.items() if claim in names)
        forget = filled("forget", components=sql.Literal(list(names)))
        after = Step(what="out of the ledger", sql=forget)
        return Removal(components=tuple(names), objects=ours, after=(after,))
    if strangers := [each for each, claim in claims.items() if claim is None]:
        raise Cannot(
            f"schema howdah holds what is not Howdah's: {strangers[0]}",
            detail="" if len(strangers) == 1 else f"All: {', '.join(map(str, strangers))}.",
            hint=f"move it out of the schema or drop it: {strangers[0].statement}",
        )
    return Removal(
        components=tuple(sorted(applied)),
        objects=tuple(claims),
        after=(Step(what="the schema", sql=filled("drop_schema")),),
    )


def _claimed(thing: Object, applied: Applied) -> str | None:
    """The component that made it, by script, or while running: then it is named after it."""
    if thing.component is not None:
        return thing.component
    prefix = (thing.name or "").partition("_")[0]
    made_running = thing.of_ours and prefix != thing.name and prefix in applied
    return prefix if made_running and prefix != LEDGER.name else None


def tables(removal: Removal, *, lockable: bool = False) -> list[str]:
    """The bare names of the tables whose rows are somebody's: the ledger's rows are our own.

    The schema's owner may drop any table in it, but can neither read nor lock one of a superuser;
    `lockable` leaves those out.
    """
    return [
        each.name
        for each in removal.objects
        if each.is_table and each.name and each.component != LEDGER.name
        if each.may_lock or not lockable
    ]


def worker_names(removal: Removal) -> list[str]:
    """Patterns of the application names of processes that use these components."""
    if LEDGER.name in removal.components:
        return ["howdah %"]
    return [f"howdah {name}%" for name in removal.components]


def losses(workers: Sequence[tuple[int, str]], data: Sequence[Loss]) -> list[str]:
    """What a person should know before agreeing, in sentences."""
    said = []
    if workers:
        listed = ", ".join(f"{name} (pid {pid})" for pid, name in workers)
        said.append(f"still connected: {listed}")
    if data:
        said.append(f"tables with rows: {', '.join(map(str, data))}")
    return said


def refuse_loss(database: str, said: Sequence[str]) -> None:
    """Raise if there is anything to be said and nobody agreed to it."""
    if said:
        raise Cannot(
            f"uninstalling from {database} would hurt",
            detail="\n".join(said),
            hint="stop the workers and keep what you need, then the same with --yes",
        )


def described(removal: Removal, acting: Sequence[Step], said: Sequence[str]) -> Plan:
    """The removal as a plan, for those who want to read it."""
    drops = (Step(what=str(each), sql=each.statement) for each in removal.objects)
    changed = (f"{name} removed" for name in removal.components if name != LEDGER.name)
    whole = LEDGER.name in removal.components
    roles = "the roles howdah_* stay: other databases of this cluster may use them"
    return Plan(
        steps=(*acting, *drops, *removal.after),
        changed=(*changed, *(["schema howdah removed"] if whole else [])),
        notes=(*said, *([roles] if whole else [])),
    )
