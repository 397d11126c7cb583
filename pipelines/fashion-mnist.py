"""fashion-mnist: ten kinds of clothes, 28x28 pixels, in a file of at most 64 kB.

    edgecnn build fashion-mnist [--data DIR]  DIR: the four IDX files; without it, those of Debian's package
                                              dataset-fashion-mnist where present, else tf_keras.datasets

A ResNet8 loses channels until the file is small enough, and is taught by what it was while it learns again; then it is
trained quantization-aware. What to expect was not measured yet.
"""

from edgecnn.build import (
    Convert,
    Crop,
    Distill,
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
    teacher = Distill(temperature=4.0, weight=0.9)
    return Recipe(
        name="fashion-mnist",
        data=Published(name="fashion_mnist", rule=SplitRule(validation=0.05, calibration=0.01, test=0.15)),
        input=InputSpec(height=28, width=28),
        architecture=ResNet8(widths=(8, 16, 16) if quick else (24, 48, 96)),
        augment=(Crop(border=2), Flip()),
        stages=(
            Train(epochs=1 if quick else 30, batch_size=128, learning_rate=4e-3, warm_up=0.1, weight_decay=0.02),
            PruneChannels(
                size_bytes=16_000 if quick else 63_500,
                multiple=4 if quick else 8,
                steps=1,
                epochs=1 if quick else 40,
                batch_size=128,
                learning_rate=4e-3,
                warm_up=0.1,
                weight_decay=0.01,
                distill=teacher,
            ),
            Quantize(epochs=1 if quick else 6, batch_size=128, learning_rate=5e-4, distill=teacher),
            Convert(),
            Verify(runs=20 if quick else 200),
        ),
        gates=()
        if quick
        else (
            Gate(name="accuracy", limit=0.935),
            Gate(name="drop", limit=0.002),
            Gate(name="size_bytes", limit=64_000),
        ),
    )
