"""What every file that ships promises of its bytes: its types, its input and outputs, and the zeros of pruning."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgecnn.build.flatbuffer import FileFacts
from edgecnn.build.recipe import counted
from edgecnn.errors import ModelError
from edgecnn.preprocess import InputSpec


def check_promises(
    facts: FileFacts,
    *,
    spec: InputSpec,
    zeros: Mapping[str, NDArray[np.bool_]],
    float_tensors: tuple[str, ...],
    float_operators: int = 0,
    class_maps: bool = False,
) -> None:
    """Hold a file against what is promised of its bytes.

    Args:
        facts: of the file.
        spec: the input that it must have.
        zeros: by layer, where pruning left a zero, in Keras's order of axes.
        float_tensors: names of the tensors that are neither int8 nor int32, exactly.
        float_operators: how many operators the build kept in float, each with the tensors that it takes and makes.
        class_maps: whether there is a second output.

    Raises:
        ModelError: with every promise that is broken.
    """
    broken = (
        _type_problems(facts, float_tensors, float_operators)
        + _input_problems(facts, spec)
        + _output_problems(facts, class_maps)
        + _zero_problems(facts, zeros)
    )
    if broken:
        raise ModelError(
            f"The converted file broke {counted(len(broken), 'promise')}: {'; '.join(broken)}.",
            accepted="int8 and int32 between the casts, the input's scale and zero point, every zero of pruning",
            remedy="name a float tensor that is meant in Verify(float_tensors=...); otherwise report this",
        )


def _type_problems(facts: FileFacts, float_tensors: tuple[str, ...], float_operators: int) -> list[str]:
    expected, problems = Counter(float_tensors), []
    if float_operators:
        expected += Counter({name for tensors in facts.float_operators for name in tensors})
        if len(facts.float_operators) != float_operators:
            problems.append(f"{len(facts.float_operators)} operators are in float, not {float_operators}")
    for tensor in facts.inner:
        if tensor.type not in ("int8", "int32"):
            if not expected[tensor.name]:
                problems.append(f"{tensor.name} is {tensor.type}")
            expected[tensor.name] -= 1  # names may repeat: each is allowed as often as the recipe names it
    return problems + [f"{name} is not float, as the recipe says" for name, left in expected.items() if left > 0]


def _input_problems(facts: FileFacts, spec: InputSpec) -> list[str]:
    image = facts.inputs[0]
    if (image.type, image.scale, image.zero_point) == ("uint8", float(np.float32(spec.scale)), spec.zero_point):
        return []
    wanted = f"uint8 with scale {spec.scale} and zero point {spec.zero_point}"
    return [f"the input is {image.type} with scale {image.scale} and zero point {image.zero_point}, not {wanted}"]


def _output_problems(facts: FileFacts, class_maps: bool) -> list[str]:
    """The scores, and after them the class maps, of 8 bits each."""
    scores, *others = facts.outputs
    problems = [f"{each.name}, an output, is {each.type}" for each in facts.outputs if each.type != "uint8"]
    if not problems and (scores.scale, scores.zero_point) != (1 / 256, 0):
        problems.append(f"the scores have scale {scores.scale} and zero point {scores.zero_point}, not 1/256 and 0")
    if len(others) != class_maps:
        problems.append(f"{counted(len(others), 'output')} beside the scores, not {int(class_maps)}")
    return problems


def _zero_problems(facts: FileFacts, zeros: Mapping[str, NDArray[np.bool_]]) -> list[str]:
    """A layer's pattern of zeros is its fingerprint: each finds a kernel of its own with a zero wherever it has one."""
    wanted = {layer: np.moveaxis(mask, -1, 0) for layer, mask in zeros.items()}
    fitting = {
        layer: [i for i, k in enumerate(facts.kernels) if k.shape == mask.shape and not k[mask].any()]
        for layer, mask in wanted.items()
    }
    owners: dict[int, str] = {}

    def settle(layer: str, asked: set[int]) -> bool:
        """Give a layer a kernel, and the layer that had it another one."""
        for kernel in fitting[layer]:
            if kernel not in asked:
                asked.add(kernel)
                if kernel not in owners or settle(owners[kernel], asked):
                    owners[kernel] = layer
                    return True
        return False

    lost = [layer for layer in sorted(zeros) if not settle(layer, set())]
    return [f"zeros of the layer {layer} are not zeros in the file" for layer in lost]
