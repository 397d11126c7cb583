"""The pictures of docs/concepts, of a real build: python docs/pictures.py artifacts/shapes/report.json

Needs the extra `benchmarks`, and the stages of that build in the cache. Writes them into docs/concepts/.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.build.cache import Cache

HERE = Path(__file__).parent / "concepts"
BLUE, ORANGE = "#1f77b4", "#d95f02"


def main() -> None:
    """Draw all of them."""
    report = json.loads(Path(sys.argv[1]).read_text())
    cache = Cache()
    made = {}
    for stage in report["stages"]:
        artifact = cache.find(stage["key"])
        if artifact is None:
            sys.exit(f"the cache has no {stage['name']} of this build: build it again first")
        made[stage["name"]] = artifact
    train, sparsify = made["train"].files, made["sparsify"].files
    save("pruning", pruning(weights(train["weights.npz"]), weights(sparsify["weights.npz"])))
    save("quantization", quantization(kernels(train["float.tflite"]), kernels(train["ptq.tflite"])))
    save("sensitivity", sensitivity(report["sensitivity"]))


def weights(path: Path) -> Any:
    """All kernels of convolutions, flat."""
    arrays = np.load(path)
    return np.concatenate([arrays[name].ravel() for name in arrays.files if arrays[name].ndim == 4])


def kernels(path: Path) -> list[tuple[Any, Any]]:
    """The kernel of each convolution, (out, height, width, in), and the scale of each output channel, if it has any."""
    tree = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    graph, found = tree.subgraphs[0], []
    for operator in graph.operators:
        if tree.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D:
            tensor = graph.tensors[operator.inputs[1]]
            kind = np.int8 if tensor.type == schema.TensorType.INT8 else np.float32
            values = np.frombuffer(bytes(tree.buffers[tensor.buffer].data), kind).reshape(tensor.shape)
            found.append((values, tensor.quantization.scale if tensor.quantization else None))
    return found


def pruning(before: Any, after: Any) -> Any:
    """How the weights are spread before and after pruning."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True, sharex=True)
    edges = np.linspace(-0.4, 0.4, 81)
    for panel, values, title in zip(panels, (before, after), ("trained", "pruned"), strict=True):
        panel.hist(values[values != 0], edges, color=BLUE)
        if zeros := int((values == 0).sum()):
            panel.bar(0, zeros, 0.01, color=ORANGE)
            panel.annotate(f"{zeros:,} zeros", (0.01, zeros * 0.7), (0.08, zeros * 0.5), color=ORANGE)
        panel.set(title=f"{title}: {len(values):,} weights", xlabel="weight", yscale="log")
    panels[0].set_ylabel("how many")
    return figure


def quantization(exact: list[tuple[Any, Any]], whole: list[tuple[Any, Any]]) -> Any:
    """A channel's weights and the 255 values that int8 has for them, and how far they are moved."""
    channel = 3
    (floats, _), (integers, scales) = exact[1], whole[1]
    values, scale = floats[channel].ravel(), scales[channel]
    moved = integers[channel].ravel() * scale - values
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.plot(values, integers[channel].ravel(), ".", color=BLUE)
    left.set(title="each weight becomes one of 255", xlabel="weight", ylabel="int8")
    right.hist(moved / scale, 30, color=BLUE)
    right.set(title="none moves by over half a step", xlabel="moved by, steps", ylabel="how many")
    return figure


def sensitivity(layers: list[dict[str, Any]]) -> Any:
    """What each layer in int8, all others in float, does to the answers."""
    figure, axes = plt.subplots(figsize=(8, 3.5))
    names = [each["layer"] for each in layers][::-1]
    axes.barh(names, [each["kl"] for each in layers][::-1], color=BLUE)
    axes.set(xlabel="KL divergence of the answers from those of the float network, nats")
    return figure


def save(name: str, figure: Any) -> None:
    """As a PNG in docs/concepts/."""
    figure.tight_layout()
    figure.savefig(HERE / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
