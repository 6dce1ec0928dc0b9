"""Finished run folders under a URL that fsspec understands, where several machines find them.

    URL/RUN/...              a finished folder; what lacks its `record.json` is not whole
    URL/RUN.resume/STEP.ckpt  the newest checkpoint of a run without a result

What fails is a StoreError in one sentence, with no password in it.
"""

import contextlib
import re
import shutil
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from paribus.errors import StoreError
from paribus.store import record as records
from paribus.store.unfinished import unfinished

PLACED = "placed.txt"  # in a local folder: where else it lies
ELSEWHERE = "elsewhere-"  # begins the name of a checkpoint that was brought here


def hidden(url: str) -> str:
    """A URL without its password, and without what follows a question mark."""
    return re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url.partition("?")[0])


class Artifacts:
    """One such place."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.shown = hidden(self.url)

    def check(self) -> None:
        """Raise StoreError unless files can be written there."""
        with self._telling():
            self._files.makedirs(self._root, exist_ok=True)
            probe = f"{self._root}/probe-{uuid.uuid4().hex}"
            self._files.pipe_file(probe, b"paribus")
            self._files.rm_file(probe)

    def names(self) -> set[str]:
        """The folders that are there, whole or not."""
        with self._telling():
            found = self._listed(self._root)
            return {name for name in found if "." not in name and "probe-" not in name}

    def record(self, run: str) -> records.Record | None:
        """What a run left, if its folder is whole."""
        with self._telling():
            if not self._there(f"{self._root}/{run}/{records.FILE}"):
                return None
            text = self._files.cat_file(f"{self._root}/{run}/{records.FILE}")
        return records.parsed(text, f"{self.shown}/{run}/{records.FILE}")

    def place(self, folder: Path) -> None:
        """Copy a finished folder there, its record last; an older one of the same name makes room first."""
        target = f"{self._root}/{folder.name}"
        with self._telling():
            if self._there(f"{target}/{records.FILE}"):
                self._files.rm_file(f"{target}/{records.FILE}")
            self._files.makedirs(target, exist_ok=True)
            for file in sorted(folder.iterdir()):
                if file.name not in (records.FILE, PLACED):
                    self._files.put_file(str(file), f"{target}/{file.name}")
            # Where copying is not all or nothing, moving is.
            self._files.put_file(str(folder / records.FILE), f"{target}/{records.FILE}.partial")
            self._files.mv(f"{target}/{records.FILE}.partial", f"{target}/{records.FILE}")
        (folder / PLACED).write_text(f"{self.shown}\n", encoding="utf-8")

    def is_placed(self, folder: Path) -> bool:
        try:
            return (folder / PLACED).read_text(encoding="utf-8").strip() == self.shown
        except OSError:
            return False

    def fetch(self, run: str, runs: Path) -> bool:
        """Bring a finished folder here, as a whole or not at all; whether there is one."""
        with self._telling():
            names = self._listed(f"{self._root}/{run}")
            if records.FILE not in names:
                return False
            partial = unfinished(runs / run)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            try:
                for name in names:
                    self._files.get_file(f"{self._root}/{run}/{name}", str(partial / name))
                (partial / PLACED).write_text(f"{self.shown}\n", encoding="utf-8")
                with contextlib.suppress(OSError):  # somebody else was quicker
                    partial.rename(runs / run)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return True

    def size(self, run: str) -> int:
        with self._telling():
            there = self._there(f"{self._root}/{run}")
            return int(self._files.du(f"{self._root}/{run}")) if there else 0

    def remove(self, run: str) -> None:
        """Remove a folder and the checkpoints of its run; that none is there is well."""
        with self._telling():
            if self._there(f"{self._root}/{run}"):
                self._files.rm(f"{self._root}/{run}", recursive=True)
        self.forget(run)

    # Checkpoints

    def keep(self, run: str, file: Path, step: int) -> None:
        """Copy a checkpoint there, then remove the older ones."""
        folder = f"{self._root}/{run}.resume"
        with self._telling():
            self._files.makedirs(folder, exist_ok=True)
            name = f"{step:012d}.ckpt"
            self._files.put_file(str(file), f"{folder}/{name}")
            for other in self._listed(folder):
                if other != name:
                    self._files.rm_file(f"{folder}/{other}")

    def bring(self, run: str, folder: Path) -> None:
        """Bring here the checkpoints of a run that was begun elsewhere."""
        source = f"{self._root}/{run}.resume"
        with self._telling():
            names = [name for name in self._listed(source) if name.endswith(".ckpt")]
            if not names:
                return
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                self._files.get_file(f"{source}/{name}", str(folder / f"{ELSEWHERE}{name}"))

    def forget(self, run: str) -> None:
        """Remove the checkpoints of a run."""
        folder = f"{self._root}/{run}.resume"
        with self._telling():
            if self._there(folder):
                self._files.rm(folder, recursive=True)

    # The file system

    def _there(self, path: str) -> bool:
        self._files.invalidate_cache()
        return bool(self._files.exists(path))

    def _listed(self, folder: str) -> list[str]:
        """What is in a folder, which need not be there."""
        if not self._there(folder):
            return []
        found = self._files.ls(folder, detail=False)
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        kind = self.url.partition("://")[0].partition("::")[0]
        try:
            files, root = url_to_fs(self.url)
        except ImportError as error:
            raise StoreError(
                f"artifacts at {self.shown} need a package that is not installed: {_mend(kind, error)}"
            ) from None
        except ValueError as error:
            if "not known" in str(error):
                raise StoreError(
                    f"artifacts lie in a folder or at a URL that fsspec knows, such as s3://BUCKET/FOLDER; "
                    f"got '{kind}://...', which it does not"
                ) from None
            raise
        return files, str(root).rstrip("/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Whatever a driver of fsspec raises, in one sentence."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            reason = self._without_secrets(f"{type(error).__name__}: {error}".strip().splitlines()[0])
            raise StoreError(
                f"the artifacts at {self.shown} cannot be used ({reason}); see that the place is there, that it can be "
                "written to, and that your name and password for it are right; what is stored stays"
            ) from None

    def _without_secrets(self, text: str) -> str:
        secret = re.search(r"://[^/@:]*:(.*)@", self.url)
        return text.replace(self.url, self.shown).replace(secret[1], "***") if secret and secret[1] else text


def _mend(kind: str, error: ImportError) -> str:
    """The command that installs what a kind of URL needs."""
    from fsspec.registry import known_implementations

    known = known_implementations.get(kind, {})
    package = str(known.get("class", "")).partition(".")[0]
    if package and package != "fsspec":
        return f"pip install {package}"
    return str(known.get("err") or error)
