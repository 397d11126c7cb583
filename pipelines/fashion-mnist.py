"""fashion-mnist: ten kinds of clothes, 28x28 pixels, in a file of at most 64 kB.

    edgecnn build fashion-mnist [--data DIR]  DIR: the four IDX files; without it, those of Debian's package
                                              dataset-fashion-mnist where present, else tf_keras.datasets

Six convolutions in three stages, as small as the file has to be from the start: at this size they learned more in 8
epochs than ResNet8 did. QAT made nothing better. A ResNet8 that was pruned from twice the width and distilled, in a
shorter training, came to 0.923.

To expect (2 cores of an AMD EPYC, x86-64, November 2026): about an hour beside other work; accuracy of the int8 file
0.935 and of the float one 0.936; 62 kB against 210 kB; p50 of 0.067 ms against 0.224 ms, one thread.
"""

from edgecnn.build import (
    Convert,
    ConvNet,
    Crop,
    Flip,
    Gate,
    InputSpec,
    Published,
    Recipe,
    SplitRule,
    Train,
    Verify,
)


def recipe(*, quick: bool = False) -> Recipe:
    """The recipe; ``quick`` proves that all works in seconds, and learns next to nothing."""
    return Recipe(
        name="fashion-mnist",
        data=Published(name="fashion_mnist", rule=SplitRule(validation=0.05, calibration=0.01, test=0.15)),
        input=InputSpec(height=28, width=28),
        architecture=ConvNet(widths=(8, 16, 16) if quick else (24, 32, 42)),
        augment=(Crop(border=2), Flip()),
        stages=(
            Train(epochs=1 if quick else 40, batch_size=128, learning_rate=4e-3, warm_up=0.1, weight_decay=0.02),
            Convert(ranges="mse", correct_biases=True),
            Verify(runs=20 if quick else 200),
        ),
        gates=()
        if quick
        else (
            Gate(name="accuracy", limit=0.93),
            Gate(name="drop", limit=0.002),
            Gate(name="size_bytes", limit=64_000),
        ),
    )
