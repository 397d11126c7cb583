"""A build of seconds that goes through every stage, for the tests of the pipeline."""

from edgecnn.build import (
    Convert,
    Crop,
    Distill,
    Flip,
    Gate,
    InputSpec,
    PruneChannels,
    Quantize,
    Recipe,
    ResNet8,
    SeparableNet,
    Shapes,
    Sparsify,
    SplitRule,
    Teach,
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
        augment=(Flip(), Crop(border=2)),
        stages=(
            Teach(architecture=ResNet8(widths=(8, 8, 8), stem_stride=2), epochs=2),
            Train(epochs=2, distill=Distill(), warm_up=0.2, weight_decay=0.01),
            PruneChannels(macs=50_000, steps=2, step_epochs=1, epochs=2, multiple=4, distill=Distill()),
            Sparsify(sparsity=0.5, epochs=2),
            Quantize(epochs=2, frozen=0.5, distill=Distill()),
            Convert(),
            Verify(runs=5),
        ),
        gates=(Gate(name="agreement", limit=0.5), Gate(name="size_bytes", limit=100_000)),
    )
