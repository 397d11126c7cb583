import subprocess
import sys

import pytest

from edgecnn.device.terminal import TerminalView
from edgecnn.device.views import VIEWS, NoView, open_view
from edgecnn.device.web.view import WebView
from edgecnn.device.window import WindowView
from edgecnn.errors import UsageError


def test_the_views_a_user_can_name() -> None:
    assert list(VIEWS) == ["web", "window", "terminal", "none"]
    kinds = WebView, WindowView, TerminalView, NoView
    assert all(isinstance(open_view(name), kind) for name, kind in zip(VIEWS, kinds, strict=True))
    assert isinstance(open_view("web", listen="localhost:8000"), WebView)


@pytest.mark.parametrize(("name", "listen"), [("hologram", None), ("none", "localhost"), ("web", "8000")])
def test_a_view_that_there_is_not(name: str, listen: str | None) -> None:
    with pytest.raises(UsageError):
        open_view(name, listen=listen)


@pytest.mark.lengthy
def test_the_device_side_loads_no_library_that_only_one_view_needs() -> None:
    libraries = {"tensorflow", "keras", "click", "rich", "starlette", "uvicorn", "anyio", "h11", "segno", "asyncio"}
    program = f"import sys, edgecnn.device; print({libraries!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
