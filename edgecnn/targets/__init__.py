"""What a model may be for: one line per target; the runtimes in the order in which they are tried.

A target is a module with `load`, `compile`, and what is missing for either; see `edgecnn.targets.session.Target`.
"""

import platform
import sys

from edgecnn.errors import UsageError
from edgecnn.targets.edgetpu import EdgetpuTarget
from edgecnn.targets.ethos import EthosTarget
from edgecnn.targets.micro import MicroTarget
from edgecnn.targets.openvino import OpenvinoTarget
from edgecnn.targets.session import Session, Target, TensorInfo
from edgecnn.targets.tflite import TfliteTarget

__all__ = ["TARGETS", "Session", "Target", "TensorInfo", "choose", "named"]

TARGETS: dict[str, Target] = {
    "litert": TfliteTarget("ai-edge-litert", "ai_edge_litert.interpreter"),
    "tflite-runtime": TfliteTarget(
        "tflite-runtime", "tflite_runtime.interpreter", "pip install '.[tflite-runtime]' (Python up to 3.11)"
    ),
    "tensorflow": TfliteTarget("tensorflow", "tensorflow.lite.python.interpreter", "pip install '.[build]'"),
    "openvino": OpenvinoTarget(),
    "micro": MicroTarget(),
    "ethos-u55": EthosTarget.of("ethos-u55"),
    "ethos-u65": EthosTarget.of("ethos-u65"),
    "ethos-u85": EthosTarget.of("ethos-u85"),
    "edgetpu": EdgetpuTarget(),
}


def named(name: str) -> Target:
    """The target of that name, installed or not.

    Raises:
        UsageError: there is no such target.
    """
    if name not in TARGETS:
        raise UsageError(
            "There is no such target.", received=name, accepted=", ".join(TARGETS), remedy="choose one of these"
        )
    return TARGETS[name]


def choose(name: str | None = None) -> Target:
    """The target of that name to run a model on, or the first runtime that is installed.

    Raises:
        UsageError: there is no such target, or it (or any) is not installed, or it runs on a board alone.
    """
    for target in [named(name)] if name is not None else [target for target in TARGETS.values() if target.general]:
        if target.installed():
            return target
    running = named(name).running() if name else None
    runtime = name is None or named(name).general
    if name and running is None:
        raise UsageError(
            f"What is compiled for {name} runs on its board alone.",
            received=name,
            accepted=_installed(),
            remedy="run the file that it was compiled from here; put this one on the board",
        )
    if sys.maxsize < 2**32:
        raise UsageError(
            "This is a 32-bit system, which LiteRT is not made for.",
            received=f"a 32-bit Python on {platform.machine()}",
            accepted="a 64-bit system; `getconf LONG_BIT` says which one this is",
            remedy="install the 64-bit Raspberry Pi OS, which runs on a Pi 3 and later and on a Zero 2 W",
        )
    raise UsageError(
        f"The target {name} is not installed." if name else "No interpreter for .tflite files is installed.",
        received=name if running is None or runtime else running.note,
        accepted=_installed(),
        remedy="in a checkout of edgecnn: pip install . (it brings LiteRT; 64-bit systems only), or "
        "'.[tflite-runtime]' up to Python 3.11, or '.[openvino]', or '.[micro]'",
    )


def _installed() -> str | None:
    return ", ".join(known for known, target in TARGETS.items() if target.installed()) or None
