import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.errors import DeviceError, UsageError
from edgecnn.files import check_folder, replacing, write_atomically, writing_to


def test_it_writes_and_makes_the_folders(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b.bin", b"new")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.bin"]


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as beside:
            beside.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")
    with replacing(path) as beside:
        beside.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["file/inside.bin", "folder", "x" * 300])
def test_a_place_that_is_none_is_a_wrong_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_atomically(tmp_path / name, b"new")
    assert sorted(path.name for path in tmp_path.iterdir() if "cache" not in path.name) == ["file", "folder"]


def test_a_full_device_is_an_error_of_the_device() -> None:
    with pytest.raises(DeviceError) as caught, writing_to(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.exit_code == 7
    assert "/dev/full" in caught.value.message


def test_another_error_of_the_system_goes_through(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing of ours") as caught, writing_to(tmp_path):
        raise OSError(errno.EINTR, "nothing of ours")
    assert type(caught.value) is InterruptedError


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    apart = [unshare or "", "--map-root-user", "--mount"]
    if not unshare or subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system gives no mount namespace of its own")
    code = f"""
import os, subprocess
from pathlib import Path
from edgecnn.errors import DeviceError
from edgecnn.files import write_atomically
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", {str(tmp_path)!r}], check=True)
path = Path({str(tmp_path)!r}) / "model.bin"
write_atomically(path, b"old")
try:
    write_atomically(path, bytes(2 << 20))
except DeviceError as error:
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["model.bin"]
    print("said:", error.message)
"""
    done = subprocess.run([*apart, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("said: No space left"), done.stderr


def test_a_folder_to_write_in_is_there_or_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_folder(tmp_path)
    check_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/dev/null")):
        with pytest.raises(UsageError, match="Nothing can be written") as caught:
            check_folder(path)
        assert "is a file" in caught.value.received
    monkeypatch.setattr("os.access", lambda *_: False)  # root, as which CI runs, may write anywhere
    with pytest.raises(UsageError, match="Nothing can be written"):
        check_folder(tmp_path / "a")
