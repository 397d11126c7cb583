"""The configuration of a Keras file, read as data: what it would build, and whether that may be built at all.

Keras builds what a configuration names, and some of what it can name is code: a Lambda carries bytecode, ``module`` and
``class_name`` reach any Python that is installed, a TensorFlow operation may write a file. So nothing is deserialized
but what stands on the lists here.
"""

import re
from collections.abc import Iterator
from typing import Any

from edgecnn.build.recipe import counted
from edgecnn.errors import ModelError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NETWORKS = ("Functional", "Model", "Sequential")
_BY_DIMENSION = _names(
    """
    AveragePooling Conv Cropping GlobalAveragePooling GlobalMaxPooling MaxPooling SpatialDropout UpSampling ZeroPadding
    """
)
LAYERS = frozenset(f"{kind}{n}D" for kind in _BY_DIMENSION for n in (1, 2, 3)) | _names(
    """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average BatchNormalization
    BatchNormalizationV1 CategoryEncoding CenterCrop Concatenate Conv1DTranspose Conv2DTranspose Dense DepthwiseConv1D
    DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GaussianDropout GaussianNoise GroupNormalization
    Identity InputLayer LayerNormalization LeakyReLU Masking Maximum Minimum MultiHeadAttention Multiply Normalization
    PReLU Permute RandomBrightness RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation RandomTranslation
    RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D Softmax
    SpectralNormalization Subtract SyncBatchNormalization ThresholdedReLU TimeDistributed UnitNormalization
    """
)
_SETTINGS = _names(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal
    RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
    L1 L1L2 L2 OrthogonalRegularizer MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm
    Policy PolicyV1 TensorShape __ellipsis__ __numpy__ __tensor__ __tuple__
    """
)
_ACTIVATIONS = _names(
    """
    elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu sigmoid softmax softplus softsign swish
    silu tanh ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU
    """
)
OPERATIONS = _names(
    """
    __operators__.add __operators__.getitem cast clip_by_value concat convert_to_tensor expand_dims gather identity
    image.resize linalg.matmul math.abs math.add math.divide math.erf math.exp math.l2_normalize math.log math.maximum
    math.minimum math.multiply math.negative math.pow math.reduce_max math.reduce_mean math.reduce_min math.reduce_sum
    math.rsqrt math.sigmoid math.softplus math.sqrt math.square math.subtract math.tanh math.truediv nn.avg_pool
    nn.avg_pool2d nn.bias_add nn.depth_to_space nn.elu nn.gelu nn.leaky_relu nn.max_pool nn.max_pool2d nn.relu nn.relu6
    nn.selu nn.sigmoid nn.silu nn.softmax nn.space_to_depth nn.swish pad reshape reverse shape split squeeze stack tile
    transpose unstack
    """
)
_OPERATION_LAYERS = ("SlicingOpLambda", "TFOpLambda")
_FLOAT = "no quantization of your own, edgecnn does it: pass the float model"
_OF_TFMOT = {
    "PruneLowMagnitude": "tfmot.sparsity.keras.strip_pruning(model) before model.save",
    **dict.fromkeys(_names("QuantizeAnnotate QuantizeLayer QuantizeWrapper QuantizeWrapperV2"), _FLOAT),
}
_INSTEAD = {
    "code": "what a Lambda does as a layer of Keras (Rescaling, ReLU, Multiply, Reshape, ...)",
    "outside": "layers, activations and initializers of Keras itself",
    "operation": "a layer of Keras in place of the TensorFlow function; one that prepares images belongs before it",
}
# Where Keras 2.12 had what later versions of Keras 2 have elsewhere.
_MOVED = re.compile(r"^keras\.(?=engine\.|layers\.[a-z_]+\.)")


def prepared(config: Any) -> Any:
    """A copy that builds the same network today, in float32, without what only training needs."""
    if isinstance(config, list):
        return [prepared(each) for each in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") in ("Policy", "PolicyV1"):
        return "float32"  # the weights of mixed precision are float32 anyway
    kept = {key: prepared(value) for key, value in config.items() if key != "compile_config"}
    if isinstance(kept.get("module"), str):
        kept["module"] = _MOVED.sub("keras.src.", kept["module"])
    return kept


def check(config: Any) -> None:
    """Refuse everything that is not Keras's own, at any depth, all of it at once.

    Args:
        config: of a model, as JSON; nothing in it is run.

    Raises:
        ModelError: what is refused, by the names of the layers, and what to write instead.
    """
    strangers = dict.fromkeys(_strangers(config, "the model", ""))
    if not strangers:
        return
    kinds = dict.fromkeys(kind for kind, _ in strangers)
    raise ModelError(
        f"The model has {counted(len(strangers), 'part')} that edgecnn does not load, for it could run anything.",
        received="; ".join(what for _, what in strangers),
        accepted="layers of Keras 2, and plain tensor operations (nothing in the file was run)",
        remedy=f"write {' and '.join(_INSTEAD.get(kind, kind) for kind in kinds)}; then save the model again",
    )


def _strangers(part: Any, owner: str, key: str) -> Iterator[tuple[str, str]]:
    """What is refused in a part of a configuration: the kind of remedy, or the remedy, and a sentence."""
    if isinstance(part, list):
        for each in part:
            yield from _strangers(each, owner, key)
    if key.endswith("activation") and isinstance(part, str) and part not in _ACTIVATIONS:
        yield "outside", f"{owner} has the activation {_shown(part)}, which is not Keras's"
    if not isinstance(part, dict):
        return
    if "class_name" in part:
        config = part.get("config")
        name = part.get("name") or (config.get("name") if isinstance(config, dict) else None)
        owner = _shown(name) if name else f"{owner} ({_shown(key)})" if key else owner
        if problem := _problem(part):
            yield problem[0], f"{owner} {problem[1]}"
            return
    elif "registered_name" in part or "spec_name" in part:
        yield "outside", f"{owner} has settings of an unknown kind in {_shown(key)}"
    for inner, value in part.items():
        yield from _strangers(value, owner, str(inner))


def _problem(part: dict[str, Any]) -> tuple[str, str] | None:
    """Why an object is not built; None for one that may be."""
    kind, config = part["class_name"], part.get("config")
    module, registered = part.get("module"), part.get("registered_name")
    if kind in ("Lambda", "__lambda__"):
        return "code", f"is code ({_shown(kind)})"
    if not isinstance(kind, str) or not _is_kerass(kind, module, registered):
        outside = registered if registered not in (None, kind) else f"{module}.{kind}" if module else kind
        return _OF_TFMOT.get(str(kind), "outside"), f"is from outside Keras ({_shown(outside)})"
    if kind in _OPERATION_LAYERS:
        function = config.get("function") if isinstance(config, dict) else None
        if str(function).removeprefix("compat.v1.") not in OPERATIONS:
            return "operation", f"calls the TensorFlow function {_shown(function)}"
    return None


def _is_kerass(kind: str, module: Any, registered: Any) -> bool:
    if kind == "function":
        return False
    known = kind in LAYERS or kind in _SETTINGS or kind in _NETWORKS or kind in _OPERATION_LAYERS
    return known and _is_of_keras(module) and registered in (None, kind)


def _is_of_keras(module: Any) -> bool:
    return module is None or (isinstance(module, str) and module.split(".")[0] in ("keras", "tf_keras"))


def _shown(text: Any) -> str:
    """What a file says, fit for a terminal."""
    return ascii(text).strip("'")[:80]
