"""The versions that a build depends on."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import edgecnn

PACKAGES = (
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
    "tensorflow",
    "tensorflow-model-optimization",
    "tf-keras",
)


@cache
def versions() -> dict[str, str | None]:
    """Of edgecnn, Python and every library that can change a result; None for one that is not installed."""
    return {"edgecnn": edgecnn.__version__, "python": platform.python_version()} | {
        package: _version(package) for package in PACKAGES
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
