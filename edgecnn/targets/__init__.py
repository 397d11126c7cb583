"""What runs a model: one line per target, in the order in which they are tried."""

import platform
import sys

from edgecnn.errors import UsageError
from edgecnn.targets.openvino import OpenvinoTarget
from edgecnn.targets.session import Session, Target, TensorInfo
from edgecnn.targets.tflite import TfliteTarget

__all__ = ["TARGETS", "Session", "Target", "TensorInfo", "choose"]

TARGETS: dict[str, Target] = {
    "litert": TfliteTarget("ai-edge-litert", "ai_edge_litert.interpreter"),
    "tflite-runtime": TfliteTarget("tflite-runtime", "tflite_runtime.interpreter"),
    "tensorflow": TfliteTarget("tensorflow", "tensorflow.lite.python.interpreter"),
    "openvino": OpenvinoTarget(),
}


def choose(name: str | None = None) -> Target:
    """The target of that name, or the first that is installed.

    Raises:
        UsageError: there is no such target, or it (or any) is not installed.
    """
    if name is not None and name not in TARGETS:
        raise UsageError(
            "There is no such target.", received=name, accepted=", ".join(TARGETS), remedy="choose one of these"
        )
    wanted = [TARGETS[name]] if name else list(TARGETS.values())
    for target in wanted:
        if target.installed():
            return target
    if sys.maxsize < 2**32:
        raise UsageError(
            "This is a 32-bit system, which LiteRT is not made for.",
            received=f"a 32-bit Python on {platform.machine()}",
            accepted="a 64-bit system; `getconf LONG_BIT` says which one this is",
            remedy="install the 64-bit Raspberry Pi OS, which runs on a Pi 3 and later and on a Zero 2 W",
        )
    raise UsageError(
        f"The target {name} is not installed." if name else "No interpreter for .tflite files is installed.",
        received=name,
        accepted=", ".join(known for known, target in TARGETS.items() if target.installed()) or None,
        remedy="in a checkout of edgecnn: pip install . (it brings LiteRT; 64-bit systems only), or "
        "'.[tflite-runtime]' up to Python 3.11, or '.[openvino]'",
    )
