"""A server of ours through its life, and what is left of it after ours ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from howdah.clock import SYSTEM_CLOCK
from howdah.errors import BadInput, Cannot, CouldNot, NotASandbox, Unsupported
from howdah.postgres import Installation, Server
from howdah.postgres import marker as markers
from howdah.postgres.account import current
from howdah.postgres.folders import running_postmaster, runs, sweep
from howdah.postgres.guardian import LOCK, MARKER
from howdah.testing import Database, wait_until
from howdah.testing.fixtures import OwnServer

START = """
import sys
from howdah.postgres import Server, installation
from pathlib import Path
server = Server.start(installation(path=Path(sys.argv[1])))
print(server.pid, server.socket_dir, flush=True)
"""
HOLD = START + "import signal; signal.pause()\n"
FORK = (
    START
    + """
import os, signal
child = os.fork()
if child:
    print(child, flush=True)
signal.pause()
"""
)
SPAWN = (
    START
    + """
import subprocess, signal
print(subprocess.Popen(["sleep", "600"], close_fds=False).pid, flush=True)
signal.pause()
"""
)
EXIT = START
CRASH = START + "raise SystemExit('on purpose')\n"


class Owner:
    """A Python process that starts a server, to be killed."""

    def __init__(self, installation: Installation, script: str) -> None:
        command = [sys.executable, "-c", script, str(installation.bindir)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        pid, folder = self.line().split()
        self.pid, self.folder = int(pid), Path(folder)

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def gone(self) -> bool:
        return not alive(self.pid) and not self.folder.exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def owner(request: pytest.FixtureRequest, postgres_installation: Installation) -> Iterator[Owner]:
    started = Owner(postgres_installation, request.param)
    yield started
    started.process.kill()
    started.process.wait()
    if started.process.stdout:
        started.process.stdout.close()


def value(server: Server, query: str) -> object:
    with server.connect() as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_a_server_tells_about_itself(server: Server) -> None:
    assert value(server, "SHOW server_version_num") == str(server.version_num)
    assert server.major == server.version_num // 10000
    assert value(server, "SHOW data_directory") == str(server.data)
    assert value(server, "SHOW unix_socket_directories") == str(server.socket_dir)
    assert value(server, "SHOW port") == str(server.port)
    assert running_postmaster(server.data) == server.pid
    assert "ready to accept connections" in server.log.read_text()


def test_it_is_private_and_plans_as_in_production(server: Server) -> None:
    assert value(server, "SHOW listen_addresses") == ""
    assert value(server, "SHOW server_encoding") == "UTF8"
    assert value(server, "SHOW fsync") == "off"
    assert value(server, "SHOW full_page_writes") == "on"
    assert value(server, "SELECT lower('ÄÖ') || upper('é')") == "äöÉ"
    for folder in (server.socket_dir, server.data):
        assert folder.stat().st_mode & 0o077 == 0
    assert len(f"{server.socket_dir}/.s.PGSQL.{server.port}.lock") <= 107


def test_it_does_not_run_as_root(server: Server) -> None:
    status = Path(f"/proc/{server.pid}/status").read_text()
    ids = next(line for line in status.splitlines() if line.startswith("Uid:"))
    assert ids.split()[1:] == [str(current().uid)] * 4
    assert current().uid != 0


def test_environment_of_the_caller_does_not_leak(server: Server) -> None:
    raw = Path(f"/proc/{server.pid}/environ").read_bytes().decode()
    names = {pair.partition("=")[0] for pair in raw.split("\0") if pair}
    assert names <= {"PATH", "LC_ALL", "TZ", "PG_GRANDPARENT_PID", "PGDATA", "LC_COLLATE"}


def test_signals_have_their_usual_meaning_for_programs_it_starts(server: Server) -> None:
    """A server whose children ignored SIGPIPE or SIGINT would run archive commands differently."""
    line = next(
        line
        for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
        if line.startswith("SigIgn:")
    )
    ignored = int(line.split()[1], 16)
    assert not ignored >> (signal.SIGINT - 1) & 1
    assert not ignored >> (signal.SIGHUP - 1) & 1


def test_databases_come_and_go(server: Server) -> None:
    dsn = server.create_database('odd "name"')
    assert dsn == server.dsn('odd "name"')
    with server.connect('odd "name"') as connection:
        connection.execute("CREATE TABLE marked (a int)")
    server.create_database("copy", template='odd "name"')
    with server.connect("copy") as still_in:
        assert still_in.execute("SELECT count(*) FROM marked").fetchone() == (0,)
        server.drop_database("copy")
        with pytest.raises(psycopg.OperationalError):
            still_in.execute("SELECT 1")
    server.drop_database('odd "name"')
    server.drop_database("never there")


def test_a_database_fixture_cleans_up_after_a_rude_test(server: Server) -> None:
    rude = Database(server)
    reader = rude.create_role(member_of=["pg_monitor"])
    with rude.connect() as connection:
        connection.execute("CREATE TABLE t (a int)")
        connection.execute(f"GRANT SELECT ON t TO {reader}")
        connection.execute("SELECT pg_create_logical_replication_slot('rude', 'pgoutput')")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("PREPARE TRANSACTION 'rude'")
    with rude.connect(user=reader) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    rude.drop()
    assert value(server, "SELECT count(*) FROM pg_prepared_xacts") == 0
    assert value(server, "SELECT count(*) FROM pg_replication_slots") == 0
    assert value(server, f"SELECT count(*) FROM pg_roles WHERE rolname = '{reader}'") == 0


def test_stop_restart_and_settings(own_server: OwnServer) -> None:
    server = own_server({"work_mem": "5MB"})
    assert value(server, "SHOW work_mem") == "5MB"
    value(server, "SELECT pg_create_restore_point('x')")
    server.stop()
    assert not server.running
    with pytest.raises(CouldNot, match="not running"):
        _ = server.pid
    server.stop()
    server.restart({"work_mem": "6MB", "application_name": r"it's a \ test"})
    assert value(server, "SHOW work_mem") == "6MB"
    before = server.pid
    server.restart()
    assert server.pid != before
    assert value(server, "SHOW work_mem") == "6MB"


@pytest.mark.parametrize("crash", ["kill", "immediate"])
def test_crash_and_recovery(own_server: OwnServer, crash: str) -> None:
    server = own_server()
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id")
    with server.connect() as busy:
        busy_pid = busy.info.backend_pid
        if crash == "kill":
            server.kill()
        else:
            server.stop("immediate")
        assert not server.running
        assert not alive(busy_pid)
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT 1")
    server.restart()
    assert value(server, "SELECT count(*) FROM kept") == 1000
    assert "automatic recovery in progress" in server.log.read_text()


def test_wrong_mode(server: Server) -> None:
    with pytest.raises(BadInput, match="no mode 'gentle'"):
        server.stop("gentle")  # type: ignore[arg-type] # the wrong value is the point
    assert server.running


def test_settings_that_prevent_a_start(postgres_installation: Installation) -> None:
    base = runs(current())
    before = set(base.iterdir())
    with pytest.raises(Cannot) as caught:
        Server.start(postgres_installation, settings={"shared_buffers": "a lot"})
    assert "shared_buffers" in caught.value.detail
    assert {path for path in before if path.exists()} >= mine(base) - before


def mine(base: Path) -> set[Path]:
    """The run folders whose marker names this process."""
    found = {path: markers.read(path) for path in base.iterdir() if path.is_dir()}
    return {path for path, mark in found.items() if mark and mark.owner_pid == os.getpid()}


def test_settings_that_cannot_be_written(own_server: OwnServer) -> None:
    with pytest.raises(BadInput, match="must be one line"):
        own_server({"work_mem": "1MB\nfsync = on"})
    with pytest.raises(BadInput, match="is not the name of a setting"):
        own_server({"work_mem = '1MB'\n#": ""})


def test_closing_leaves_nothing(postgres_installation: Installation) -> None:
    with Server.start(postgres_installation) as server:
        pid, folder = server.pid, server.socket_dir
        mark = markers.require(server.data)
        assert mark.owner_pid == os.getpid()
        assert mark.version == postgres_installation.version
        assert markers.read(folder)
    assert not alive(pid)
    assert not folder.exists()
    server.close()
    with pytest.raises(CouldNot, match="closed"):
        server.restart()


def test_shared_memory_is_freed_after_a_crash(postgres_installation: Installation) -> None:
    """A killed server that is never started again cannot do it itself."""
    with Server.start(postgres_installation) as server:
        segment = (server.data / "postmaster.pid").read_text().splitlines()[6].split()[1]
        files = {
            line.split()[-1]
            for line in Path(f"/proc/{server.pid}/maps").read_text().splitlines()
            if "/dev/shm/PostgreSQL." in line
        }
        assert segment in segments()
        server.kill()
    assert segment not in segments()
    assert not [file for file in files if Path(file).exists()]


def segments() -> set[str]:
    """The ids of the machine's System V shared memory."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {line.split()[1] for line in lines}


def test_named_data_folder_stays(postgres_installation: Installation, lasting: Path) -> None:
    data = lasting / "data"
    with Server.start(postgres_installation, data=data) as first:
        with first.connect() as connection:
            connection.execute("CREATE TABLE kept (a int)")
        assert first.log == data / "howdah.log"
        with pytest.raises(CouldNot, match="a server runs in"):
            Server.start(postgres_installation, data=data)
        folder = first.socket_dir
    assert not folder.exists()
    assert markers.read(data)
    with Server.start(postgres_installation, data=data) as second:
        assert value(second, "SELECT count(*) FROM kept") == 0
        assert "automatic recovery" not in second.log.read_text()


def test_data_of_another_major_is_refused(
    postgres_installation: Installation, lasting: Path
) -> None:
    data = lasting / "data"
    Server.start(postgres_installation, data=data).close()
    (data / "PG_VERSION").write_text("13\n")
    with pytest.raises(BadInput, match="belongs to PostgreSQL 13"):
        Server.start(postgres_installation, data=data)
    with pytest.raises(Unsupported, match="no PostgreSQL 13"):
        Server.start(data=data)


def test_folder_without_the_marker_is_refused(
    postgres_installation: Installation, lasting: Path
) -> None:
    data = lasting / "data"
    Server.start(postgres_installation, data=data).close()
    (data / MARKER).unlink()
    before = sorted(data.iterdir())
    for chosen in (postgres_installation, None):
        with pytest.raises(NotASandbox, match="is not a data folder of Howdah's"):
            Server.start(chosen, data=data)
    assert sorted(data.iterdir()) == before


def test_somebody_elses_files_are_refused(
    postgres_installation: Installation, lasting: Path
) -> None:
    (lasting / "thesis.txt").write_text("precious")
    with pytest.raises(NotASandbox):
        Server.start(postgres_installation, data=lasting)
    assert [path.name for path in lasting.iterdir()] == ["thesis.txt"]


@pytest.fixture
def lasting() -> Iterator[Path]:
    """A folder that the server's account can reach, which pytest's own is not."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="howdah-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: every other test is this one")
def test_a_caller_that_is_not_root(postgres_installation: Installation, lasting: Path) -> None:
    """No home, and folders in PATH that may not be read."""
    account = current()
    private = lasting / "private"
    private.mkdir(mode=0o700)
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
        "PATH": f"{private}:{os.environ['PATH']}",
        "TMPDIR": str(lasting),
    }
    os.chown(lasting, account.uid, account.gid)

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/python3", "-c", script, str(postgres_installation.bindir)],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    probe = run("import howdah.postgres, sys; print(sys.version_info[:2])")
    if probe.returncode != 0:
        pytest.skip(f"{account.name} has no Python that can import Howdah: apt-get install python3")
    done = run(START + "from howdah.postgres import installation; installation(); server.close()\n")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.split()[1])
    assert folder.parent == lasting / f"howdah-{account.uid}"
    assert not folder.exists()
    assert (lasting / f"howdah-cache-{account.uid}" / "templates").is_dir()


@pytest.mark.parametrize("owner", [HOLD], indirect=True)
def test_killed_owner_leaves_nothing(owner: Owner) -> None:
    assert alive(owner.pid)
    owner.process.kill()
    wait_until(owner.gone)


@pytest.mark.parametrize("owner", [FORK, SPAWN], indirect=True, ids=["fork", "spawn"])
def test_child_of_the_owner_does_not_keep_the_server(owner: Owner) -> None:
    child = int(owner.line())
    try:
        assert alive(owner.pid)
        owner.process.kill()
        wait_until(owner.gone)
        assert alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("owner", [EXIT, CRASH], indirect=True, ids=["exit", "error"])
def test_owner_waits_for_the_end_of_its_server(owner: Owner) -> None:
    owner.process.wait()
    assert owner.gone()


@pytest.mark.parametrize("owner", [HOLD], indirect=True)
def test_terminated_guardian_cleans_up(owner: Owner) -> None:
    guardian = int(Path(f"/proc/{owner.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guardian, signal.SIGTERM)
    wait_until(owner.gone)


@pytest.mark.parametrize("owner", [HOLD], indirect=True)
def test_sweep_buries_what_a_killed_guardian_left(owner: Owner) -> None:
    base = owner.folder.parent
    assert owner.folder not in sweep(base)
    assert alive(owner.pid)
    guardian = int(Path(f"/proc/{owner.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guardian, signal.SIGKILL)
    wait_until(lambda: not alive(guardian))
    assert owner.folder.exists()
    wait_until(lambda: owner.folder in sweep(base))
    wait_until(owner.gone)


def test_sweep_leaves_what_is_not_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "unmarked").mkdir()
    (tmp_path / "unmarked" / LOCK).touch()
    marked = tmp_path / "marked"
    marked.mkdir()
    markers.write(marked, version="18.6", clock=SYSTEM_CLOCK)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    markers.write(elsewhere, version="18.6", clock=SYSTEM_CLOCK)
    (tmp_path / "link").symlink_to(elsewhere)
    assert sweep(tmp_path) == (marked,)
    assert (tmp_path / "unmarked").exists()
    assert (elsewhere / MARKER).exists()


def test_two_servers_side_by_side(server: Server, own_server: OwnServer) -> None:
    other = own_server()
    assert other.socket_dir != server.socket_dir
    other.create_database("only_here")
    query = "SELECT count(*) FROM pg_database WHERE datname = 'only_here'"
    assert (value(other, query), value(server, query)) == (1, 0)


def test_threads_may_ask_one_server(server: Server) -> None:
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(server.running for _ in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 200
