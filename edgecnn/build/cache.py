"""Finished stages on disk, by key: found again, waited for, never half there.

``ROOT/KEY/`` is an artifact; ``ROOT/KEY.part/`` is the workspace of a stage that runs or was killed, and becomes the
artifact by one rename; ``ROOT/KEY.lock`` makes a second build of the same key wait.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from edgecnn.build.recipe import Artifact
from edgecnn.files import write_atomically, writing_to
from edgecnn.progress import Progress

_FACTS = "artifact.json"


class Cache:
    """The artifacts below a folder.

    Args:
        root: the folder; None takes ``EDGECNN_CACHE``, else the user's cache folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        named = os.environ.get("EDGECNN_CACHE")
        self.root = root or (Path(named) if named else user_cache_path("edgecnn"))

    @contextmanager
    def locked(self, key: str, progress: Progress) -> Iterator[None]:
        """Hold a key; a build that dies lets go of it."""
        with writing_to(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / f"{key}.lock")
        try:
            with writing_to(self.root):
                lock.acquire(timeout=0)
        except Timeout:
            progress.say("another build is at work on this stage: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def find(self, key: str) -> Artifact | None:
        """A finished artifact, None where it is not there or not whole."""
        folder = self.root / key
        try:
            facts = json.loads((folder / _FACTS).read_text())
            sizes = facts.pop("sizes")
            if any((folder / name).stat().st_size != size for name, size in sizes.items()):
                return None
            return Artifact(key=key, files={name: folder / name for name in sizes}, **facts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def workspace(self, key: str) -> Path:
        """The folder in which a stage works; what a killed stage left is still there."""
        folder = self.root / f"{key}.part"
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def discard(self, key: str) -> None:
        """Remove an artifact and its workspace, but for one that a build is at work on."""
        with suppress(Timeout), FileLock(self.root / f"{key}.lock", timeout=0):
            for folder in (self.root / key, self.root / f"{key}.part"):
                shutil.rmtree(folder, ignore_errors=True)

    def keep(self, artifact: Artifact) -> Artifact:
        """Turn the workspace of a finished stage into its artifact; nothing but the artifact's files stays.

        Checkpoints go last: a kill at any moment before leaves them for the next run.
        """
        workspace, folder = self.workspace(artifact.key), self.root / artifact.key
        facts = {
            "kind": artifact.kind,
            "sizes": {name: path.stat().st_size for name, path in artifact.files.items()},
            "metrics": artifact.metrics,
            "parent": artifact.parent,
            "seconds": artifact.seconds,
        }
        write_atomically(workspace / _FACTS, json.dumps(facts).encode())
        with writing_to(folder):
            if folder.exists():  # not whole: `find` has refused it
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
            workspace.rename(folder)
            for path in folder.iterdir():
                if path.name not in (*artifact.files, _FACTS):
                    path.unlink()
        return replace(artifact, files={name: folder / name for name in artifact.files})
