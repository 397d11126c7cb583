"""shapes: eight printed shapes and nothing, rendered; the recipe that shows the whole way.

    edgecnn build            (or: edgecnn build shapes)
"""

from edgecnn.build import (
    Affine,
    Convert,
    Gate,
    InputSpec,
    Light,
    Quantize,
    Recipe,
    SeparableNet,
    Shapes,
    Sparsify,
    Train,
    Verify,
)


def recipe(*, quick: bool = False) -> Recipe:
    """The recipe; ``quick`` proves that all works in seconds, and learns next to nothing."""
    return Recipe(
        name="shapes",
        data=Shapes(images_per_class=60 if quick else 900),
        input=InputSpec(height=96, width=96),
        architecture=SeparableNet(widths=(16, 32, 64, 64, 96, 128, 160), strides=(2, 1, 2, 1, 2, 1)),
        augment=(Affine(rotation_deg=20, zoom=0.1, shift=0.05), Light(brightness=0.1, contrast=0.2, color=0.05)),
        stages=(
            Train(epochs=1 if quick else 14),
            Sparsify(sparsity=0.7, epochs=1 if quick else 6),
            Quantize(epochs=1 if quick else 4),
            Convert(),
            Verify(runs=20 if quick else 200),
        ),
        gates=()
        if quick
        else (
            Gate(name="accuracy", limit=0.97),
            Gate(name="agreement", limit=0.97),
            Gate(name="drop", limit=0.005),
        ),
    )
