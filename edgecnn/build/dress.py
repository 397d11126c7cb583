"""The bundle of a build: a flatbuffer with the labels, the splits and the provenance of what made it."""

from dataclasses import asdict
from typing import Any

from edgecnn.build.data import split_facts
from edgecnn.build.recipe import Context
from edgecnn.build.versions import versions
from edgecnn.bundle import Bundle
from edgecnn.images import SPLITS

_NO_FIGURES = {
    "accuracy": dict.fromkeys(("float", "ptq", "int8", "agreement"), 0.123456),
    "confidence": {"temperature": 1.234567, "threshold": 0.12345678},
}


def dress(model: bytes, context: Context, figures: dict[str, Any]) -> Bundle:
    """The bundle that ships, with ``figures`` in its manifest."""
    recipe, keys = context.recipe, [made.key for made in context.history]
    facts: dict[str, Any] = {
        "splits": split_facts({split: context.data[split] for split in SPLITS}, context.data.rule),
        "recipe": recipe.settings(),
        "provenance": {
            "versions": versions(),
            "keys": {stage.name: key for stage, key in zip(recipe.stages, keys, strict=False)},
        },
    }
    if recipe.card:
        facts["card"] = asdict(recipe.card)
    labels = context.data.labels
    return Bundle.make(model, name=recipe.name, spec=recipe.input, labels=labels, manifest={**facts, **figures})


def shipped_bytes(model: bytes, context: Context) -> int:
    """How large a flatbuffer will be when it ships; keys and figures that are not known yet take their room."""
    later = [len('"":"",') + len(stage.name) + 32 for stage in context.recipe.stages[len(context.history) : -1]]
    return len(dress(model, context, _NO_FIGURES).data) + sum(later)
