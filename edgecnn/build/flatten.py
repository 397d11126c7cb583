"""A network without networks inside it, which is what pruning and quantization take and transfer learning is not."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecnn.build.graph import Graph
from edgecnn.build.keras import keras, tf
from edgecnn.errors import ModelError

_AUGMENTATIONS = ("Brightness", "Contrast", "Flip", "Height", "Rotation", "Translation", "Width", "Zoom")
_NOISES = ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", *(f"SpatialDropout{n}D" for n in (1, 2, 3)))
_IDLE_AT_INFERENCE = tuple(f"Random{what}" for what in _AUGMENTATIONS)


def flatten(model: Any) -> Any:
    """A functional copy of a Keras model in which no layer is a model, ready for tfmot.

    The outputs are the same to the bit. A layer keeps its name; where two have the same, the names of the models around
    it come first (``base_conv1``). A layer that is called twice stays one layer that is called twice.

    What is called with ``training=False``, as the base of transfer learning is, must not begin to learn statistics: its
    batch norms become untrainable, gamma and beta too, which in Keras 2 makes them run as in inference, and its dropout
    is left out. So is augmentation everywhere (`RandomFlip` and its like, not `RandomCrop`), which does nothing at
    inference: it belongs in the recipe.

    Args:
        model: functional or Sequential, models inside to any depth; (batch, ...) in sizes that are known, of any type,
            to one tensor. It is not changed.

    Returns:
        A model with new layers and the same weights, input and output; it is not compiled.

    Raises:
        ModelError: a model is subclassed, has several inputs or outputs or adds losses; the input's size is not known;
            a layer cannot be rebuilt, or is called in a way that would be lost; or the outputs are not the same.
    """
    names = _names(model)
    source = model.inputs[0]._keras_history.layer
    if None in source.output.shape[1:]:
        raise _refused(model, f"takes images of any size, {source.output.shape}", "give its Input a size")
    image = type(source).from_config(source.get_config()).output
    flat = keras.Model(image, _Copies(names).through(model, image, False, model.trainable), name=model.name)
    _prove(model, flat)
    return flat


@dataclass(frozen=True)
class _Copies:
    """The new layers by the old ones, each made when it is first called."""

    names: dict[Any, str]
    made: dict[Any, Any] = field(default_factory=dict)

    def through(self, model: Any, image: Any, frozen: bool, trainable: bool) -> Any:
        """What a model makes of a Keras tensor, by copies of its layers; frozen is what never runs as in training."""
        new = {id(model.inputs[0]): image}  # by id: `==` of Keras tensors is a layer
        for node in Graph.of(model).nodes:
            given = (node.call_args, node.call_kwargs)
            args, kwargs = tf.nest.map_structure(lambda value: new.get(id(value), value), given)
            inherited = (frozen or _is_inference(node), trainable and node.layer.trainable)
            outputs = self._called(node, args, kwargs, *inherited)
            new.update(zip(map(id, tf.nest.flatten(node.outputs)), tf.nest.flatten(outputs), strict=True))
        return new[id(model.outputs[0])]

    def _called(self, node: Any, args: Any, kwargs: dict[str, Any], frozen: bool, trainable: bool) -> Any:
        layer, kind = node.layer, type(node.layer).__name__
        if isinstance(layer, keras.Model):
            if _argument(node, "mask") is not None:
                raise _refused(layer, "is called with a mask", "give the mask to the layers inside")
            return self.through(layer, tf.nest.flatten(args[0])[0], frozen, trainable)
        if kind in _IDLE_AT_INFERENCE or (frozen and kind in _NOISES):
            return args[0]
        if kind == "BatchNormalization":  # by its flag, which tfmot keeps; it drops the arguments of calls
            frozen, trainable = False, trainable and not frozen
        if layer._call_spec.expects_training_arg:
            given = ("training", False if frozen else None, args, kwargs)
            args, kwargs = layer._call_spec.set_arg_value(*given, inputs_in_args=True, pop_kwarg_if_none=True)
        if layer not in self.made:
            return self._copied(layer, args, kwargs, trainable)
        if layer.weights and self.made[layer].trainable != trainable:
            raise _refused(layer, "is frozen in one call and not in another", "freeze both, or use two layers")
        return self.made[layer](*args, **kwargs)

    def _copied(self, layer: Any, args: Any, kwargs: dict[str, Any], trainable: bool) -> Any:
        try:
            self.made[layer] = copy = type(layer).from_config({**layer.get_config(), "name": self.names[layer]})
            outputs = copy(*args, **kwargs)
            copy.set_weights(layer.get_weights())
        except (NotImplementedError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise _refused(layer, f"cannot be rebuilt ({reason})", "give it a get_config, or replace it") from error
        copy.finalize_state()  # what Normalization derives from its weights
        if not trainable:  # not earlier: it can change the order of weights
            copy.trainable = False
        return outputs


def _names(model: Any) -> dict[Any, str]:
    """The new names of the layers in a model and in those inside; no two are the same."""
    paths = _paths(model)
    often = Counter([*model.input_names, *(path[-1] for path in paths.values())])
    names, taken = {}, set(often)
    for layer, path in paths.items():
        name = path[-1]
        if len(path) > 1 and often[name] > 1:
            name = "_".join(path)
            while name in taken:
                name += "_1"
            taken.add(name)
        names[layer] = name
    return names


def _paths(model: Any, outer: tuple[str, ...] = ()) -> dict[Any, tuple[str, ...]]:
    """The layers in a model and in those inside: the names of the models around each, and its own."""
    _check(model)
    paths: dict[Any, tuple[str, ...]] = {}
    for node in Graph.of(model).nodes:
        path = (*outer, node.layer.name)
        paths |= _paths(node.layer, path) if isinstance(node.layer, keras.Model) else {node.layer: path}
    return paths


def _check(model: Any) -> None:
    remedy = "build it as keras.Model(image, scores), or as keras.Sequential with an Input"
    if not getattr(model, "_is_graph_network", False):
        raise _refused(model, "is not a functional or Sequential model of Keras 2 with an input that is known", remedy)
    if (len(model.inputs), len(model.outputs)) != (1, 1):
        raise _refused(model, "has several inputs or outputs", remedy)
    if min(model._nodes_by_depth) < 0:
        raise _refused(model, "adds losses or metrics of its own", "give them to compile instead")


def _is_inference(node: Any) -> bool:
    """Whether a call says ``training=False``."""
    training = _argument(node, "training")
    if tf.is_tensor(training) or training:
        raise _refused(node.layer, f"is called with training={training}", "leave the argument out, or give False")
    return training is not None


def _argument(node: Any, name: str) -> Any:
    """What a call gives for an argument; None if nothing."""
    given = (name, node.call_args, node.call_kwargs, True)
    return node.layer._call_spec.get_arg_value(*given) if node.layer._call_spec.arg_was_passed(*given) else None


def _prove(model: Any, flat: Any) -> None:
    """Both must make the same of two images of noise."""
    (batch, *sizes), dtype = model.inputs[0].shape, model.inputs[0].dtype
    random, shape = np.random.default_rng(0), (batch or 2, *sizes)
    noise = random.uniform(-1, 1, shape) if dtype.is_floating else random.integers(0, 256, shape)
    images = noise.astype(dtype.as_numpy_dtype)
    expected, received = (np.asarray(each(images, training=False)) for each in (model, flat))
    if not np.array_equal(expected, received, equal_nan=True):
        raise ModelError(
            "Flattening changed what the network computes.",
            received=f"outputs that differ by up to {np.abs(expected - received).max():g}",
            accepted="the same outputs to the bit",
            remedy="replace layers that are random, or that keep a state beside their weights; otherwise report this",
        )


def _refused(layer: Any, reason: str, remedy: str) -> ModelError:
    return ModelError(
        f"This network cannot be flattened: {layer.name} {reason}.",
        received=f"{layer.name} ({type(layer).__name__})",
        accepted="functional and Sequential models of one input and one output, of layers that Keras can rebuild",
        remedy=remedy,
    )
