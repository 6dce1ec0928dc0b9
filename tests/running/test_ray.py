"""A Ray cluster on loopback: the same numbers as on one machine, whatever happens to nodes and drivers."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from paribus.errors import MachineError, ParibusError
from paribus.running import ray
from paribus.store.folder import open_store

pytestmark = pytest.mark.ray
Write = Callable[..., Path]

TIMES = {"started_at", "finished_at", "seconds", "step_seconds", "peak_memory", "notes"}
ARMS = "arms: {one_head: {network.mixer.heads: 1}}\nmachine: {checkpoint: {every_steps: 50}}\n"
LONG = ["training.steps=250", "training.evaluate.every=0.2", "network.mixer.score=lab.unhurried"]
UNHURRIED = '''"""A score that takes its time, so that something can happen meanwhile."""
import ctypes, os, sys, time
from pathlib import Path
from paribus.parts import Part
from paribus.parts.score.dot import Dot

class Spec(Part):
    trap: str = ""
    hang: bool = False
    def build(self, *, head_dim):
        if self.trap and sys.argv[0] == "-c" and Path(self.trap).exists():  # not in the driver, which builds it too
            Path(self.trap).unlink()
            print("last words", flush=True)
            if self.hang:
                ctypes.PyDLL(None).sleep(1000)  # no other thread has its turn
            os.kill(os.getpid(), 9)
        return Unhurried(head_dim)

class Unhurried(Dot):
    def forward(self, *inputs):
        time.sleep(0.01 * self.training)
        return super().forward(*inputs)
    def fused(self, *inputs):
        time.sleep(0.01 * self.training)
        return super().fused(*inputs)
'''


@pytest.fixture
def lab(write: Write, tmp_path: Path) -> Write:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "unhurried.py").write_text(UNHURRIED)
    return write


@pytest.fixture
def own_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for what Ray writes, short enough for the names of sockets, and nothing of the user's."""
    folder = Path(tempfile.mkdtemp(prefix="r"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    for number in processes(str(folder)):
        os.kill(number, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(own_ray: Path) -> Iterator[Any]:
    """A head without places for runs."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=small)
    yield made
    made.shutdown()


def node(cluster: Any, **more: Any) -> Any:
    return cluster.add_node(**{"num_cpus": 1, "object_store_memory": 80 * 2**20, **more})


def processes(words: str) -> list[int]:
    """Those whose command or environment names something."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            named = words.encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if state != "Z" and named and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def parent(process: int) -> int:
    return int((Path("/proc") / str(process) / "stat").read_text().rsplit(")", 1)[1].split()[1])


def workers(runs: Path) -> list[int]:
    """The processes that train into a folder."""
    return [
        number
        for number in processes("paribus.running.worker")
        if str(runs) in Path(f"/proc/{number}/cmdline").read_text()
    ]


def until(true: Callable[[], Any], seconds: float = 200.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, true
        time.sleep(0.05)
    return found


def command(file: Path, store: Path, on: str, *words: str, sets: Sequence[str] = ()) -> list[str]:
    changes = [word for change in sets for word in ("--set", change)]
    return [sys.executable, "-m", "paribus", "run", str(file), "--store", str(store), "--on", on, *words, *changes]


def run(file: Path, store: Path, on: str, *words: str, sets: Sequence[str] = ()) -> str:
    done = subprocess.run(command(file, store, on, *words, sets=sets), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stderr


def begin(file: Path, store: Path, on: str, *words: str, sets: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(file, store, on, *words, sets=sets),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def numbers(store: Path) -> dict[str, Any]:
    """All that the runs left, but times and memory."""
    found = {}
    for file in sorted((store / "runs").glob("*/record.json")):
        record = json.loads(file.read_text())
        record["curves"].pop("seconds")
        found[file.parent.name] = {name: value for name, value in record.items() if name not in TIMES}
    return found


def attempts(store: Path) -> list[tuple[str, str]]:
    database = open_store(str(store)).database
    return [(status, reason) for run in database.known() for _, status, reason in database.attempts(run)]


def leftovers(store: Path) -> list[str]:
    return [path.name for path in store.rglob("*") if ".partial" in path.name or ".resume" in path.name]


def test_a_node_that_dies_changes_no_number(lab: Write, tmp_path: Path, cluster: Any) -> None:
    file, store = lab(ARMS), tmp_path / "store"
    for _ in range(2):
        doomed = node(cluster)
    raylet = doomed.all_processes["raylet"][0].process.pid
    words = command(file, store, f"ray://{cluster.address}", "--json-lines", sets=LONG)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        lost, later = "", []
        for event in map(json.loads, driver.stdout):
            if event["event"] == "progress" and event["run"] == lost:
                later.append(event["step"])
            if event["event"] == "progress" and event["step"] > 150 and not lost:
                here = [number for number in workers(store / "runs") if parent(parent(number)) == raylet]
                if any(list((store / "runs").glob(f"{event['run']}.partial-*-{number}")) for number in here):
                    lost = event["run"]
                    cluster.remove_node(doomed, allow_graceful=False)
        _, said = driver.communicate(timeout=60)
    assert driver.returncode == 0, said
    assert "Traceback" not in said
    assert "raylet" not in said
    assert [reason.partition(" was lost")[1] for status, reason in attempts(store) if status == "crashed"] == [
        " was lost"
    ]
    assert later[0] >= 100, "it did not go on from its checkpoint"
    assert leftovers(store) == []
    run(file, tmp_path / "local", "local", sets=LONG)
    assert numbers(store) == numbers(tmp_path / "local")
    assert len(numbers(store)) == 4


def test_two_workers_share_a_gpu(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster, num_cpus=2, num_gpus=1)
    driver = begin(lab(ARMS), tmp_path / "store", f"ray://{cluster.address}", "--gpus-per-run", "0.5", sets=LONG)
    both = until(lambda: len(found := workers(tmp_path / "store" / "runs")) == 2 and found)
    seen = [Path(f"/proc/{number}/environ").read_text().split("\0") for number in both]
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "training 4 runs on 2 workers" in said
    assert all("CUDA_VISIBLE_DEVICES=0" in environment for environment in seen)


def test_a_node_without_the_store_sends_its_folders(lab: Write, tmp_path: Path, cluster: Any) -> None:
    file, store = lab(ARMS), tmp_path / "store"
    store.mkdir()
    script = f"mount -t tmpfs none {store} && exec ray start --address={cluster.address} --num-cpus=1 --block"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    ) as other:  # fmt: skip
        try:
            run(file, store, f"ray://{cluster.address}")
        finally:
            other.send_signal(signal.SIGTERM)
    run(file, tmp_path / "local", "local")
    assert numbers(store) == numbers(tmp_path / "local")
    assert leftovers(store) == []
    names = lambda folder: sorted(str(path.relative_to(folder)) for path in (folder / "runs").rglob("*"))  # noqa: E731
    assert names(store) == names(tmp_path / "local")


@pytest.fixture
def blind(tmp_path: Path, cluster: Any) -> Iterator[Callable[[str], Callable[[], None]]]:
    """Starts a node that sees neither the store nor what other nodes keep; calling what comes back kills it."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> Callable[[], None]:
        (tmp_path / "store").mkdir(exist_ok=True)
        (tmp_path / name).mkdir()
        script = f"mount -t tmpfs none {tmp_path / 'store'} && exec ray start --address={cluster.address} --num-cpus=1"
        words = ["unshare", "--mount", "sh", "-c", f"{script} --block"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "TMPDIR": str(tmp_path / name)}
        out = subprocess.DEVNULL
        begun.append(subprocess.Popen(words, stdout=out, stderr=out, env=environment))
        process = begun[-1].pid
        return lambda: killed(process)

    yield start
    for process in begun:
        killed(process.pid)
        process.wait()


def killed(process: int) -> None:
    """Kill a process and all that sees the same files, which nobody else does."""
    try:
        space = Path(f"/proc/{process}/ns/mnt").readlink()
    except OSError:
        return
    assert space != Path("/proc/self/ns/mnt").readlink()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "ns" / "mnt").readlink() == space:
                os.kill(int(entry.name), signal.SIGKILL)


def test_a_run_goes_on_on_another_node_from_what_was_placed_elsewhere(
    lab: Write, tmp_path: Path, cluster: Any, blind: Callable[[str], Callable[[], None]]
) -> None:
    file, store, url = lab(ARMS), tmp_path / "store", f"file://{tmp_path}/placed"
    sets = [*LONG, "seeds=1", "machine.retries=0"]
    kill = blind("one")
    words = command(file, store, f"ray://{cluster.address}", "--json-lines", sets=sets)
    more = ["--artifacts", url, "--workers", "1"]
    with subprocess.Popen([*words, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        lost, later = "", []
        for event in map(json.loads, driver.stdout):
            if event["event"] == "progress" and event["run"] == lost:
                later.append(event["step"])
            if event["event"] == "progress" and event["step"] > 150 and not lost:
                lost = event["run"]
                kill()
                blind("other")
        _, said = driver.communicate(timeout=60)
    assert driver.returncode == 0, said
    assert [reason.partition(" was lost")[1] for status, reason in attempts(store) if status == "crashed"] == [
        " was lost"
    ]
    assert later[0] >= 100, "it did not go on from its checkpoint"
    assert leftovers(store) == []
    run(file, tmp_path / "local", "local", sets=sets)
    assert numbers(store) == numbers(tmp_path / "local")
    here, there = store / "runs", tmp_path / "placed"
    assert {folder.name for folder in there.iterdir()} == set(numbers(store))
    for name in numbers(store):
        assert (there / name / "record.json").read_text() == (here / name / "record.json").read_text()


def test_a_worker_that_is_killed_is_replaced_and_its_log_is_told(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster)
    trap = tmp_path / "trap"
    file = lab(f"arms: {{dying: {{network.mixer.score: {{kind: lab.unhurried, trap: {trap}}}}}}}\n")
    trap.touch()
    said = run(file, tmp_path / "store", f"ray://{cluster.address}", sets=["seeds=1"])
    assert "the worker was killed by SIGKILL (out of memory?); it is tried again" in said
    assert any("last words" in reason for status, reason in attempts(tmp_path / "store") if status == "crashed")


def test_a_worker_that_hangs_is_ended_when_its_time_is_over(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster)
    trap = tmp_path / "trap"
    arms = f"arms: {{hanging: {{network.mixer.score: {{kind: lab.unhurried, trap: {trap}, hang: true}}}}}}\n"
    file, store = lab(arms), tmp_path / "store"
    trap.touch()
    driver = begin(file, store, f"ray://{cluster.address}", sets=["seeds=1", "machine.time_limit=30s"])
    hung = until(lambda: not trap.exists() and workers(store / "runs"))
    _, said = driver.communicate(timeout=240)
    assert driver.returncode == 1, said
    assert "the time limit of 30 s was over and the worker gave no sign; it was ended" in said
    assert [status for status, _ in attempts(store)].count("ok") == 1
    assert not any(Path(f"/proc/{number}").exists() for number in hung)


def test_an_actor_that_is_killed_takes_even_a_worker_along_that_hangs(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster)
    trap = tmp_path / "trap"
    arms = f"arms: {{hanging: {{network.mixer.score: {{kind: lab.unhurried, trap: {trap}, hang: true}}}}}}\n"
    file, store = lab(arms), tmp_path / "store"
    trap.touch()
    driver = begin(file, store, f"ray://{cluster.address}", sets=["seeds=1", "machine.retries=0"])
    (hung,) = until(lambda: not trap.exists() and workers(store / "runs"))
    os.kill(parent(hung), signal.SIGKILL)
    until(lambda: hung not in workers(store / "runs"), 5)
    _, said = driver.communicate(timeout=240)
    assert driver.returncode == 0, said
    assert "was lost; it is tried again" in said


def test_ctrl_c_ends_runs_with_their_step(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster)
    file, store = lab(ARMS), tmp_path / "store"
    driver = begin(file, store, f"ray://{cluster.address}", sets=LONG)
    until(lambda: list((store / "runs").glob("*.resume/last.ckpt")))
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "the same command goes on with what is missing" in said
    assert "Traceback" not in said
    assert [status for status, _ in attempts(store)] == ["interrupted"]
    until(lambda: not workers(store / "runs"), 5)


def test_runs_end_with_their_step_when_the_head_dies(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster)
    file, store = lab(ARMS), tmp_path / "store"
    endless = ["training.steps=100000", "training.evaluate.every=0.5", "network.mixer.score=lab.unhurried"]
    driver = begin(file, store, f"ray://{cluster.address}", sets=endless)
    until(lambda: list((store / "runs").glob("*.resume/last.ckpt")))
    cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 130, said
    told = "does not answer any more; what is stored stays, runs end with their step"
    assert [line for line in said.splitlines() if "head" in line] == [
        f"the head of the Ray cluster at {cluster.address} {told}"
    ]
    assert "the same command goes on with what is missing" in said
    assert "Traceback" not in said
    assert [(status, reason[:15]) for status, reason in attempts(store)] == [("interrupted", "stopped at step")]
    assert not workers(store / "runs")
    # From that step the next command goes on, wherever.
    stopped = int(attempts(store)[0][1].split()[3])
    words = command(file, store, "local", "--workers", "1", "--json-lines", sets=endless)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as again:
        assert again.stdout is not None
        steps = (event["step"] for event in map(json.loads, again.stdout) if event["event"] == "progress")
        first = next(steps)
        os.killpg(again.pid, signal.SIGKILL)
    assert first >= stopped


@pytest.mark.parametrize("joined", [True, False])
def test_nobody_is_left_of_a_driver_that_is_killed(
    joined: bool, lab: Write, tmp_path: Path, own_ray: Path, request: Any
) -> None:
    on = "ray"
    if joined:
        cluster = request.getfixturevalue("cluster")
        node(cluster)
        on = f"ray://{cluster.address}"
    driver = begin(lab(ARMS), tmp_path / "store", on, sets=LONG)
    until(lambda: workers(tmp_path / "store" / "runs"))
    driver.kill()
    driver.communicate()
    until(lambda: not workers(tmp_path / "store" / "runs") and not processes("ray::Relay"), 5)
    if not joined:
        until(lambda: not processes(str(own_ray)), 60)  # Ray's own, which look for their parents now and then


def test_runs_wait_for_a_place(lab: Write, tmp_path: Path, cluster: Any) -> None:
    driver = begin(lab(), tmp_path / "store", f"ray://{cluster.address}", "--workers", "3", sets=[])
    assert driver.stderr is not None
    said = "the cluster has no place free yet (1 CPU for each run); waiting"
    assert any(said in line for line in driver.stderr)
    node(cluster)
    _, more = driver.communicate(timeout=240)
    assert driver.returncode == 0, more


def test_tuning_is_the_same_on_a_cluster(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster)
    tuning = "tuning: {trials: 3, space: {training.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}}}\n"
    for store, on in (("store", f"ray://{cluster.address}"), ("local", "local")):
        run(lab(tuning), tmp_path / store, on, "--workers", "1", sets=["seeds=1"])
    assert numbers(tmp_path / "store") == numbers(tmp_path / "local")


def test_smoke_and_confirmation_train_on_a_cluster(lab: Write, tmp_path: Path, cluster: Any) -> None:
    node(cluster)
    file, address = lab(ARMS), f"ray://{cluster.address}"
    for store, on in ((tmp_path / "store", address), (tmp_path / "local", "local")):
        run(file, store, "local")
        words = [sys.executable, "-m", "paribus", "confirm", str(file), "one_head", "--seeds", "1"]
        done = subprocess.run([*words, "--store", store, "--on", on], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        assert "training 2 runs on 1 worker" in done.stderr or on == "local"
    assert numbers(tmp_path / "store") == numbers(tmp_path / "local")
    words = command(file, tmp_path / "store", address, "--smoke")
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "One batch over and over: does the loss halve?" in done.stdout


def test_a_token_is_taken_or_asked_for(lab: Write, tmp_path: Path, own_ray: Path, monkeypatch: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = str(Path(sys.executable).parent / "ray")
    subprocess.run([program, "get-auth-token", "--generate"], check=True, capture_output=True)
    words = [
        "start",
        "--head",
        f"--port={address.split(':')[1]}",
        "--num-cpus=1",
        "--include-dashboard=false",
        "--block",
    ]
    with subprocess.Popen(
        [program, *words], env={**os.environ, "RAY_AUTH_MODE": "token"}, stdout=subprocess.DEVNULL
    ) as head:
        try:
            until(lambda: ray._answers(address))
            run(lab(), tmp_path / "store", f"ray://{address}", sets=["seeds=1"])
            monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong" * 10)
            with pytest.raises(MachineError, match=f"^the Ray cluster at {address} asks for a token: put that"):
                ray.join(f"ray://{address}")
        finally:
            head.send_signal(signal.SIGTERM)


def test_other_versions_are_told_in_a_sentence(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import ray\nray.__version__ = '2.50.0'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told = r"has other versions than this machine; they must be the same: .*Ray: 2\.60\.0.*Ray: 2\.50\.0"
    with pytest.raises(MachineError, match=told):
        ray.join(f"ray://{cluster.address}")


def test_what_is_no_head_is_told_in_a_sentence(own_ray: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "JOINS", 4.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(MachineError, match=f"^what answers at {address} is no Ray head, whose port is 6379"):
            ray.join(f"ray://{address}")


def test_ray_that_is_not_installed_is_told_in_a_sentence(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import paribus

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MachineError, match=r'--on ray: Ray is not installed; pip install "paribus\[ray\]"'):
        paribus.run(write(), on="ray", store="store")


def test_an_address_that_is_none_is_told_in_a_sentence(
    write: Write, own_ray: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import paribus

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wrong = {
        "slurm": "--on: got 'slurm', needs local, ray or ray://HOST:PORT",
        "ray://": "--on ray://: needs HOST:PORT of the cluster's head, such as 10.0.0.1:6379",
        "ray://head": "--on ray://head: needs HOST:PORT of the cluster's head, such as 10.0.0.1:6379",
        f"ray://127.0.0.1:{port}": f"--on ray://127.0.0.1:{port}: no Ray cluster answers at 127.0.0.1:{port}",
    }
    for on, message in wrong.items():
        with pytest.raises(ParibusError) as told:
            paribus.run(write(), on=on, store="store")
        assert str(told.value) == message
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(
        MachineError, match=f"^RAY_ADDRESS=127.0.0.1:{port}: no Ray cluster answers at 127.0.0.1:{port}$"
    ):
        paribus.run(write(), on="ray", store="store")
