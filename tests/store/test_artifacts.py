"""Run folders under a URL: whole or not there, found from anywhere, and no password is ever told."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from paribus import api
from paribus.cli.gc import gc
from paribus.cli.import_ import import_
from paribus.cli.show import show
from paribus.errors import StoreError
from paribus.planning import Job, plan
from paribus.running import Summary, execute
from paribus.running.local import Pool
from paribus.running.worker import do
from paribus.spec.load import load
from paribus.store import record as records
from paribus.store.artifacts import Artifacts, hidden
from paribus.store.folder import open_store
from paribus.store.record import Record

Write = Callable[..., Path]
SECRET = "hush-hush"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An FTP server with a password, and its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is built on asyncore
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer

    class Handler(FTPHandler):  # type: ignore[misc]
        authorizer = DummyAuthorizer()

        def log(self, *words: Any, **more: Any) -> None:
            pass

        logline = logerror = log

    folder = tmp_path_factory.mktemp("served")
    Handler.authorizer.add_user("me", SECRET, str(folder), perm="elradfmwMT")
    Handler.authorizer.add_user("guest", SECRET, str(folder), perm="elr")
    loop = IOLoop()
    served = FTPServer(("127.0.0.1", 0), Handler, ioloop=loop)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            served.serve_forever(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"ftp://me:{SECRET}@127.0.0.1:{served.address[1]}"
    over.set()
    thread.join()
    served.close_all()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server of S3 that lets in who it knows, and the environment of a user of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in user.items():
            patch.setenv(name, value)
        patch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "4")  # as many as make the bucket and the user
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        log = tmp_path_factory.mktemp("s3") / "log.txt"
        with log.open("w") as out, subprocess.Popen(words, stdout=out, stderr=out) as process:
            try:
                _wait_for(port, process, log)
                yield {**user, **_registered()}
            finally:
                process.kill()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def _registered() -> dict[str, str]:
    """A bucket, and the keys of a user who may do everything."""
    import boto3

    boto3.client("s3").create_bucket(Bucket="bucket")
    users = boto3.client("iam")
    users.create_user(UserName="me")
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    users.put_user_policy(UserName="me", PolicyName="everything", PolicyDocument=policy)
    key = users.create_access_key(UserName="me")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.fixture
def s3(endpoint: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket, for one whose environment says where it is and who asks."""
    from s3fs import S3FileSystem

    for name, value in endpoint.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()  # those that others asked with
    yield "s3://bucket"
    S3FileSystem.clear_instance_cache()


ON_S3 = pytest.param("s3", marks=pytest.mark.s3)


def place(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """A URL of some kind that nobody else writes to."""
    known = {"ftp": "server", "s3": "s3"}
    if kind in known:
        return f"{request.getfixturevalue(known[kind])}/{folder.name}"
    return f"{kind}://{folder}/artifacts/"


@pytest.fixture(params=["memory", "file", "ftp", ON_S3])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts(place(request.param, request, tmp_path))


def folder_of(runs: Path, run: str, why: str = "") -> Path:
    folder = runs / run
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(bytes(range(256)) * 1000)
    records.write(Record(run, "ok", why), folder)
    return folder


def test_a_folder_comes_back_as_it_was_placed_and_is_gone_when_removed(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.check()
    assert artifacts.names() == set()
    folder = folder_of(tmp_path / "here", "ab")
    assert not artifacts.is_placed(folder)
    artifacts.place(folder)
    assert artifacts.is_placed(folder)
    artifacts.place(folder_of(tmp_path / "here", "ab", "newer"))
    assert artifacts.names() == {"ab"}
    assert artifacts.record("ab") == Record("ab", "ok", "newer")
    assert artifacts.size("ab") > 256_000
    assert artifacts.fetch("ab", tmp_path / "there")
    fetched = tmp_path / "there" / "ab"
    assert (fetched / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()
    assert records.read(fetched) == Record("ab", "ok", "newer")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["ab"]
    artifacts.remove("ab")
    assert (artifacts.names(), artifacts.record("ab"), artifacts.size("ab")) == (set(), None, 0)
    assert not artifacts.fetch("ab", tmp_path / "nowhere")
    artifacts.remove("ab")


def test_a_folder_without_its_record_is_not_taken_for_whole(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.check()
    artifacts.place(folder_of(tmp_path / "here", "ab"))
    artifacts._files.rm_file(f"{artifacts._root}/ab/record.json")
    assert artifacts.record("ab") is None
    assert not artifacts.fetch("ab", tmp_path / "there")
    assert not (tmp_path / "there" / "ab").exists()


def test_the_newest_checkpoint_is_found_from_elsewhere(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.check()
    artifacts.bring("ab", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    for step in (5, 120):
        (tmp_path / "last.ckpt").write_bytes(b"%d" % step)
        artifacts.keep("ab", tmp_path / "last.ckpt", step)
    artifacts.bring("ab", tmp_path / "there")
    assert [file.read_bytes() for file in (tmp_path / "there").iterdir()] == [b"120"]
    assert artifacts.names() == set()
    artifacts.forget("ab")
    artifacts.bring("ab", tmp_path / "later")
    assert not (tmp_path / "later").exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s4://bucket/folder", r"got 's4://\.\.\.', which it does not"),
        ("ocilake://bucket/folder", r"need a package that is not installed: pip install ocifs$"),
        (
            f"ftp://me:{SECRET}@127.0.0.1:9/a",
            r"artifacts at ftp://me:\*\*\*@127\.0\.0\.1:9/a cannot be used \(.*refused\)",
        ),
        ("file:///proc/none/a", r"artifacts at file:///proc/none/a cannot be used \(FileNotFoundError.*are right"),
    ],
)
def test_a_place_that_cannot_be_used_is_told_in_a_sentence(
    url: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARIBUS_ARTIFACTS", url)
    with pytest.raises(StoreError, match=told) as raised:
        open_store(str(tmp_path / "store"))
    assert SECRET not in str(raised.value)


def test_who_may_not_write_is_told_so_without_the_password(server: str) -> None:
    with pytest.raises(StoreError, match=r"ftp://guest:\*\*\*@.* cannot be used \(error_perm: 550") as raised:
        Artifacts(server.replace("me:", "guest:") + "/somewhere").check()
    with pytest.raises(StoreError, match=r"cannot be used \(error_perm: 530") as wrong:
        Artifacts(server.replace(SECRET, "wrong-one")).check()
    assert SECRET not in f"{raised.value}{wrong.value}"
    assert "wrong-one" not in str(wrong.value)


def test_a_password_is_hidden_wherever_it_stands() -> None:
    assert hidden("ftp://me:a:b@c@host/x?token=1") == "ftp://me:***@host/x"
    assert hidden("simplecache::s3://key:word@bucket/x") == "simplecache::s3://key:***@bucket/x"
    assert hidden("s3://bucket/x") == "s3://bucket/x"


@pytest.mark.s3
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": SECRET}, r"cannot be used \(PermissionError: .*signature.*are right"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, r"cannot be used \(NoCredentialsError: .*are right"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, r"cannot be used \(EndpointConnectionError: .*127\.0\.0\.1:9"),
    ],
)
def test_s3_that_cannot_be_used_is_told_without_the_password(
    changes: dict[str, str], told: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=rf"artifacts at s3://bucket/a {told}") as raised:
        Artifacts(f"{s3}/a").check()
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("kind", ["ftp", ON_S3])
def test_what_one_machine_trained_another_finds_under_the_url(
    kind: str,
    write: Write,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned = plan(load(write(), ["seeds=1"]))
    run, url = planned.runs[0].id, place(kind, request, tmp_path)

    def pool(runs: Path) -> Pool:
        return Pool(runs, workers=1, threads=1, retries=0, artifacts=url)

    one = open_store(str(tmp_path / "one" / "store"), artifacts=url)
    assert execute(planned, one, pool(one.runs), api.Silent(), workers=1) == Summary(trained=1)
    other = open_store(str(tmp_path / "other" / "store"), artifacts=url)
    assert execute(planned, other, pool(other.runs), api.Silent(), workers=1) == Summary(reused=1)
    assert not other.run_folder(run).exists()
    told = f"its folder is not in {other.runs}; --artifacts names the folder or URL where it lies"
    with pytest.raises(StoreError, match=f"the run {run} has no weights here: {re.escape(told)}"):
        api.load_model(run, store=str(other.folder))
    show(run, store=str(other.folder))
    assert f"parameters; {told}\n" in capsys.readouterr().out
    show(run, store=str(other.folder), artifacts=url)
    assert f"parameters; {Artifacts(url).shown}/{run}\n" in capsys.readouterr().out
    elsewhere = f"its folder is neither in {other.runs} nor at file://{tmp_path}/empty"
    with pytest.raises(StoreError, match=re.escape(elsewhere)):
        api.load_model(run, store=str(other.folder), artifacts=f"file://{tmp_path}/empty")
    assert not other.run_folder(run).exists()
    monkeypatch.setenv("PARIBUS_ARTIFACTS", url)
    network = api.load_model(run, store=str(other.folder))
    mine = api.load_model(run, store=str(one.folder))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), mine.parameters(), strict=True))
    assert {file.name for file in other.run_folder(run).iterdir()} == {
        "kept.json", "kept.npz", "log.txt", "placed.txt", "record.json", "weights.safetensors",
    }  # fmt: skip
    for file in [*one.folder.rglob("*"), *other.folder.rglob("*")]:
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    assert gc(run=run, delete=True, store=str(other.folder)) == 0
    assert Artifacts(url).names() == set()
    assert not other.run_folder(run).exists()
    # What lies on the first machine only is placed by its next command.
    for file in one.runs.glob("*/placed.txt"):
        file.unlink()
    assert execute(planned, one, pool(one.runs), api.Silent(), workers=1) == Summary(reused=1)
    assert Artifacts(url).names() == {run}


@pytest.mark.parametrize("kind", ["file", ON_S3])
def test_a_run_that_was_broken_off_on_one_machine_goes_on_on_another(
    kind: str, write: Write, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    torch.set_num_threads(1)
    planned = plan(load(write(), ["seeds=1", "training.steps=40", "training.schedule=constant"]))
    job, url = planned.job(planned.runs[0]), place(kind, request, tmp_path)

    def done(machine: str, stop_at: int = 10**9, artifacts: str = url) -> tuple[dict[str, Any], list[str]]:
        notes: list[str] = []
        calls = iter(range(1, 10**9))
        answer = do(
            "train",
            Job(**vars(job)),
            tmp_path / machine,
            lambda news: notes.append(news["news"]["note"]),
            lambda: "interrupted" if next(calls) >= stop_at else "",
            artifacts,
        )
        return answer, notes

    straight, _ = done("straight", artifacts="")
    broken, _ = done("one", stop_at=13)
    assert (broken["status"], broken["record"]["steps"]) == ("interrupted", 13)
    further, notes = done("other", stop_at=9)
    assert (further["status"], further["record"]["steps"]) == ("interrupted", 22)
    assert "going on from step 13" in notes
    # The first machine has an older checkpoint of its own: the newer one counts.
    ended, notes = done("one")
    assert "going on from step 22" in notes
    assert ended["status"] == "ok"
    for name in ("scores", "order", "initial", "probes", "notes"):
        assert ended["record"][name] == straight["record"][name]
    assert Artifacts(url).names() == {job.id}
    assert Artifacts(url)._listed(f"{Artifacts(url)._root}/{job.id}.resume") == []
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [job.id]


def test_a_plain_folder_is_used_as_it_is(write: Write, tmp_path: Path) -> None:
    placed = open_store(str(tmp_path / "store"), artifacts=str(tmp_path / "large disk"))
    assert placed.artifacts is None
    assert placed.runs == tmp_path / "large disk"
    folder_of(tmp_path / "store" / "runs", "old")
    assert placed.fetched("old") == tmp_path / "store" / "runs" / "old"
    folder_of(placed.runs, "new")
    assert placed.take_in() == ["new"]
    placed.remove("old")
    placed.remove("new")
    assert list(tmp_path.glob("*/**/record.json")) == []


@pytest.mark.parametrize("kind", ["file", "plain"])
def test_a_store_whose_folders_lie_elsewhere_is_imported_with_them(
    kind: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = f"file://{tmp_path}/theirs" if kind == "file" else str(tmp_path / "theirs")
    ours = f"file://{tmp_path}/ours"
    planned = plan(load(write(), ["seeds=2"]))
    first, second = (run.id for run in planned.runs)
    other = open_store(str(tmp_path / "other"), artifacts=theirs)
    other.database.save_plan(planned)
    for run in (first, second):
        other.database.add(records.read(folder_of(other.runs, run)))
    other.place()
    if kind == "file":
        shutil.rmtree(other.runs)
    monkeypatch.setenv("PARIBUS_ARTIFACTS", ours)
    here = str(tmp_path / "here")

    def said(artifacts: str | None) -> tuple[str, str]:
        assert import_(str(tmp_path / "other"), store=here, artifacts=artifacts) == 0
        return tuple(capsys.readouterr())

    out, err = said(None)
    assert out == "1 experiment, 2 attempts at 2 runs and 0 run folders taken over\n"
    assert "2 runs came without a folder, so without weights" in err
    assert said(theirs) == ("0 experiments, 0 attempts at 0 runs and 2 run folders taken over\n", "")
    assert said(theirs) == ("0 experiments, 0 attempts at 0 runs and 0 run folders taken over\n", "")
    assert Artifacts(ours).names() == {first, second}
    assert (open_store(here).fetched(first) / "weights.safetensors").is_file()
    assert not (other.folder / "runs").exists()
