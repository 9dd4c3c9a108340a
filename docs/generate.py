"""Write the pages that are made of the code: one per rule, their index, the command line's help.

Run by `make docs`; a test fails while a page differs from what this writes. Owns the pages' form;
must never hold a fact of its own.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from howdah.check.model import Rule
from howdah.check.rules import all_rules

DOCS = Path(__file__).parent


def rule_page(rule: Rule) -> str:
    """One rule as a page of Markdown."""
    needs = ", ".join(f"`{name}`" for name in rule.needs) or "nothing"
    return f"""# {rule.id}

{rule.title}. Subject: {rule.subject}. Worst severity: {rule.severity}.

**What it looks for.** {rule.what}

**Why it hurts.** {rule.why}

**How it can be wrong.** {rule.wrong_when}

**Facts it needs.** {needs}. Without them it says *unknown*.

**Source.** {rule.source}

The same text: `howdah check explain {rule.id}`.
"""


def rule_index(rules: tuple[Rule, ...]) -> str:
    """The list of all rules by subject."""
    subjects: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        subjects[rule.subject].append(rule)
    lines = ["# Rules", "", f"{len(rules)} rules, generated from the rules themselves.", ""]
    for subject, members in sorted(subjects.items()):
        lines += [f"## {subject}", "", "| rule | worst | what it looks for |", "|---|---|---|"]
        lines += [f"| [{r.id}]({r.id}.md) | {r.severity} | {r.what} |" for r in members]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def command_line() -> str:
    """The help of every command, as the terminal prints it."""
    from howdah.cli import app

    root = get_command(app)
    pages = ["# Command line", "", "Generated from the commands' own help.", ""]
    for words in _commands(root):
        result = CliRunner().invoke(
            app, [*words, "--help"], prog_name="howdah", env={"COLUMNS": "80", "TERM": "dumb"}
        )
        title = " ".join(["howdah", *words])
        body = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        pages += [f"## {title}", "", "```text", body, "```", ""]
    return "\n".join(pages).rstrip() + "\n"


def _commands(command: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    for name, child in sorted(getattr(command, "commands", {}).items()):
        found += _commands(child, (*words, name))
    return found


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    rules = all_rules()
    folder = DOCS / "rules"
    made = {folder / f"{rule.id}.md": rule_page(rule) for rule in rules}
    made[folder / "README.md"] = rule_index(rules)
    made[DOCS / "command-line.md"] = command_line()
    return made


def main() -> int:
    """Write what differs, remove pages of rules that are gone; with --check only say so."""
    wanted = pages()
    gone = [page for page in (DOCS / "rules").glob("*.md") if page not in wanted]
    stale = [page for page, text in wanted.items() if not page.exists() or page.read_text() != text]
    if "--check" in sys.argv:
        for page in (*gone, *stale):
            print(f"{page.relative_to(DOCS)} is not what `make docs` writes")
        return 1 if gone or stale else 0
    (DOCS / "rules").mkdir(exist_ok=True)
    for page in gone:
        page.unlink()
    for page in stale:
        page.write_text(wanted[page])
    print(f"{len(stale)} pages written, {len(gone)} removed, {len(wanted)} in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
