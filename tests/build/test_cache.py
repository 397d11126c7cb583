import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn.build.cache import Cache
from edgecnn.build.recipe import Artifact
from edgecnn.errors import UsageError


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def kept(cache: Cache, key: str = "k1", text: bytes = b"weights") -> Artifact:
    workspace = cache.workspace(key)
    (workspace / "weights.npz").write_bytes(text)
    (workspace / "checkpoint.npz").write_bytes(b"not part of the artifact")
    files = {"weights.npz": workspace / "weights.npz"}
    return cache.keep(Artifact(kind="keras", files=files, metrics={"loss": [0.5]}, key=key, parent="k0", seconds=1.5))


def test_what_was_kept_is_found(cache: Cache) -> None:
    artifact = kept(cache)
    assert cache.find("k1") == artifact
    assert artifact.files["weights.npz"].read_bytes() == b"weights"
    assert (artifact.kind, artifact.metrics, artifact.parent, artifact.seconds) == ("keras", {"loss": [0.5]}, "k0", 1.5)


def test_only_the_artifacts_files_stay(cache: Cache) -> None:
    kept(cache)
    assert sorted(path.name for path in cache.root.iterdir()) == ["k1"]
    assert sorted(path.name for path in (cache.root / "k1").iterdir()) == ["artifact.json", "weights.npz"]


def test_what_was_never_kept_is_not_found(cache: Cache) -> None:
    assert cache.find("k1") is None
    (cache.workspace("k1") / "weights.npz").write_bytes(b"half")
    assert cache.find("k1") is None


def test_a_workspace_outlives_its_build(cache: Cache) -> None:
    (cache.workspace("k1") / "checkpoint.npz").write_bytes(b"epoch 3")
    assert (Cache(cache.root).workspace("k1") / "checkpoint.npz").read_bytes() == b"epoch 3"


@pytest.mark.parametrize(
    "facts",
    [
        None,
        b"",
        b"[]",
        b"{}",
        b'{"sizes": 3}',
        b'{"sizes": {}}',
        b'{"kind": "keras", "sizes": {}, "from": "a later version"}',
    ],
)
def test_an_artifact_whose_facts_are_not_whole_is_not_found_and_made_anew(cache: Cache, facts: bytes | None) -> None:
    kept(cache)
    path = cache.root / "k1" / "artifact.json"
    path.unlink() if facts is None else path.write_bytes(facts)
    assert cache.find("k1") is None
    assert cache.find(kept(cache, text=b"again").key)


def test_an_artifact_with_a_file_cut_short_or_gone_is_not_found(cache: Cache) -> None:
    file = kept(cache).files["weights.npz"]
    file.write_bytes(b"weig")
    assert cache.find("k1") is None
    file.unlink()
    assert cache.find("k1") is None
    assert kept(cache, text=b"whole again").files["weights.npz"].read_bytes() == b"whole again"


def test_artifacts_are_json_all_the_way(cache: Cache) -> None:
    artifact = kept(cache)
    facts = json.loads((cache.root / "k1" / "artifact.json").read_text())
    assert str(cache.root) not in json.dumps(facts)
    moved = cache.root.with_name("moved")
    cache.root.rename(moved)
    found = Cache(moved).find("k1")
    assert found
    assert replace(found, files={}) == replace(artifact, files={})


def test_the_root_is_what_the_environment_names(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Cache().root == own_cache
    assert Cache(tmp_path).root == tmp_path
    monkeypatch.delenv("EDGECNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache().root == tmp_path / "xdg" / "edgecnn"


def test_a_root_that_cannot_be_is_a_wrong_usage(tmp_path: Path, progress: Any) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(UsageError, match="cannot be written"),
        Cache(tmp_path / "file" / "cache").locked("k1", progress),
    ):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from edgecnn.build.cache import Cache
class Progress:
    def say(self, message): print(message, flush=True)
with Cache(Path(sys.argv[1])).locked("k1", Progress()):
    print("held", flush=True)
    sys.stdin.readline()
print("let go", flush=True)
"""


def holder(cache: Cache) -> subprocess.Popen[str]:
    """Another process that holds the key k1, or waits for it, until it is sent a line."""
    command = [sys.executable, "-c", HOLDER, str(cache.root)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_second_process_says_that_it_waits_and_goes_on_when_the_first_is_done(cache: Cache) -> None:
    with holder(cache) as first:
        assert line(first) == "held"
        with holder(cache) as second:
            assert line(second).startswith("another build is at work")
            assert first.stdin
            first.stdin.write("\n")
            first.stdin.flush()
            assert line(first) == "let go"
            assert line(second) == "held"


def test_kill_9_lets_go(cache: Cache, progress: Any) -> None:
    with holder(cache) as first:
        assert line(first) == "held"
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    with cache.locked("k1", progress):
        assert progress.lines == []


def test_two_keys_do_not_wait_for_each_other(cache: Cache, progress: Any) -> None:
    with cache.locked("k1", progress), cache.locked("k2", progress):
        assert progress.lines == []
