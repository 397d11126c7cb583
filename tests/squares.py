"""A network for which a bright square in an image decides the class, and a bright line does not; trained in seconds."""

from typing import Any

import numpy as np

from edgecnn import Bundle, InputSpec
from edgecnn.preprocess import Pixels

SPEC = InputSpec(height=32, width=32)
LABELS = ("bare", "square")
SIDE = 6


def scene(seed: int, *, at: tuple[int, int] | None, line: tuple[int, int] = (3, 18)) -> Pixels:
    """Dark noise, (32, 32, 3), with a bright line, and with a bright square whose upper left corner is at (top, left).

    The line is 2 pixels high and 12 wide, and as much of the image as two thirds of the square.
    """
    image = np.random.default_rng(seed).integers(0, 110, SPEC.shape).astype(np.uint8)
    image[line[0] : line[0] + 2, line[1] : line[1] + 12] = 230
    if at:
        image[at[0] : at[0] + SIDE, at[1] : at[1] + SIDE] = 230
    return image


def scenes(count: int) -> tuple[Pixels, Any]:
    """Images, every other of them with a square somewhere, and their classes."""
    random = np.random.default_rng(1)
    drawn = []
    for number in range(count):
        top, left, row, column = (int(place) for place in random.integers(0, (26, 26, 30, 20)))
        drawn.append(scene(number, at=(top, left) if number % 2 else None, line=(row, column)))
    return np.stack(drawn), np.arange(count) % 2


def untrained(seed: int = 5) -> Any:
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    image = keras.Input(SPEC.shape)
    layer = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(image)
    layer = keras.layers.MaxPooling2D(name="shrunk")(layer)
    layer = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="second")(layer)
    layer = keras.layers.GlobalMaxPooling2D(keepdims=True, name="pool")(layer)
    return keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(layer)))


def trained() -> Any:
    from edgecnn.build.keras import keras

    model, (images, labels) = untrained(), scenes(512)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.legacy.Adam(0.01), loss, metrics=["accuracy"])
    history = model.fit(SPEC.dequantize(images), labels, batch_size=32, epochs=15, verbose=0)
    assert history.history["accuracy"][-1] > 0.98
    return model


def bundle_of(model: Any, *, name: str = "squares", **manifest: Any) -> Bundle:
    from edgecnn.build import converter

    file = converter.ptq_file(model, SPEC, scenes(16)[0])
    return Bundle.make(file, name=name, spec=SPEC, labels=LABELS, manifest=manifest)
