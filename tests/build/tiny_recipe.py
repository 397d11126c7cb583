"""A build of seconds that goes through every stage, for the tests of the pipeline."""

from edgecnn.build import (
    Convert,
    Flip,
    Gate,
    InputSpec,
    Quantize,
    Recipe,
    SeparableNet,
    Shapes,
    Sparsify,
    SplitRule,
    Train,
    Verify,
)


def recipe(*, quick: bool = False) -> Recipe:
    """32 px, 360 pictures, three blocks."""
    return Recipe(
        name="tiny",
        data=Shapes(images_per_class=40, rule=SplitRule(validation=0.15, calibration=0.1, test=0.2)),
        input=InputSpec(height=32, width=32),
        architecture=SeparableNet(widths=(8, 16, 16), strides=(2, 1)),
        augment=(Flip(),),
        stages=(
            Train(epochs=2),
            Sparsify(sparsity=0.5, epochs=2),
            Quantize(epochs=2),
            Convert(),
            Verify(runs=5),
        ),
        gates=(Gate(name="agreement", limit=0.5), Gate(name="size_bytes", limit=100_000)),
    )
