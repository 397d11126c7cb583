"""Real parts, made once a session: a small network with random weights, as every kind of file it can become."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, InputSpec, shapes
from edgecnn.build.data import Images, split_facts
from edgecnn.images import SPLITS, SplitRule
from edgecnn.preprocess import Pixels

SPEC = InputSpec(height=96, width=96)


class Quiet:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.updates: list[tuple[int, int, str]] = []

    def update(self, done: int, total: int, note: str = "") -> None:
        self.updates.append((done, total, note))

    def say(self, message: str) -> None:
        self.lines.append(message)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that was skipped is a test that failed."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("EDGECNN_FAIL_ON_SKIP") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of the Keras model itself needs TensorFlow; one of a file may be given the file."""
    for item in items:
        if {"float_model", "square_model"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("tensorflow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Some tests talk to a real server that comes from Debian."""
    if item.get_closest_marker("gst_rtsp_server") and not _has_rtsp_server():
        pytest.skip("apt install --no-install-recommends python3-gi gir1.2-gst-rtsp-server-1.0")
    if item.get_closest_marker("sshd") and not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        pytest.skip("apt install --no-install-recommends openssh-server")


@cache
def _has_rtsp_server() -> bool:
    program = "import gi; gi.require_version('GstRtspServer', '1.0')"
    try:
        return subprocess.run(["/usr/bin/python3", "-c", program], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture
def progress() -> Quiet:
    return Quiet()


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Takes the permission to read a file or a folder away, from root, too."""
    locked: list[Path] = []

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def checked(path: Any = ".", *args: Any, **options: Any) -> Any:
            if not isinstance(path, int) and Path(path) in locked:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *args, **options)

        return checked

    monkeypatch.setattr(Path, "open", refusing(Path.open))
    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(os, "listdir", refusing(os.listdir))
    return locked.append


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's cache."""
    folder = tmp_path / "edgecnn-cache"
    monkeypatch.setenv("EDGECNN_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def pictures() -> Pixels:
    """Two pictures of each shape, (18, 96, 96, 3)."""
    classes = range(len(shapes.CLASSES))
    drawn = [
        shapes.render(label, np.random.default_rng((7, number, label)), (96, 96))
        for number in range(2)
        for label in classes
    ]
    return np.stack(drawn)


@pytest.fixture(scope="session")
def float_model() -> Any:
    """A Keras model with random weights, strong enough at the end that its scores differ."""
    from edgecnn.build.architectures import SeparableNet
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = SeparableNet(widths=(8, 16), strides=(2,)).build(SPEC, len(shapes.CLASSES))
    *weights, kernel, bias = model.get_weights()
    model.set_weights([*weights, kernel * 8, bias])
    return model


@pytest.fixture(scope="session")
def int8_model(request: pytest.FixtureRequest, pictures: Pixels) -> bytes:
    """It in int8, as the converter wrote it: a bare flatbuffer, uint8 in and out."""

    def convert(model: Any) -> bytes:
        from edgecnn.build import converter

        return converter.ptq_file(model, SPEC, pictures)

    return _given_or_made("int8.tflite", request, convert)


@pytest.fixture(scope="session")
def foreign_model(request: pytest.FixtureRequest) -> bytes:
    """It in float32: a bare flatbuffer without metadata."""

    def convert(model: Any) -> bytes:
        from edgecnn.build import converter

        return converter.float_file(model)

    return _given_or_made("float.tflite", request, convert)


def _given_or_made(
    name: str, request: pytest.FixtureRequest, convert: Callable[[Any], bytes], *, of: str = "float_model"
) -> bytes:
    """A file of ``EDGECNN_TEST_MODELS``, which is set where there is no TensorFlow; else what the model becomes."""
    if folder := os.environ.get("EDGECNN_TEST_MODELS"):
        return (Path(folder) / name).read_bytes()
    return convert(request.getfixturevalue(of))


@pytest.fixture(scope="session")
def manifest_of() -> Callable[..., dict[str, Any]]:
    """What the build writes into a manifest, for images of given digests and a rule."""
    return _manifest_of


def _manifest_of(digests: list[str], rule: SplitRule = SplitRule()) -> dict[str, Any]:  # noqa: B008
    members = {split: tuple(d for d in digests if rule.split_of(d) == split) for split in SPLITS}
    splits = {
        split: Images(pixels=np.empty((0, *SPEC.shape), np.uint8), labels=np.empty(0, np.int64), digests=members[split])
        for split in SPLITS
    }
    return {
        "splits": split_facts(splits, rule),
        "accuracy": {"float": 0.9, "ptq": 0.8, "int8": 0.85, "agreement": 0.95},
        "recipe": {"name": "tiny", "seed": 0},
        "provenance": {"versions": {"edgecnn": "0.1.0"}, "keys": {"train": "0" * 32}},
    }


@pytest.fixture(scope="session")
def bundle(int8_model: bytes) -> Bundle:
    """The int8 model, dressed as one that was built from images that no test has."""
    digests = [f"{number:02x}" * 32 for number in range(256)]
    return Bundle.make(int8_model, name="tiny", spec=SPEC, labels=shapes.CLASSES, manifest=_manifest_of(digests))


@pytest.fixture(scope="session")
def bundle_path(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole bundle: 96x96x3 uint8 in, int8 inside, uint8 scores of `shapes.CLASSES` out."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.tflite"
    bundle.write(path)
    return path


@pytest.fixture(scope="session")
def foreign_path(foreign_model: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole ``.tflite`` that edgecnn did not build."""
    path = tmp_path_factory.mktemp("foreign") / "foreign.tflite"
    path.write_bytes(foreign_model)
    return path


@pytest.fixture(scope="session")
def square_model() -> Any:
    """A Keras model that was trained to see a bright square; see `tests.squares`."""
    from tests import squares

    return squares.trained()


@pytest.fixture(scope="session")
def square_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """It in int8."""
    from tests import squares

    (path := tmp_path_factory.mktemp("squares") / "squares.tflite").write_bytes(
        _given_or_made("squares.tflite", request, lambda model: squares.bundle_of(model).data, of="square_model")
    )
    return Bundle.read(path)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Chromium without a screen; what it downloads is in ``downloads``."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed")
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    for flag in ("background-networking", "component-update", "sync", "dev-shm-usage"):
        options.add_argument(f"--disable-{flag}")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(driver))
    chrome.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "downloads")}
    )
    yield chrome
    chrome.quit()
