import subprocess
import sys

from edgecnn.device.terminal import TerminalView
from edgecnn.device.views import VIEWS, NoView


def test_the_views_a_user_can_name() -> None:
    assert list(VIEWS) == ["terminal", "none"]
    assert isinstance(VIEWS["none"](), NoView)
    assert isinstance(VIEWS["terminal"](), TerminalView)


def test_the_device_side_loads_neither_tensorflow_nor_click_nor_rich() -> None:
    program = "import sys, edgecnn.device; print({'tensorflow', 'keras', 'click', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
