"""Bring the corpus: `python -m tests.corpus.fetch [name ...]`.

Downloads each package by its own client (apt-get, pip), takes the SQL files out and keeps them with
the package's version. What is there already is left alone. Installs nothing. Ends with 1 if a
schema could not be had; its tests are then skipped by name.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.corpus.schemas import CORPUS, Schema, corpus_folder


class Unavailable(Exception):
    """A package that cannot be had here, and why."""


def main(names: list[str]) -> int:
    """Fetch the named schemas, or all; 1 if one is missing at the end."""
    wanted = [schema for schema in CORPUS if not names or schema.name in names]
    missing = 0
    for schema in wanted:
        try:
            if not schema.is_present:
                fetch(schema)
            print(f"corpus: {schema.name}: {schema.package} {schema.version}")
        except Unavailable as why:
            missing += 1
            print(f"corpus: {schema.name}: not fetched: {why}")
    print(f"corpus: {len(wanted) - missing} of {len(wanted)} schemas in {corpus_folder()}")
    return 1 if missing else 0


def fetch(schema: Schema) -> None:
    """Download one package and keep its SQL files; the version is written last."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        work.chmod(0o755)  # apt-get downloads as a user of its own
        unpacked = work / "unpacked"
        version = (_wheel if schema.is_wheel else _debian)(schema.package, work, unpacked)
        shutil.rmtree(schema.folder, ignore_errors=True)
        schema.folder.mkdir(parents=True)
        for number, name in enumerate(schema.files, start=1):
            _keep(unpacked / name, schema.folder / f"{number}.sql")
        (schema.folder / "VERSION").write_text(f"{version}\n")


def _keep(source: Path, target: Path) -> None:
    if not source.is_file():
        raise Unavailable(f"the package no longer has {source.name}")
    content = source.read_bytes()
    target.write_bytes(gzip.decompress(content) if source.suffix == ".gz" else content)


def _debian(package: str, work: Path, unpacked: Path) -> str:
    try:
        _run(["apt-get", "download", "-q", package], work)
    except Unavailable:
        if os.geteuid() != 0:
            raise
        _run(["apt-get", "update", "-qq"], work)  # a fresh machine has no package lists
        _run(["apt-get", "download", "-q", package], work)
    (archive,) = work.glob("*.deb")
    _run(["dpkg-deb", "-x", archive.name, unpacked.name], work)
    return _run(["dpkg-deb", "-f", archive.name, "Version"], work).strip()


def _wheel(package: str, work: Path, unpacked: Path) -> str:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--only-binary", ":all:", package], work)
    (archive,) = work.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(unpacked)
    return archive.name.split("-")[1]


def _run(command: list[str], folder: Path) -> str:
    """The output of a command; `Unavailable` if it is absent or fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise Unavailable(f"there is no {command[0]} here") from None
    except subprocess.CalledProcessError as failed:
        lines = failed.stderr.strip().splitlines()
        raise Unavailable(f"{command[0]}: {lines[-1] if lines else failed.returncode}") from None
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
