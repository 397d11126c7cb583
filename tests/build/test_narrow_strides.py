"""A layer whose gradient TensorFlow computes wrongly is trained as another one that is the same."""

import numpy as np
import pytest

from edgecnn.build.keras import keras, tf
from edgecnn.build.narrow_strides import sound

IMAGES = np.random.default_rng(0).normal(size=(32, 48, 48, 8)).astype(np.float32)


@pytest.fixture
def model():
    """Two such layers, of which one has a bias and odd sides, and others that are sound."""
    keras.utils.set_random_seed(0)
    image = keras.layers.Input((48, 48, 8))
    x = keras.layers.Conv2D(9, 1, strides=2, padding="same", use_bias=False, name="narrow")(image)
    x = keras.layers.Cropping2D(((0, 1), (1, 0)))(x)
    x = keras.layers.Conv2D(16, 1, strides=2, activation="relu", name="narrow_too")(x)
    x = keras.layers.Conv2D(16, 1, strides=2, name="wide")(x)
    x = keras.layers.Conv2D(4, 3, strides=2, name="larger")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


def test_it_computes_the_same_and_is_itself_again(model):
    before = model(IMAGES).numpy()
    with sound(model):
        changed = {layer.name for layer in model.layers if "convolution_op" in vars(layer)}
        assert changed == {"narrow", "narrow_too"}
        np.testing.assert_allclose(model(IMAGES).numpy(), before, rtol=1e-4, atol=1e-5)
    assert not any("convolution_op" in vars(layer) for layer in model.layers)
    assert np.array_equal(model(IMAGES).numpy(), before)


def test_a_gradient_that_would_end_the_process_is_the_right_one(model):
    kernel = model.get_layer("narrow").kernel
    with sound(model):

        @tf.function
        def slope():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model.get_layer("narrow")(IMAGES) ** 2)
            return tape.gradient(loss, kernel)

        for _ in range(100):
            found = slope().numpy()[0, 0]
    seen = IMAGES[:, ::2, ::2].reshape(-1, 8).astype(np.float64)
    np.testing.assert_allclose(found, 2 * seen.T @ (seen @ kernel.numpy()[0, 0]), rtol=1e-3)
