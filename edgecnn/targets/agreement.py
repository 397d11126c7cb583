"""How near one runtime's answers are to another's."""

from typing import Any

import numpy as np

from edgecnn.targets.session import Array, Session, TensorInfo

IMAGES = 5


def agreement_of(session: Session, reference: Session, images: int = IMAGES) -> dict[str, Any]:
    """Hold a session's outputs against those of another one of the same model, over the same random inputs.

    Returns:
        ``images``: how many there were. ``largest_step``: the most that an output is off, in whole steps of its
        quantization, or the difference itself where nothing is quantized. ``same_class``: the share of images of which
        both have the same best class.
    """
    random, steps, same = np.random.default_rng(0), 0.0, 0
    for _ in range(images):
        for index, tensor in enumerate(session.inputs):
            value = _random(random, tensor)
            for each in (session, reference):
                each.set_input(value, index)
        session.invoke()
        reference.invoke()
        pairs = [(session.output(i), reference.output(i), t) for i, t in enumerate(session.outputs)]
        differences = [np.abs(ours.astype(float) - theirs.astype(float)).max() for ours, theirs, _ in pairs]
        steps = max(steps, *differences)
        same += int(pairs[0][0].argmax() == pairs[0][1].argmax())
    unit = int(steps) if reference.outputs[0].scale else round(steps, 6)
    return {"images": images, "largest_step": unit, "same_class": same / images}


def _random(random: "np.random.Generator", tensor: TensorInfo) -> Array:
    if tensor.dtype.kind == "f":
        return random.uniform(-1, 1, tensor.shape).astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    return random.integers(limits.min, limits.max, tensor.shape, dtype=tensor.dtype, endpoint=True)
