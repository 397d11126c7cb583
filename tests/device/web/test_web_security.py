import contextlib
import http.client
import io
import json
import re
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.device.collect import Collection
from edgecnn.device.web import connection
from edgecnn.device.web.security import Listen, machine_names
from edgecnn.device.web.view import WebView
from edgecnn.errors import DeviceError, UsageError
from edgecnn.images import SplitRule
from edgecnn.splits import GOOD_START, images_needed

PATHS = ("/", "/page.js", "/page.css", "/icon.svg", "/about.json", "/snapshot.jpg", "/live.mjpeg", "/numbers")
OWN = {"x-edgecnn": "1"}


def test_every_answer_has_the_headers(serve: Any) -> None:
    with serve() as demo:
        answers = {path: demo.ask(path) for path in (*PATHS[:5], "/nothing", "/controls")}
        answers["named"] = demo.ask("/", host="evil.example")
    statuses = {path: answer[0] for path, answer in answers.items() if answer[0] != 200}
    assert statuses == {"/nothing": 404, "/controls": 405, "named": 403}
    for _, headers, _ in answers.values():
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_no_script_or_style_stands_in_the_page(serve: Any) -> None:
    with serve() as demo:
        page = demo.ask("/")[2].decode()
    assert "style=" not in page
    assert "<style" not in page
    assert not re.search(r"<[^>]* on\w+=", page)
    assert page.count("<script") == page.count('<script src="/page.js"') == 1


def test_no_other_file_is_reachable(serve: Any) -> None:
    paths = ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd"]
    paths += ["/page.html", "/app.py", "/page.js/../app.py", "/page.js%00.html", "/static/page.js"]
    paths += ["/\\..\\..\\etc\\passwd", "/%5c..%5cetc", "/page.js/", "/.", "/*"]
    with serve() as demo:
        for path in paths:
            status, headers, body = demo.ask(path)
            redirected = status == 307 and headers["location"].endswith("/page.js")  # without the slash
            assert redirected or (status, body) == (404, b"Not Found"), path


def test_a_name_that_is_not_ours_is_refused(serve: Any) -> None:
    evil = ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.7", "[::1]", "", "localhost:x"]
    evil += [
        "localhost@evil.example",
        "evil.example/localhost",
        "0",
        "[",
        "локалхост".encode().decode("latin-1"),
    ]
    with serve() as demo:
        for host in ("localhost", "127.0.0.1", "LocalHost:8042", "localhost.", "127.0.0.1:9"):
            assert demo.ask("/", host=host)[0] == 200, host
        for host in evil:
            assert demo.ask("/", host=host)[0] == 403, host
            assert demo.ask("/controls", "POST", b'{"paused": true}', host=host, **OWN)[0] == 403, host
            assert not demo.controls.paused


def test_only_the_page_may_change_something(serve: Any) -> None:
    refused: list[dict[str, str]] = [{}, {"origin": "http://localhost"}]
    refused += [{**OWN, "origin": origin} for origin in ("http://evil.example", "null", "http://localhost:1", "")]
    accepted: list[dict[str, str]] = [OWN, {**OWN, "origin": "http://localhost"}]
    with serve() as demo:
        for headers in refused:
            assert demo.ask("/controls", "POST", b'{"threshold": 0.5}', host="localhost", **headers)[0] == 403, headers
        for method in ("GET", "PUT", "DELETE"):
            assert demo.ask("/controls?threshold=0.5", method, **OWN)[0] == 405
        assert demo.controls.threshold == 0
        for threshold, headers in enumerate(accepted):
            body = b'{"threshold": %d}' % threshold
            assert demo.ask("/controls", "POST", body, host="localhost", **headers)[0] == 204
            assert demo.controls.threshold == threshold


def test_a_frame_is_kept_as_a_photo_of_a_class_where_that_was_asked_for(serve: Any, tmp_path: Path) -> None:
    def keep(demo: Any, label: object, **headers: str) -> tuple[int, bytes]:
        status, _, said = demo.ask("/photos", "POST", json.dumps({"label": label}).encode(), **headers)
        return status, said

    with serve() as demo:
        assert json.loads(demo.ask("/about.json")[2])["collects"] is None
        assert keep(demo, "mug", **OWN)[0] == 503
    with serve(collection=Collection(tmp_path / "photos", limit_bytes=4000)) as demo:
        assert json.loads(demo.ask("/about.json")[2])["collects"] == {
            "needed": images_needed(SplitRule()),
            "good": GOOD_START,
        }
        demo.wait_for_answers(1)
        assert keep(demo, "mug")[0] == 403  # from another page
        for label in ("../mug", ".mug", "", "a/b"):
            status, said = keep(demo, label, **OWN)
            assert (status, b"cannot be the name of a class, for it" in said) == (409, True)
        for label in (None, 1, ["mug"]):
            assert keep(demo, label, **OWN)[0] == 400
        assert not list(tmp_path.iterdir())
        status, said = keep(demo, "mug", **OWN)
        assert status == 200
        assert json.loads(said)["photos"] == 1
        assert cv2.imread(str(tmp_path / "photos" / json.loads(said)["saved"])).shape == (48, 320, 3)
        while (answer := keep(demo, "mug", **OWN))[0] == 200:
            pass
        assert (answer[0], b"is full" in answer[1]) == (409, True)


def test_what_cannot_be_set_is_refused(serve: Any) -> None:
    bodies = [b"", b"{}", b"[]", b"1", b"null", b"no json", b"\xff", b"[" * 1000]
    bodies += [b'{"stop": true}', b'{"paused": 1}', b'{"paused": null}', b'{"paused": true, "threshold": 0.5}']
    for value in (b"true", b'"0.5"', b"1.01", b"-0.01", b"NaN", b"Infinity", b"1" * 1000):
        bodies.append(b'{"threshold": %s}' % value)
    with serve() as demo:
        for body in bodies:
            status, _, said = demo.ask("/controls", "POST", body, **OWN)
            assert (status, b"is accepted" in said) == (400, True), body
        assert (demo.controls.paused, demo.controls.stop, demo.controls.threshold) == (False, False, 0)


def test_a_request_that_is_too_large_is_refused(serve: Any) -> None:
    def refused(demo: Any, path: str, **headers: str) -> bool:
        try:
            return demo.ask(path, **headers)[0] in (400, 431)
        except (BrokenPipeError, ConnectionResetError):  # it hangs up on who has not sent everything yet
            return True

    with serve() as demo:
        assert demo.ask("/controls", "POST", b" " * 2000, **OWN)[0] == 413
        assert refused(demo, "/", x_long="x" * 100_000)
        assert refused(demo, "/", **{f"x_{number}": "x" * 20 for number in range(2000)})
        assert refused(demo, "/" + "x" * 100_000)
        assert refused(demo, "/?token=" + "x" * 100_000)
        assert demo.ask("/")[0] == 200


def test_beyond_this_computer_everything_needs_the_token(serve: Any) -> None:
    with serve("0.0.0.0:0") as demo:
        demo.wait_for_answers(1)
        token = demo.url.partition("?token=")[2]
        assert len(token) >= 20
        for path in (*PATHS, "/nothing", f"/about.json?token={token}", "/?token=", "/?token=x", "/?token=%FF"):
            assert demo.ask(path)[0] == 401, path
        assert demo.ask("/controls", "POST", b'{"paused": true}', **OWN)[0] == 401

        status, headers, _ = demo.ask(f"/?token={token}")
        assert (status, headers["location"]) == (303, "/")
        cookie, *attributes = headers["set-cookie"].split("; ")
        assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(attributes)
        assert token not in cookie
        for path in PATHS[:6]:
            assert demo.ask(path, cookie=cookie)[0] == 200, path
        assert demo.ask("/controls", "POST", b'{"paused": true}', cookie=cookie, **OWN)[0] == 204
        assert demo.controls.paused
        for wrong in (
            cookie[:-1],
            cookie + "x",
            f"{cookie.partition('=')[0]}={token}",
            f"{cookie.partition('=')[0]}=ü",
        ):
            assert demo.ask("/", cookie=wrong.encode().decode("latin-1"))[0] == 401


def test_beyond_this_computer_its_own_names_are_known(serve: Any) -> None:
    with serve("0.0.0.0:0") as demo:
        for host in ("127.0.0.1", "localhost", f"127.0.0.1:{demo.port}", *machine_names()):
            assert demo.ask("/", host=host)[0] == 401, host
        for host in ("evil.example", "10.1.2.3", f"{socket.gethostname()}.evil.example"):
            assert demo.ask("/", host=host)[0] == 403, host


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.lengthy
def test_the_code_in_the_terminal_leads_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    read = [
        code_and_url(monkeypatch) for _ in range(8)
    ]  # each has its own token, and OpenCV misses a code now and then
    assert any(code for code, _ in read)
    assert all(code in ("", url) for code, url in read)


def code_and_url(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """What the code says, empty where OpenCV finds none, and where the page is."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with WebView("0.0.0.0:0") as view:
        pass
    lines = terminal.getvalue().splitlines()
    assert lines.pop() == f"The page is {view.url}"
    # Light is what is printed: a terminal is dark. Each character is two pixels, one above the other.
    halves = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    rows = [[halves[letter] for letter in line.ljust(len(lines[0]))] for line in lines]
    pixels = np.array(rows, np.uint8).transpose(0, 2, 1).reshape(2 * len(rows), -1)
    picture = cv2.copyMakeBorder(np.kron(pixels, np.ones((8, 8), np.uint8)), 40, 40, 40, 40, 0, value=255)
    return cv2.QRCodeDetector().detectAndDecode(picture)[0], view.url


def test_on_this_computer_alone_there_is_neither_token_nor_code(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with WebView("127.0.0.1:0") as view:
        assert "token" not in view.url
    assert terminal.getvalue() == f"The page is {view.url}\n"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0", "0.0.0.0", 8042),
        ("localhost:9000", "localhost", 9000),
        ("raspberrypi.local:0", "raspberrypi.local", 0),
        ("[::1]:8080", "::1", 8080),
        ("[::]", "::", 8042),
    ],
)
def test_where_it_listens(text: str, host: str, port: int) -> None:
    assert Listen.parse(text) == Listen(host=host, port=port)


@pytest.mark.parametrize(
    "text", ["", "8000", ":8000", "::1", "host:", "host:70000", "host:x", "a b", "http://host", "[x]"]
)
def test_what_is_no_place_to_listen(text: str) -> None:
    with pytest.raises(UsageError, match="no address to listen on"):
        WebView(text)


def test_a_port_in_use_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DeviceError, match="another program") as caught, WebView(f"127.0.0.1:{port}"):
            pass
    assert f"--listen 127.0.0.1:{port % 65535 + 1}" in caught.value.remedy
    with WebView(f"127.0.0.1:{port}") as view:
        assert str(port) in view.url
    with WebView(f"127.0.0.1:{port}"):
        pass  # at once again


@pytest.mark.parametrize("listen", ["192.0.2.7:0", "no-such-host.invalid:0"])
def test_an_address_of_somebody_else(listen: str) -> None:
    with pytest.raises(UsageError, match="cannot be served") as caught, WebView(listen):
        pass
    assert caught.value.received


@pytest.mark.native("thousands of requests")
def test_thousands_of_requests(serve: Any) -> None:
    statuses: list[int] = []

    def hammer(port: int) -> None:
        viewer = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(500):
            path = ("/", "/page.js", "/nothing", "/snapshot.jpg", "/about.json")[number % 5]
            viewer.request("GET", path)
            answer = viewer.getresponse()
            answer.read()
            statuses.append(answer.status)
        viewer.close()

    with serve() as demo:
        demo.wait_for_answers(1)
        threads = [threading.Thread(target=hammer, args=(demo.port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        demo.wait_for_answers(10)
        assert demo.ask("/")[0] == 200
    assert len(statuses) == 2000
    assert set(statuses) == {200, 404}


def test_who_sends_no_whole_request_is_dropped(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENT_S", 0.3)
    started = (b"", b"GET / HTTP/1.1\r\nHost: local", b"\x16\x03\x01\x02")
    with serve() as demo:
        for sent in started:
            with socket.create_connection(("127.0.0.1", demo.port), timeout=30) as silent:
                silent.sendall(sent)
                with contextlib.suppress(ConnectionResetError):
                    while said := silent.recv(1000):
                        assert b"200" not in said
        assert demo.ask("/")[0] == 200


@pytest.mark.lengthy
def test_too_many_at_once_are_turned_away_and_later_welcome(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 4)
    with serve() as demo:
        sockets = [socket.create_connection(("127.0.0.1", demo.port), timeout=30) for _ in range(4)]
        for _ in range(300):
            with pytest.raises(OSError, match=r"reset|closed|aborted"):
                demo.ask("/")
        demo.wait_for_answers(5)
        for each in sockets:
            each.close()
        for _ in range(100):
            try:
                assert demo.ask("/")[0] == 200
                break
            except OSError:
                demo.wait_for_answers(1)
        else:
            raise AssertionError("nobody is let in any more")
