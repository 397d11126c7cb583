"""The command itself, as a user starts it, ends it and looks at it in a browser."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle

NOT_YET = "\u2013"  # what stands for a number that is not there
ROOT = Path(__file__).parents[3]
PICTURES = os.environ.get("EDGECNN_PICTURES")  # where to leave the screenshots; else they go with the test


@contextmanager
def demo(bundle_path: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the address that it printed."""
    command = [sys.executable, "-m", "edgecnn", "demo", str(bundle_path), "--camera", "synthetic", *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background of a shell, Ctrl-C is ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                yield process, found[0]
                break
        else:
            raise AssertionError(f"it ended: {process.wait()}")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.lengthy
def test_ctrl_c_ends_it_at_once_also_with_viewers(bundle_path: Path) -> None:
    with demo(bundle_path, "--listen", "127.0.0.1:0", "--json") as (process, url):
        port = int(url.rstrip("/").rpartition(":")[2])
        viewers = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(4)]
        for viewer, path in zip(viewers, ("/live.mjpeg", "/numbers", "/live.mjpeg", "/"), strict=True):
            viewer.request("GET", path)
        assert viewers[0].getresponse().read(2000)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
        for viewer in viewers:
            viewer.close()
    assert process.returncode == 0
    assert stderr == ""  # nothing but the address
    assert json.loads(stdout)["frames"] > 0


@pytest.mark.lengthy
def test_the_page_of_a_photo_stays_and_says_that_it_was_all(bundle_path: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((48, 64, 3), 90, np.uint8))
    with demo(bundle_path, "--camera", str(tmp_path / "photo.png"), "--listen", "127.0.0.1:0") as (process, url):
        assert process.stderr is not None
        for line in process.stderr:
            if line == "photo.png has ended; Ctrl-C ends the demo.\n":
                break
        place = url.removeprefix("http://").rstrip("/")
        for path, wanted in (("/numbers", b'"notice": "photo.png has ended"'), ("/live.mjpeg", b"image/jpeg")):
            viewer = http.client.HTTPConnection(place, timeout=30)
            viewer.request("GET", path)
            answer, seen = viewer.getresponse(), b""
            while wanted not in seen:
                seen += (more := answer.read1(1000))
                assert more, "the page has gone"
            viewer.close()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.chromium
def test_a_browser_shows_the_photo_that_was_all(bundle_path: Path, browser: Any, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((48, 64, 3), 90, np.uint8))
    page = Page(browser, tmp_path)
    with demo(bundle_path, "--camera", str(tmp_path / "photo.png"), "--listen", "127.0.0.1:0") as (_, url):
        for _ in range(2):  # also who comes again
            browser.get(url)
            page.wait_for(lambda: page.script("return document.getElementById('picture').naturalWidth") == 64)
            page.wait_for(lambda: page["picture"].is_displayed() and page["notice"].text.endswith("has ended"))


@pytest.mark.lengthy
def test_two_at_once(bundle_path: Path) -> None:
    with (
        demo(bundle_path, "--listen", "127.0.0.1:0") as (_, url),
        demo(bundle_path, "--listen", "127.0.0.1:0") as (_, other),
    ):
        assert url != other
        place = url.removeprefix("http://").rstrip("/")
        command = [
            sys.executable,
            "-m",
            "edgecnn",
            "demo",
            str(bundle_path),
            "--camera",
            "synthetic",
            "--listen",
            place,
        ]
        third = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert third.returncode == 7
    assert "another program listens there" in third.stderr
    assert "to do" in third.stderr


class Page:
    """What a user sees and does."""

    def __init__(self, browser: Any, tmp_path: Path) -> None:
        self.browser, self._folder = browser, Path(PICTURES) if PICTURES else tmp_path

    def __getitem__(self, name: str) -> Any:
        return self.browser.find_element("id", name)

    def wait_for(self, fits: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not fits():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def script(self, code: str) -> Any:
        return self.browser.execute_script(code)

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def picture(self, name: str, scheme: str = "light") -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        time.sleep(0.5)  # transitions
        self.browser.save_screenshot(str(self._folder / f"{name}.png"))


def uses_the_page(page: Page, tmp_path: Path) -> None:
    """Reads everything and presses everything."""
    page.wait_for(
        lambda: page["shown"].text.strip() and page["fps"].text != NOT_YET and page["ms-invoke"].text != NOT_YET
    )
    page.wait_for(lambda: page.script("return document.getElementById('picture').naturalWidth") == 640)
    assert page["notice"].is_displayed() is False
    assert page["camera"].text == "synthetic"
    assert re.fullmatch(r"\d+\.\d FPS", page["fps"].text)
    rows = page.browser.find_elements("css selector", "#bars li")
    assert len(rows) == 5
    assert all(re.search(r"\d\.\d\d\d$", row.text) for row in rows)
    assert [row.text.partition("\n")[0] for row in page.browser.find_elements("css selector", "#phases li")]
    assert page.script("return document.documentElement.scrollWidth <= window.innerWidth")

    page["pause"].click()
    page.wait_for(lambda: page["pause"].text == "Continue" and page["notice"].is_displayed())
    assert page["notice"].text.lower() == "paused"
    page["pause"].click()
    page.wait_for(lambda: page["pause"].text == "Pause" and not page["notice"].is_displayed())

    page.script("document.getElementById('slider').focus()")
    page["slider"].send_keys("\ue010")  # End: as far as it goes
    page.wait_for(lambda: page["threshold"].text == "1.00" and page["shown"].text == "unknown")
    page["slider"].send_keys("\ue011")  # Home
    page.wait_for(lambda: page["threshold"].text == "0.00" and page["shown"].text not in ("", "unknown"))

    page["label"].clear()
    page["label"].send_keys("mug \u5c0f\n")
    page.wait_for(
        lambda: re.match(r"Kept mug .*\.jpg; \d+ photos? of mug \S+, a build needs about \d+", page["kept"].text)
    )
    page["label"].clear()
    page["label"].send_keys("../evil\n")
    page.wait_for(lambda: "for it has a / in it" in page["kept"].text)
    assert list((tmp_path / "photos" / "mug \u5c0f").glob("*.jpg"))

    page["snapshot"].click()
    folder = tmp_path / "downloads"
    page.wait_for(lambda: list(folder.glob("snapshot-*.jpg")))
    (path,) = folder.glob("snapshot-*.jpg")
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (480, 640, 3)
    path.unlink()


@pytest.mark.chromium
def test_the_page_in_a_browser_on_a_desktop_and_on_a_phone(bundle_path: Path, browser: Any, tmp_path: Path) -> None:
    page = Page(browser, tmp_path)
    options = ("--listen", "127.0.0.1:0", "--pace", "25", "--collect", str(tmp_path / "photos"))
    with demo(bundle_path, *options) as (_, url):
        page.size(1280, 720)
        browser.get(url)
        uses_the_page(page, tmp_path)
        page.picture("desktop")
        page.picture("desktop-dark", "dark")
        page.size(390, 844, mobile=True)
        uses_the_page(page, tmp_path)
        page.picture("phone")
        page.picture("phone-dark", "dark")
        errors = [entry for entry in browser.get_log("browser") if "409" not in entry["message"]]  # a name that is none
        assert errors == []  # and nothing that the content policy forbids
    page.wait_for(lambda: page["notice"].is_displayed())
    assert "trying again" in page["notice"].text or "has ended" in page["notice"].text


@pytest.mark.chromium
def test_with_a_token_and_labels_that_are_markup(
    int8_model: bytes, bundle: Bundle, browser: Any, tmp_path: Path, manifest_of: Callable[..., dict[str, Any]]
) -> None:
    assert bundle.input is not None
    bad = [
        f"<img src=x onerror=document.title='owned'> and longer than the line {number}"
        for number in range(len(bundle.labels))
    ]
    manifest = manifest_of([f"{number:02x}" * 32 for number in range(256)])
    path = tmp_path / "markup.tflite"
    Bundle.make(int8_model, name="markup", spec=bundle.input, labels=tuple(bad), manifest=manifest).write(path)
    page = Page(browser, tmp_path)
    page.size(360, 740, mobile=True)
    with demo(path, "--listen", "0.0.0.0:0", "--pace", "25") as (_, url):
        address, _, token = url.partition("?token=")
        port = address.rstrip("/").rpartition(":")[2]
        browser.get(f"http://127.0.0.1:{port}/")
        assert "needs its token" in browser.page_source
        browser.get(f"http://127.0.0.1:{port}/?token={token}")
        assert browser.current_url == f"http://127.0.0.1:{port}/"
        page.wait_for(lambda: page["shown"].text.strip() and page["fps"].text != NOT_YET)
        assert page["shown"].text in bad
        names = [each.text for each in browser.find_elements("css selector", "#bars .name")]
        assert set(names) <= set(bad)
        assert len(browser.find_elements("tag name", "img")) == 1
        assert not page["teach"].is_displayed()
        assert "owned" not in browser.title
        right_edge = (
            "return Math.max(...[...document.querySelectorAll('*')].map((e) => e.getBoundingClientRect().right))"
        )
        assert page.script(right_edge) <= 360
        page.picture("long-labels")
        assert [entry for entry in browser.get_log("browser") if "401" not in entry["message"]] == []
