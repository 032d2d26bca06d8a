"""A whole server: start, secrets, restarts, second instance, admin, end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from scripts.ports import free_port, free_port_range
from scripts.settings import read_settings
from tests.oracle.watch import Oracle
from tests.scripts.conftest import CANARIES, ROOT, RTP_PORTS, Server, served, until


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # a server of our own
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def options_answered(server: Server) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(1)
        phone.connect(server.sip)
        here = "{}:{}".format(*phone.getsockname())
        phone.send(
            f"OPTIONS sip:demo@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{time.monotonic_ns()}\r\n"
            f"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:demo@127.0.0.1>\r\nCall-ID: {time.monotonic_ns()}@test\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode()
        )
        try:
            return phone.recv(4096).startswith(b"SIP/2.0 200")
        except TimeoutError:
            return False


def memory_holds(pid: int, needle: bytes) -> bool:
    """Whether a process has these bytes anywhere in its memory."""
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            if "r" not in line.split()[1] or "[v" in line:
                continue
            try:
                memory.seek(first)
                if needle in memory.read(last - first):
                    return True
            except (OSError, ValueError, OverflowError):
                continue
    return False


def test_it_tells_a_newcomer_what_to_ring(server: Server) -> None:
    """The banner shows the SIP address, the admin, the home and the model."""
    banner = server.text()
    port = server.environment["AITELIER_SIP_PORT"]
    assert f"Ring   sip:demo@127.0.0.1:{port}" in banner
    assert f"Admin  {server.admin}" in banner
    assert f"Home   {server.home}" in banner
    assert f"Model  {read_settings({})[0].openai_model} at https://api.openai.com/v1" in banner


def test_health_readiness_and_figures(server: Server) -> None:
    """The admin's three pages answer, and figures of edge, desk and supervisor are among them."""
    assert fetch(f"{server.admin}/healthz") == (200, '{"status": "ok"}')
    assert fetch(f"{server.admin}/readyz")[0] == 200
    status, text = fetch(f"{server.admin}/metrics")
    assert status == 200
    for line in ('aitelier_part_answers{part="edge"} 1', 'aitelier_part_answers{part="desk"} 1'):
        assert line in text
    assert 'aitelier_process_up{process="worker-0"} 1.0' in text
    assert fetch(f"{server.admin}/nowhere")[0] == 404


def test_workers_and_edge_never_held_a_secret(server: Server) -> None:
    """No secret is in the environment or memory of any process but the desk; the admin has the store's and no other."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root may read other processes' memory")
    key = (server.home / "master.key").read_bytes().strip()
    needles = [*(value.encode() for value in CANARIES.values()), key]
    for name in ("worker-0", "worker-1", "edge", "browser", "rehearsal", "admin"):
        environment = Path(f"/proc/{server.pid(name)}/environ").read_bytes()
        for needle in needles:
            assert needle not in environment, name
            is_its_own = name == "admin" and needle == key
            assert memory_holds(server.pid(name), needle) in {False, is_its_own}, f"{name} holds {needle[:9]!r}"
    assert b"canary" not in Path(f"/proc/{server.process.pid}/environ").read_bytes()
    assert not any(memory_holds(server.process.pid, needle) for needle in needles)
    assert memory_holds(server.pid("desk"), needles[0]), "the search finds what is there"


def test_workers_of_root_are_nobody_in_particular(server: Server) -> None:
    """Started as root, workers and the process of browsers' calls have another user, no groups, and no capabilities."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can give up being root")
    for name in ("worker-0", "browser"):
        status = Path(f"/proc/{server.pid(name)}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in fields["Uid"].split() + fields["Gid"].split()
        assert fields["Groups"].split() == []
        assert {fields[cap].strip("0") for cap in ("CapPrm", "CapEff", "CapAmb")} == {""}
        assert fields["NoNewPrivs"] == "1"


def test_what_is_written_down_is_for_the_owner_only(server: Server) -> None:
    """The master key is the owner's; workers may write the spool, enter the run folder, and list neither."""
    assert (server.home / "master.key").stat().st_mode & 0o777 == 0o600
    for name in ("clips", "blobs"):
        assert (server.home / name).stat().st_mode & 0o077 == 0
    for name in ("spool", "run"):
        assert (server.home / name).stat().st_mode & 0o007 == 0


def test_a_second_server_on_the_same_home_is_refused(server: Server) -> None:
    """It says that one is running, under which process, and leaves it alone."""
    second = Server(server.home, {"AITELIER_HOME": str(server.home)})
    assert second.process.wait(30) == 2
    assert f"a server is running on {server.home} already (process {server.process.pid})" in server.text()
    assert server.ready()


@pytest.mark.parametrize("name", ["worker-1", "rehearsal", "browser", "admin", "edge", "desk"])
def test_a_killed_process_is_replaced(server: Server, name: str) -> None:
    """Kill -9 of any of them: it is back and ready, the others have not changed."""
    until(server.ready)
    before = {one.name: one.pid for one in server.status.processes}
    os.kill(server.pid(name), signal.SIGKILL)
    until(lambda: server.ready() and server.pid(name) != before[name])
    after = {one.name: one.pid for one in server.status.processes}
    assert {who for who in before if before[who] != after[who]} == {name}
    until(lambda: options_answered(server))


def test_a_killed_database_is_replaced(server: Server) -> None:
    """Kill -9 of PostgreSQL: it recovers, and the desk answers from it again."""
    until(server.ready)
    os.kill(server.pid("database"), signal.SIGKILL)
    until(lambda: server.ready() and server.cli("numbers", "list").returncode == 0)


def test_a_killed_worker_is_replaced(server: Server) -> None:
    """The replacement says that it is ready; how soon is measured by `scripts/bench soak`."""
    until(server.ready)
    seen = server.text().count('"process_restarted"')
    killed = server.pid("worker-0")
    os.kill(killed, signal.SIGKILL)
    until(lambda: server.text().count('"process_restarted"') > seen)
    assert server.pid("worker-0") != killed


def test_its_statements_are_watched(server: Server, oracle: Oracle) -> None:
    """What a server and the command line ask the database reaches the oracle, which knows both from this process."""
    before = oracle.told_bytes
    assert server.cli("numbers", "list").returncode == 0
    assert oracle.told_bytes > before > 0
    assert oracle.problems() == []


@pytest.mark.long
def test_numbers_scenarios_and_trunks_are_set_from_the_command_line(server: Server, tmp_path: Path) -> None:
    """A newcomer's scenario answers a new number; a trunk is added, listed and removed; errors name the argument."""
    file = tmp_path / "front.toml"
    file.write_text('name = "Bakery"\ninstructions = "You answer for a bakery."\n', encoding="utf-8")
    applied = server.cli("scenario", "apply", str(file), "--number", "bakery")
    assert "Bakery, version 1, answers bakery." in applied.stdout, applied.stderr
    assert "version 2" in server.cli("scenario", "apply", str(file), "--number", "bakery").stdout
    assert json.loads(server.cli("scenario", "show", "--number", "bakery").stdout)["version"] == 2
    assert server.cli("numbers", "add", "+4930901820", "--like", "bakery").returncode == 0
    listed = [json.loads(line)["called"] for line in server.cli("numbers", "list", "--json").stdout.splitlines()]
    assert {"bakery", "+4930901820", "demo"} <= set(listed)
    taken = server.cli("numbers", "add", "bakery", "--like", "demo")
    assert (taken.returncode, taken.stderr.startswith("NUMBER: bakery is answered already")) == (1, True)
    added = server.cli("trunks", "add", "Carrier", "--network", "192.0.2.0/28")
    assert "calls from 192.0.2.0/28" in added.stdout, added.stderr
    (trunk,) = [json.loads(line) for line in server.cli("trunks", "list", "--json").stdout.splitlines()]
    assert (trunk["transports"], trunk["srtp"], trunk["min_tls"]) == (["tls"], "mandatory", "1.3")
    until(lambda: "192.0.2.0/28" in (server.home / "run" / "trunks.json").read_text(encoding="utf-8"))
    assert server.cli("trunks", "remove", trunk["id"]).returncode == 0
    assert server.cli("trunks", "list", "--json").stdout == ""
    bad = server.cli("trunks", "add", "Carrier", "--network", "192.0.2.1/28")
    assert "--network: '192.0.2.1/28' is no network" in bad.stderr
    file.write_text('name = "Bakery"\ninstrutions = "x"\n', encoding="utf-8")
    assert server.cli("scenario", "apply", str(file)).stderr.startswith("FILE: ")


def test_the_doctor_finds_a_healthy_server(server: Server) -> None:
    """Every check is there once, and none fails but the model, which a test must not ask."""
    findings = [json.loads(line) for line in server.cli("doctor", "--json").stdout.splitlines()]
    by_name = {finding["what"]: finding["verdict"] for finding in findings}
    assert {"settings", "server", "ports", "NAT", "certificate", "trunks", "model", "disk", "clock"} <= set(by_name)
    assert {name for name, verdict in by_name.items() if verdict == "fail"} <= {"model"}


def test_unknown_ids_are_refused_with_a_remedy(server: Server) -> None:
    """Sessions that do not exist end in one line that says where to look."""
    nobody = "0192f0c1-7b1e-7cc0-8a52-0123456789ab"
    for command in (("sessions", "show"), ("export",)):
        done = server.cli(*command, nobody)
        assert (done.returncode, "See: aitelier sessions" in done.stderr) == (1, True)
    assert "Not done: no such call is up" in server.cli("live", "hangup", nobody).stderr
    assert "No call is up." in server.cli("live").stdout


def test_the_log_is_json_and_names_its_parts(server: Server) -> None:
    """Every line but the banner is JSON with event, level, time and part."""
    parts = set()
    for line in server.text().splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            assert {"event", "level", "timestamp"} <= entry.keys()
            parts.add(entry.get("part"))
    assert {"supervisor", "edge", "desk", "database", "rehearsal"} <= parts


@pytest.mark.long
def test_it_ends_in_order_and_leaves_nothing_behind() -> None:
    """SIGTERM: status 0, no process, socket or state left; the home can be served again, and keeps its key."""
    with served({}, "--drain-seconds", "1") as server:
        pids = [one.pid for one in server.status.processes if one.pid is not None]
        key = (server.home / "master.key").read_bytes()
        assert server.stop() == 0
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        left = {path.name for path in (server.home / "run").iterdir()}
        assert not [name for name in left if name.endswith(".sock")]
        assert "status.json" not in left
        server.process = server.start()
        until(server.ready, 60)
        assert (server.home / "master.key").read_bytes() == key


def test_a_killed_server_can_be_started_again() -> None:
    """Kill -9 of the supervisor: its processes die with it, and the next start cleans up."""
    with served() as server:
        pids = [one.pid for one in server.status.processes if one.pid is not None]
        server.stop(signal.SIGKILL)
        until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])
        server.process = server.start()
        until(server.ready, 60)


def test_a_taken_port_ends_the_start_and_is_named(tmp_path: Path) -> None:
    """Another program has the SIP port: the server says so, with the setting's name, and ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        home = Path("/tmp") / f"aitelier-test-{os.getpid()}-{tmp_path.name}"
        server = Server(home, {"AITELIER_SIP_PORT": str(taken.getsockname()[1])})
        try:
            assert server.process.wait(60) == 1
            assert re.search(r"process_cannot_start.*AITELIER_SIP_PORT", server.text()) or re.search(
                r"AITELIER_SIP_PORT.*process_cannot_start", server.text()
            )
        finally:
            shutil.rmtree(home, ignore_errors=True)  # what was being made of the database may still end in it
            server.log.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"AITELIER_SIP_PORT": "none"}, "AITELIER_SIP_PORT: 'none' is no port. Give a number from 1 to 65535"),
        ({"AITELIER_SIP_BIND": "0.0.0.0"}, "AITELIER_SIP_BIND: 0.0.0.0 can be reached from other machines"),
        ({"AITELIER_RTP_PORTS": "20000-20009"}, "AITELIER_RTP_PORTS: holds too few ports for 40 calls"),
        ({"AITELIER_MASTER_KEY": "canary"}, "AITELIER_MASTER_KEY: its value is not 32 bytes"),
    ],
)
def test_a_bad_setting_ends_the_start(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    """The message names the setting and the remedy on standard error; status 2; no traceback, no secret."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "scripts.serve"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "AITELIER_HOME": str(tmp_path / "home"), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "canary" not in done.stderr + done.stdout


def test_free_ports_are_free() -> None:
    """What the demo takes nobody else has."""
    first = free_port_range(RTP_PORTS)
    for port in (first, first + RTP_PORTS - 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", port))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))


def test_no_port_is_given_to_two_processes() -> None:
    """Whoever found a port may use it later: until then it is nobody else's."""
    program = "from scripts.ports import free_port; print(*{free_port() for _ in range(500)}, flush=True); input()"
    finders = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        for _ in range(2)
    ]
    found: list[set[bytes]] = []
    for finder in finders:
        assert finder.stdout is not None
        found.append(set(finder.stdout.readline().split()))
    for finder in finders:
        finder.communicate(b"\n", timeout=20)
    assert [len(ports) for ports in found] == [500, 500]
    assert found[0].isdisjoint(found[1])
