"""The two findings about execution control as pages, rendered from what was measured.

Owns the pages' form. Must never hold a measured figure: those are in the data beside the pages,
written by `onset.py` and `interference.py`.

    python -m howdah.simulate.scenarios.pages docs/simulate
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from jinja2 import StrictUndefined, Template

from howdah.simulate.analytic.fluid import crowding_point
from howdah.simulate.intervals import Estimate, share
from howdah.simulate.scenarios import interference
from howdah.simulate.scenarios.a18_two_probers import END as LAST
from howdah.simulate.scenarios.a18_two_probers import OFFERED
from howdah.simulate.scenarios.a19_admission_control import END, SPIKE
from howdah.simulate.scenarios.execution_control import CORES
from howdah.simulate.scenarios.interference import (
    COPES,
    HARM,
    QUIET,
    Dimension,
    Row,
)
from howdah.simulate.scenarios.onset import DOWN, HIGH, Found, Onset, Share


def written(folder: Path) -> dict[Path, str]:
    """Both pages by their path, from the data in `folder`."""
    onsets = msgspec.json.decode((folder / "two-probers.json").read_bytes(), type=Found)
    rows = interference.load(folder / "admission-control.jsonl")
    again = interference.load(folder / "admission-control-again.jsonl")
    return {
        folder / "two-probers.md": two_probers(onsets),
        folder / "admission-control.md": admission_control(rows, again),
    }


def two_probers(found: Found) -> str:
    """The page of A18."""
    ratios = [(o.crowded[0] * o.crowded[1]) ** 0.5 / o.closed for o in found.onsets]
    return _rendered(
        "two-probers",
        cores=CORES,
        offered=f"{OFFERED:g}",
        n=f"{crowding_point(CORES, 0.01, OFFERED):.0f}",
        down=f"{DOWN:.0%}",
        start=f"{LAST[0]:g}",
        end=f"{LAST[1]:g}",
        least=f"{min(ratios):.1f}",
        largest=f"{max(ratios):.1f}",
        onsets=_lines(_onset(o) for o in sorted(found.onsets, key=lambda o: o.most)),
        runs=found.shares[0].runs,
        shares=_lines(_by_beta(s) for s in found.shares),
    )


def _rendered(name: str, **values: object) -> str:
    source = (Path(__file__).parent / "templates" / f"{name}.md.jinja").read_text()
    page = Template(source, keep_trailing_newline=True, undefined=StrictUndefined)
    return str(page.render(values))


def _lines(rows: Iterable[str]) -> str:
    return "\n".join(rows)


def _onset(o: Onset) -> str:
    return f"| {o.most} | {o.closed:.4f} | {_between(o.crowded)} | {_between(o.burst)} |"


def _between(step: tuple[float, float]) -> str:
    low, high = step
    return f"none up to {HIGH:g}" if low >= high else f"{low:.4f} - {high:.4f}"


def _by_beta(s: Share) -> str:
    n = crowding_point(CORES, s.beta, OFFERED)
    shown = "none" if n == float("inf") else f"{n:.0f}"
    return f"| {s.beta:g} | {shown} | {s.stuck:.2f} | {s.low:.2f} - {s.high:.2f} |"


def admission_control(rows: list[Row], again: list[Row]) -> str:
    """The page of A19."""
    copes = [r for r in rows if r.copes]
    quiet = [r for r in copes if r.quiet]
    others = [r for r in rows if not r.copes]
    harmed, late = sum(r.interferes for r in quiet), sum(r.outlasts for r in quiet)
    helps = sum(r.helps for r in others)
    blind = [r for r in again if not r.point.get("each")]
    confirmed = [r for r in blind if _confirmed(r)]
    indexes = {r.index for r in confirmed}
    knowing = [r for r in again if r.point.get("each") and r.index in indexes]
    return _rendered(
        "admission-control",
        points=len(rows),
        spike=f"{SPIKE:g}",
        end=f"{END:g}",
        copes_at=f"{COPES:.0%}",
        quiet_at=f"{QUIET:.0%}",
        harm_at=f"{HARM:.0%}",
        copes=len(copes),
        copes_share=_share(len(copes), len(rows)),
        quiet=len(quiet),
        quiet_share=_share(len(quiet), len(copes)),
        harmed=harmed,
        harmed_share=_share(harmed, len(quiet)),
        late=late,
        late_share=_share(late, len(quiet)),
        helps=helps,
        helps_share=_share(helps, len(others)),
        dimensions=_by_dimension(quiet),
        again=_lines(_again(again)),
        tried=len(blind),
        confirmed=len(confirmed),
        early=sum(r.harmed for r in confirmed),
        afterwards=sum(r.outlasts for r in confirmed),
        stays=sum(r.lasts is not None and r.lasts.high >= interference.NEVER for r in confirmed),
        longest=max((_lasts(r) for r in confirmed if r.lasts), key=_seconds, default="-"),
        classes=sum(r.harmed or r.outlasts for r in knowing),
        described=_lines(_point(r) for r in confirmed),
    )


def _share(hits: int, of: int) -> str:
    if not of:
        return "-"
    found = share(hits, of)
    return f"{found.value:.2f} ({found.low:.2f} - {found.high:.2f})"


SIGNALS = ("latency of everybody", "wait for a long ticket", "wait for a short ticket")


def _by_dimension(rows: list[Row]) -> str:
    blocks = [
        "| parameter | range | points | interferes | outlasts |",
        "|---|---|---|---|---|",
    ]
    for d in interference.SPACE:
        for low, high in _bins(d):
            inside = [r for r in rows if low <= r.point[d.name] < high]
            if not inside:
                continue
            shown = f"{low:.3g} - {high:.3g}" if d.kind != "whole" else f"{low:g}"
            if d.name == "wait":
                shown = SIGNALS[int(low)]
            hits, late = sum(r.interferes for r in inside), sum(r.outlasts for r in inside)
            name = "signal" if d.name == "wait" else d.name
            blocks.append(
                f"| {name} | {shown} | {len(inside)} | {_share(hits, len(inside))} | "
                f"{_share(late, len(inside))} |"
            )
    return "\n".join(blocks)


def _bins(d: Dimension) -> list[tuple[float, float]]:
    if d.kind == "whole":
        return [(float(k), k + 0.5) for k in range(int(d.low), int(d.high) + 1)]
    edges = np.geomspace(d.low, d.high, 4) if d.kind == "log" else np.linspace(d.low, d.high, 4)
    edges[-1] *= 1 + 1e-9
    return [(float(a), float(b)) for a, b in itertools.pairwise(edges)]


def _again(rows: list[Row]) -> Iterator[str]:
    blind = {r.index: r for r in rows if not r.point.get("each")}
    each = {r.index: r for r in rows if r.point.get("each")}
    for index, r in blind.items():
        other = each[index]
        yield (
            f"| {index} | {_points(r.harm)} | {_points(r.harm_after)} | "
            f"{_lasts(r)} | {_peace(r)} | {_points(other.harm)} | {_points(other.harm_after)} |"
        )


def _lasts(r: Row) -> str:
    if r.lasts is None:
        return "-"
    return "not by second 250" if r.lasts.value >= interference.NEVER else f"{r.lasts.value:.0f} s"


def _seconds(shown: str) -> float:
    return float(shown[:-2]) if shown.endswith(" s") else interference.NEVER


def _peace(r: Row) -> str:
    return "-" if r.peace is None else f"{100 * r.peace.value:.0f}"


def _confirmed(r: Row) -> bool:
    """Harm with fresh seeds, and a control that refuses nobody when there is no spike."""
    calm = r.peace is not None and r.peace.value >= 1 - QUIET
    return r.copes and calm and (r.harmed or r.outlasts)


def _points(e: Estimate) -> str:
    return f"{100 * e.value:.0f} ({100 * e.low:.0f} - {100 * e.high:.0f})"


def _point(r: Row) -> str:
    p = dict(r.point)
    signal = SIGNALS[int(p.pop("wait"))]
    p.pop("each", None)
    numbers = ", ".join(f"{name} {value:.3g}" for name, value in p.items())
    return (
        f"- Point {r.index}: signal {signal}, {numbers}; "
        f"mean tickets of users in the spike {r.tickets_alone:.0f} alone, {r.tickets:.0f} with it."
    )


def main() -> int:
    """Write both pages."""
    for path, text in written(Path(sys.argv[1])).items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
