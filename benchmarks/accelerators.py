"""What each architecture is on each accelerator: untrained networks, which compile as trained ones do.

    pip install '.[build,ethos,micro]'
    python benchmarks/accelerators.py OUT

The networks of ``benchmarks/architectures.py``, in int8 with random weights and the statistics of noise; the last
layer's weights are made larger, so that scores differ. The Ethos-U are those that `edgecnn compile` takes where nothing
is said; speeds are Vela's estimates. tflite-micro is held against LiteRT's reference kernels over random images. The
Edge TPU is screened, for Coral's compiler is in no package registry. OUT gets ``accelerators.json`` and
``accelerators.md``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from architectures import NETWORKS

from edgecnn import Bundle, InputSpec, console
from edgecnn.build.recipe import Architecture
from edgecnn.compilation import CompileFor, compile_bundle
from edgecnn.errors import EdgecnnError
from edgecnn.files import write_atomically
from edgecnn.latency import host_facts
from edgecnn.progress import Progress
from edgecnn.targets.compiling import CompileOptions

TARGETS = ("ethos-u55", "ethos-u65", "ethos-u85", "micro", "edgetpu")


def measured(progress: Progress) -> list[dict[str, Any]]:
    """One row a network."""
    rows = []
    for done, (name, network, pixels, classes) in enumerate(NETWORKS):
        progress.update(done, len(NETWORKS), name)
        progress.say(name)
        bundle = converted(network, InputSpec(height=pixels, width=pixels), classes)
        found = {target: compiled(bundle, target) for target in TARGETS}
        rows.append({"name": name, "pixels": pixels, "classes": classes, "bytes": len(bundle.model), **found})
    return rows


def converted(network: Architecture, spec: InputSpec, classes: int) -> Bundle:
    """It in int8, with random weights."""
    from edgecnn.build import converter
    from edgecnn.build.canonical import canonical
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = canonical(network.build(spec, classes))
    noise = np.random.default_rng(0).integers(0, 256, (8, *spec.shape), np.uint8)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(spec.dequantize(noise), training=True)  # statistics as training leaves them: else activations fade away
    *weights, kernel, bias = model.get_weights()
    model.set_weights([*weights, kernel * 8, bias])
    file, labels = converter.ptq_file(model, spec, noise), tuple(map(str, range(classes)))
    return Bundle(model=file, input=spec, labels=labels, manifest=None)


def compiled(bundle: Bundle, target: str) -> dict[str, Any]:
    """What came of it, or what it was refused for."""
    asked = CompileFor(target=target, options=CompileOptions(timeout_s=1200))
    try:
        return compile_bundle(bundle, asked, name="network").as_json()
    except EdgecnnError as error:
        return {"refused": f"{error.message} {error.received}"}


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown."""
    names = ("network", "pixels", *(f"{name}: on it, a second" for name in TARGETS[:3]))
    lines = ["| " + " | ".join((*names, "micro: arena, steps off REF", "edgetpu, screened")) + " |", "|---" * 7 + "|"]
    for row in rows:
        cells = [row["name"], str(row["pixels"]), *(_accelerated(row[name]) for name in TARGETS[:3])]
        lines.append("| " + " | ".join((*cells, _micro(row["micro"]), _screened(row["edgetpu"]))) + " |")
    return "\n".join(lines) + "\n"


def _accelerated(found: dict[str, Any]) -> str:
    if "refused" in found:
        return str(found["refused"])
    share = f"{found['operator_share']:.0%}, {found['inferences_per_second']:,.0f}"
    return share + _left(found)


def _micro(found: dict[str, Any]) -> str:
    if "refused" in found:
        return str(found["refused"])
    return f"{found['arena_bytes']:,} bytes, {found['agreement']['largest_step']}"


def _screened(found: dict[str, Any]) -> str:
    return f"{found['operator_share']:.0%}" + _left(found) if "refused" not in found else str(found["refused"])


def _left(found: dict[str, Any]) -> str:
    """The first that falls back; the JSON has all."""
    return "".join(f"; {each['layer']}: {each['why']}" for each in found["fallbacks"][:1])


def main(out: str) -> None:
    """Compile everything, write both files."""
    with console.progress() as progress:
        rows = measured(progress)
    host, folder = host_facts(), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    first = rows[0]
    settings = {name: first[name].get("settings") for name in TARGETS[:3]}
    tools = {name: first[name].get("tool") for name in TARGETS}
    document = {"host": host, "tools": tools, "settings": settings, "rows": rows}
    write_atomically(folder / "accelerators.json", (json.dumps(document, indent=1) + "\n").encode())
    said = "; ".join(f"{name}: {', '.join(map(str, each.values()))}" for name, each in settings.items() if each)
    note = (
        f"Untrained, in int8. Inferences a second are Vela's estimates ({said}); {tools['ethos-u55']}, {tools['micro']}"
    )
    write_atomically(folder / "accelerators.md", f"{note}\n\n{table(rows)}".encode())
    print(table(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
