"""photos: a classifier of your own photos, from a folder with one folder of images a class.

    edgecnn build --data DIR

About 100 images a class are a good start. A small depthwise-separable network at 96x96 pixels is trained from scratch,
pruned to half of its weights and trained quantization-aware, taught by what it was, and proved.

To expect, for 2,062 photographs of hands that show the digits 0 to 9 (2 cores of an AMD EPYC, x86-64, November 2026):
under 6 minutes; accuracy of the int8 file 0.993 and of the float one 0.997; 97 kB against 280 kB; p50 of 0.085 ms
against 0.106 ms, one thread.
"""

from edgecnn.build import (
    Affine,
    Convert,
    Distill,
    Folder,
    Gate,
    InputSpec,
    Light,
    Quantize,
    Recipe,
    SeparableNet,
    Sparsify,
    Train,
    Verify,
)


def recipe(*, quick: bool = False) -> Recipe:
    """The recipe; ``quick`` proves that all works in seconds, and learns next to nothing."""
    teacher = Distill()
    return Recipe(
        name="photos",
        data=Folder(path="photos"),
        input=InputSpec(height=96, width=96),
        architecture=SeparableNet(),
        augment=(Affine(rotation_deg=10, zoom=0.15, shift=0.1), Light(brightness=0.1, contrast=0.2, color=0.03)),
        stages=(
            Train(epochs=1 if quick else 40, min_steps=0 if quick else 800, batch_size=32),
            Sparsify(
                sparsity=0.5,
                epochs=1 if quick else 12,
                min_steps=0 if quick else 300,
                batch_size=32,
                distill=teacher,
            ),
            Quantize(epochs=1 if quick else 8, min_steps=0 if quick else 200, batch_size=32, distill=teacher),
            Convert(),
            Verify(runs=20 if quick else 200),
        ),
        gates=() if quick else (Gate(name="agreement", limit=0.95), Gate(name="drop", limit=0.01, images=2)),
    )
