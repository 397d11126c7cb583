"""From a folder of photos to a proved int8 ``.tflite``, running live on a Raspberry Pi.

On a device, without TensorFlow::

    from edgecnn import Bundle, Classifier
    with Classifier(Bundle.read("shapes.tflite"), threads=2) as classifier:
        predictions = classifier(frame)      # RGB, uint8, (height, width, 3); best first
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecnn.bundle import Bundle
    from edgecnn.inference import Classifier, Prediction
    from edgecnn.preprocess import InputSpec

__version__ = "0.1.0"
__all__ = ["Bundle", "Classifier", "InputSpec", "Prediction", "__version__"]

_HOME = {
    "Bundle": "edgecnn.bundle",
    "Classifier": "edgecnn.inference",
    "InputSpec": "edgecnn.preprocess",
    "Prediction": "edgecnn.inference",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first asked for (PEP 562): ``import edgecnn`` itself loads nothing."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'edgecnn' has no attribute {name!r}")
