"""All commands to know: nox -s tests | slow | kills | ray | s3 | gpu | lint | types | benchmarks; one environment."""

import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types"]
nox.options.default_venv_backend = "none"  # nox would make an environment for each session; torch is too large for that

CONSTRAINTS = Path("requirements/constraints.txt")
GROUPS = ("tests", "lint", "types")
ENVIRONMENT = Path(".nox/paribus").resolve()
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")


def run(session: nox.Session, program: str, *words: str) -> None:
    session.run(str(PROGRAMS / program), *words, external=True)


def prepare(session: nox.Session) -> None:
    """Install the project and all tools once, and again when what they are changes."""
    wanted = Path("pyproject.toml").read_text() + CONSTRAINTS.read_text()
    stamp = ENVIRONMENT / "installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    groups = nox.project.load_toml("pyproject.toml")
    tools = [package for group in GROUPS for package in nox.project.dependency_groups(groups, group)]
    session.run(sys.executable, "-m", "venv", str(ENVIRONMENT), external=True)
    run(session, "python", "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), "-e", ".", *tools)
    stamp.write_text(wanted)


@nox.session
def tests(session: nox.Session) -> None:
    """The quick tests; arguments after -- go to pytest."""
    prepare(session)
    quick = "not slow and not gpu and not kills and not ray and not s3"
    run(session, "pytest", "-n", "2", "--dist", "worksteal", "-m", quick, *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Real training that takes more than a few seconds."""
    prepare(session)
    run(session, "pytest", "-m", "slow", *session.posargs)


@nox.session
def kills(session: nox.Session) -> None:
    """Drivers and workers killed at seeded moments; takes some minutes."""
    prepare(session)
    run(session, "pytest", "-m", "kills", *session.posargs)


@nox.session
def ray(session: nox.Session) -> None:
    """Ray clusters on loopback, whose nodes and drivers die."""
    prepare(session)
    run(session, "pytest", "-m", "ray", *session.posargs)


@nox.session
def s3(session: nox.Session) -> None:
    """A server of S3 that artifacts lie on; its packages want an older python-dateutil than the rest has."""
    prepare(session)
    wanted = Path("requirements/s3.txt").read_text()
    folder = ENVIRONMENT / "s3"
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        run(session, "python", "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), "-r",
            "requirements/s3.txt")  # fmt: skip
        stamp.write_text(wanted)
    session.env["PYTHONPATH"] = str(folder)
    run(session, "pytest", "-m", "s3", *(session.posargs or ["tests/store"]))


@nox.session
def gpu(session: nox.Session) -> None:
    """What needs a CUDA device."""
    prepare(session)
    run(session, "pytest", "-m", "gpu", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and format."""
    prepare(session)
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, with the pydantic plug-in."""
    prepare(session)
    run(session, "mypy")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Start-up, overhead, steps, memory, whole studies and many runs, beside what they are measured against."""
    prepare(session)
    peers = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "benchmarks")
    run(session, "python", "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), *peers)
    for name in (
        "startup",
        "overhead",
        "model_step",
        "memory",
        "report",
        "verdicts",
        "tuning",
        "orchestration",
        "scale",
    ):
        run(session, "python", f"benchmarks/{name}.py", *session.posargs)
