"""Where the network that a file was made of looks, by its gradients: Grad-CAM.

Selvaraju et al. 2017, arXiv:1610.02391. It is the float network of the build, before it was quantized; its artifact is
found in the cache by the keys in the file's manifest.
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build.cache import Cache
from edgecnn.bundle import Bundle
from edgecnn.errors import UsageError
from edgecnn.explain.saliency import Map, OnStep
from edgecnn.preprocess import Pixels

NAME = "grad-cam"
_CONFIG, _WEIGHTS = "model.json", "weights.npz"  # `edgecnn.build.models`, which loads TensorFlow


class GradCam:
    """Maps of the float network behind a bundle.

    Args:
        bundle: one that was built here.
        cache: where finished stages are; None takes the user's.

    Raises:
        UsageError: the network is not in the cache.
    """

    def __init__(self, bundle: Bundle, cache: Cache | None = None) -> None:
        config, weights = _network(bundle, cache or Cache())
        from edgecnn.build import (
            custom_layers,  # noqa: F401  # that Keras knows them by name
            models,
        )

        assert bundle.input is not None, "a bundle of edgecnn's has an input"
        self._spec = bundle.input
        self._model = _with_features(models.rebuilt(config, weights))

    def __call__(self, pixels: Pixels, index: int, on_step: OnStep = lambda done, total: None) -> Map:
        """Where an image speaks for a class.

        Args:
            pixels: (height, width, channels), uint8, as `InputSpec.apply` made them.
            index: of the class.
            on_step: is told that the one step is done.

        Returns:
            (h, w) float32 of the last feature maps' size, from 0 up.
        """
        from edgecnn.build.keras import tf

        with tf.GradientTape() as tape:
            logits, features = self._model(self._spec.dequantize(pixels)[np.newaxis], training=False)
            evidence = logits[0, index]
        weights = tf.reduce_mean(tape.gradient(evidence, features), axis=(1, 2), keepdims=True)
        on_step(1, 1)
        return np.asarray(tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))[0], np.float32)


def _network(bundle: Bundle, cache: Cache) -> tuple[Path, Path]:
    """The configuration and the weights of the last float network on the way to a bundle."""
    manifest = bundle.manifest or {}
    keys = manifest.get("provenance", {}).get("keys", {})
    artifacts = {key: made for key in keys.values() if (made := cache.find(key))}
    parents = {made.parent for made in artifacts.values()}
    key = next((key for key in artifacts if key not in parents), None)  # the last stage of those that are here
    while key:
        made = artifacts.get(key) or cache.find(key)
        if made is None:
            break
        if _CONFIG in made.files and _WEIGHTS in made.files:
            return made.files[_CONFIG], made.files[_WEIGHTS]
        key = made.parent
    raise UsageError(
        "The network that this file was made of is not in the cache here.",
        received=f"stages {', '.join(keys)}; looked in {cache.root}" if keys else "a file that edgecnn did not build",
        accepted="a file that was built on this machine, while its stages are in the cache",
        remedy="--method occlusion asks the file itself, on any machine",
    )


def _with_features(model: Any) -> Any:
    """The network with a second output: its last feature maps, before they are pooled or flattened."""
    from edgecnn.build.keras import keras

    for layer in reversed(model.layers):
        shape = layer.output.shape
        if len(shape) == 4 and shape[1] * shape[2] > 1:
            return keras.Model(model.inputs, [model.output, layer.output])
    raise UsageError(
        "This network has no feature maps.",
        received=model.name,
        accepted="a network with convolutions",
        remedy="--method occlusion asks the file itself",
    )
