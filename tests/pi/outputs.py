"""The raw output bytes of a model, here: run on x86 and on an emulated Pi, the files must be equal.

    python outputs.py MODEL INPUTS.npy OUT.npz [TARGET ...]

stderr is the interpreter's own, so that the caller can see whether XNNPACK was there.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from edgecnn.targets import TARGETS, tflite
from edgecnn.targets.session import Array, Session

KERNELS = {"reference": {"reference": True, "threads": 1}, "fast": {"threads": 1}, "fast, 2 threads": {"threads": 2}}


def answers(session: Session, inputs: Array) -> Array:
    """(n, ...): the output for each input, as it is in the tensor."""
    outputs = []
    for each in inputs:
        session.set_input(each[np.newaxis])
        session.invoke()
        outputs.append(session.output()[0])
    return np.stack(outputs)


def main(model: str, inputs: str, out: str, *names: str) -> None:
    """Run all kernels of each target, and write what came out by `"target, kernels"`."""
    tflite.silenced = nullcontext
    flatbuffer, given = Path(model).read_bytes(), np.load(inputs)
    np.savez(
        out,
        **{
            f"{name}, {kernels}": answers(TARGETS[name].load(flatbuffer, **options), given)
            for name in names
            for kernels, options in KERNELS.items()
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
