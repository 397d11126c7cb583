"""What each architecture costs: parameters, MACs, bytes and latency, of untrained networks, which cost the same.

    pip install '.[build]'
    python benchmarks/architectures.py OUT

Each has its usual input and classes. Bytes are those of the float and of the int8 `.tflite`; latencies are medians, one
thread, the two files of a network interleaved. OUT gets ``architectures.json`` and ``architectures.md``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import InputSpec, build, console, targets
from edgecnn.bench import interleaved, prepare
from edgecnn.build.recipe import Architecture
from edgecnn.files import write_atomically
from edgecnn.latency import host_facts
from edgecnn.progress import Progress

RUNS = 200
NETWORKS: tuple[tuple[str, Architecture, int, int], ...] = (  # name, network, pixels, classes
    ("ConvNet", build.ConvNet(), 32, 10),
    ("ConvNet, SqueezeExcite", build.ConvNet(attention=build.SqueezeExcite()), 32, 10),
    ("ConvNet, CBAM", build.ConvNet(attention=build.CBAM()), 32, 10),
    ("ResNet8", build.ResNet8(), 32, 10),
    ("ResNet20", build.ResNet20(), 32, 10),
    ("ResNet20, SqueezeExcite", build.ResNet20(attention=build.SqueezeExcite()), 32, 10),
    ("ResNet20, CBAM", build.ResNet20(attention=build.CBAM()), 32, 10),
    ("SeparableNet", build.SeparableNet(), 96, 10),
    ("MobileNetV1, width 0.25", build.MobileNetV1(width=0.25), 96, 10),
    ("MobileNetV2, width 0.35", build.MobileNetV2(width=0.35), 96, 10),
    ("EfficientNetLite0", build.EfficientNetLite0(), 96, 10),
    ("MobileNetV1", build.MobileNetV1(), 224, 1000),
    ("MobileNetV2", build.MobileNetV2(), 224, 1000),
    ("EfficientNetLite0", build.EfficientNetLite0(), 224, 1000),
    ("EfficientNetLite1", build.EfficientNetLite1(), 240, 1000),
    ("EfficientNetLite2", build.EfficientNetLite2(), 260, 1000),
    ("Inception", build.Inception(), 224, 1000),
    ("ResNet18", build.ResNet18(), 224, 1000),
)


def measured(progress: Progress) -> list[dict[str, Any]]:
    """One row a network."""
    from edgecnn.build import converter
    from edgecnn.build.canonical import canonical
    from edgecnn.build.channels import Channels
    from edgecnn.build.keras import keras

    load, rows = targets.choose().load, []
    for done, (name, network, pixels, classes) in enumerate(NETWORKS):
        progress.update(done, len(NETWORKS), name)
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        spec = InputSpec(height=pixels, width=pixels)
        model = canonical(network.build(spec, classes))
        channels = Channels(model)
        noise = np.random.default_rng(0).integers(0, 256, (2, *spec.shape), np.uint8)
        files = {"float": converter.float_file(model), "int8": converter.ptq_file(model, spec, noise)}
        whole, small = interleaved([prepare(load(file, threads=1)) for file in files.values()], runs=RUNS)
        facts = {"parameters": model.count_params(), "macs": channels.cost(np.ones(channels.count, bool)).macs}
        sizes = {f"{kind}_bytes": len(file) for kind, file in files.items()}
        latencies = {"float_p50_ms": whole.p50_ms, "int8_p50_ms": small.p50_ms}
        rows.append({"name": name, "pixels": pixels, "classes": classes, **facts, **sizes, **latencies})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown."""
    lines = [
        "| network | pixels | classes | parameters | million MACs | float bytes | int8 bytes | float ms | int8 ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        size = f"{row['pixels']} | {row['classes']} | {row['parameters']:,} | {row['macs'] / 1e6:.1f}"
        sizes = f"{row['float_bytes']:,} | {row['int8_bytes']:,}"
        lines.append(f"| {row['name']} | {size} | {sizes} | {row['float_p50_ms']:.3f} | {row['int8_p50_ms']:.3f} |")
    return "\n".join(lines) + "\n"


def main(out: str) -> None:
    """Measure everything, write both files."""
    with console.progress() as progress:
        rows = measured(progress)
    host, folder = host_facts(), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    note = f"Untrained, one thread, p50 of {RUNS} rounds; {host['cores']} cores of {host['processor']}"
    write_atomically(
        folder / "architectures.json", (json.dumps({"host": host, "rows": rows}, indent=1) + "\n").encode()
    )
    write_atomically(folder / "architectures.md", f"{note}\n\n{table(rows)}".encode())
    print(table(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
