"""cifar10: ten classes of 32x32 pixels, smaller and better than the reference network of MLPerf Tiny.

    edgecnn build cifar10 [--data DIR]        DIR: a folder with train/ and test/; without it, tf_keras.datasets

A ResNet8 of twice the width is trained, loses channels until it takes no more than the reference ResNet8, learns again,
and is trained quantization-aware. A teacher, its own wide form (temperature 4, weight 0.9), made no difference that
could be told from chance. `benchmarks/compression.py` holds all of it against others.

To expect (2 cores of an AMD EPYC, x86-64, November 2026): about an hour; accuracy of the int8 file 0.833 in 84 kB, of
the wide float one 0.856 in 1,240 kB; p50 of 0.039 ms against 0.390 ms, one thread.
"""

from edgecnn.build import (
    Convert,
    Crop,
    Flip,
    Gate,
    InputSpec,
    PruneChannels,
    Published,
    Quantize,
    Recipe,
    ResNet8,
    SplitRule,
    Train,
    Verify,
)


def recipe(*, quick: bool = False) -> Recipe:
    """The recipe; ``quick`` proves that all works in seconds, and learns next to nothing."""
    return Recipe(
        name="cifar10",
        data=Published(name="cifar10", rule=SplitRule(validation=0.05, calibration=0.01, test=0.15)),
        input=InputSpec(height=32, width=32),
        architecture=ResNet8(widths=(8, 16, 16) if quick else (32, 64, 128)),
        augment=(Crop(border=4), Flip()),
        stages=(
            Train(epochs=1 if quick else 30, batch_size=128, learning_rate=4e-3, warm_up=0.1, weight_decay=0.02),
            PruneChannels(
                size_bytes=95_000,
                macs=1_000_000 if quick else 12_000_000,
                multiple=4 if quick else 16,
                steps=1 if quick else 2,
                step_epochs=1,
                epochs=1 if quick else 40,
                batch_size=128,
                learning_rate=4e-3,
                warm_up=0.1,
                weight_decay=0.01,
            ),
            Quantize(epochs=1 if quick else 6, batch_size=128, learning_rate=5e-4),
            Convert(),
            Verify(runs=20 if quick else 200),
        ),
        gates=() if quick else (Gate(name="accuracy", limit=0.825), Gate(name="size_bytes", limit=95_056)),
    )
