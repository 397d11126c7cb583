"""What the report says of the file that no gate needs: where it is wrong, what it looked at, and where its bytes go.

It is measured on the bundle, by the code that runs on the device, and kept in the cache beside the stages.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn import targets
from edgecnn.bench.candidates import Candidate
from edgecnn.bench.operator_times import time_operators
from edgecnn.build.balance import imbalance
from edgecnn.build.confidence import BINS
from edgecnn.build.convert import KERAS_LOGITS
from edgecnn.build.recipe import Artifact, Context
from edgecnn.build.report import looks
from edgecnn.build.verify import BUNDLE_FILE
from edgecnn.bundle import Bundle
from edgecnn.evaluation import Evaluation, evaluate
from edgecnn.files import write_atomically
from edgecnn.inference import Classifier
from edgecnn.progress import Count

REVISION = 2  # raised when the same bundle begins to give another examination
PICTURES = "pictures.json"
_RUNS = 10  # timed invokes of each operator: enough to see which ones take long; `bench --layers` takes more
_SHOWN, _OF_A_PAIR = 12, 3  # pictures, and of one true class that is taken for one other


def examine(context: Context) -> Artifact:
    """Answer the test split once more, and look at what is wrong.

    Args:
        context: after the last stage; its data is loaded.

    Returns:
        ``metrics`` with ``confusion``, ``reliability``, ``pictured``, ``layers``, ``advice`` and ``warnings``, as JSON
        for the report, and the file `PICTURES` with what the page shows.
    """
    verified, test = context.history[-1], context.data["test"]
    bundle = Bundle.read(verified.files[BUNDLE_FILE])
    context.progress.update(0, 0, "the report")
    with Classifier(bundle, threads=1) as classifier:
        count = Count(context.progress, len(test), "the report: answering the test images")
        answers = evaluate(classifier, count.over(zip(test.pixels, test.labels.tolist(), strict=True)))
        pictured = _pictured(answers, np.load(_logits(context)).argmax(axis=1))
        count = Count(context.progress, len(pictured), "the report: what it looked at")
        places = [each["place"] for each in pictured]
        shown = [_shown(classifier, test.pixels[at], answers.answers[at]) for at in count.over(places)]
    context.progress.update(0, 0, "the report: the time of each layer")
    for each, found in zip(pictured, shown, strict=True):
        each |= {"sha256": test.digests[each.pop("place")], "largest_fall": found.pop("largest")}
    facts = {
        "confusion": confusion(answers) if context.data.labelled else None,
        "reliability": reliability(answers) if context.data.labelled else None,
        "pictured": pictured,
        **layers(bundle, verified.files[BUNDLE_FILE]),
        "warnings": _warnings(context, verified.metrics),
    }
    write_atomically(path := context.workspace / PICTURES, json.dumps(shown).encode())
    return Artifact(kind="tflite", files={PICTURES: path}, metrics=facts)


def _logits(context: Context) -> Path:
    path = context.latest(KERAS_LOGITS)
    assert path is not None, "what `Verify` takes is what `Convert` makes"
    return path


def confusion(answers: Evaluation) -> dict[str, Any]:
    """How often images of each class were taken for each, and the classes that were never answered.

    Returns:
        ``pairs``: [true, answered, images] of each pair that there is, by indices of classes, sorted;
        ``never_answered``: names of classes of the test split that no answer named.
    """
    pairs = Counter(zip(answers.truth.tolist(), answers.answers.tolist(), strict=True))
    silent = sorted(set(answers.truth.tolist()) - set(answers.answers.tolist()))
    return {
        "pairs": [[true, answered, number] for (true, answered), number in sorted(pairs.items())],
        "never_answered": [answers.labels[index] for index in silent],
    }


def reliability(answers: Evaluation) -> list[dict[str, Any]]:
    """The bins of the calibration error that have images: their share of right answers beside their mean score."""
    scores = answers.scores.astype(np.float64)
    bins = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    right = answers.answers == answers.truth
    return [
        {
            "from": round(place / BINS, 6),
            "to": round((place + 1) / BINS, 6),
            "n": int(mine.sum()),
            "score": round(float(scores[mine].mean()), 6),
            "right": round(float(right[mine].mean()), 6),
        }
        for place in range(BINS)
        if (mine := bins == place).any()
    ]


def layers(bundle: Bundle, path: Path) -> dict[str, Any]:
    """Where the bytes, the work and the time of a file go.

    Args:
        bundle: the file.
        path: where it is.

    Returns:
        ``layers``: of each operator its layer's name, its kind, the bytes of its constants, its MACs, and in ms what it
        takes (None where that cannot be timed) and the least that this host could; ``advice``: what follows from that.
    """
    alone = Candidate(path=path, bundle=bundle, read_ms=0.0, target=targets.choose(), threads=1)
    measured = time_operators(alone, runs=_RUNS)
    document = measured.as_json()
    found = [
        {
            "name": operator.name or operator.type.lower(),
            "kind": operator.type,
            "size_bytes": sum(tensor.bytes for tensor in operator.tensors if tensor.constant),
            **{"macs": operator.macs, "ms": row["time_ms"], "limit_ms": row["limit_ms"]},
        }
        for operator, row in zip(measured.operators, document["operators"], strict=True)
    ]
    return {"layers": found, "advice": document["advice"]}


def _pictured(answers: Evaluation, keras: NDArray[Any]) -> list[dict[str, Any]]:
    """The wrong answers of the highest scores; where no truth is known, those that differ from the float network's."""
    known = answers.accuracy is not None
    wrong = np.flatnonzero(answers.answers != (answers.truth if known else keras))
    seen, found = Counter[tuple[int, int]](), list[dict[str, Any]]()
    for place in wrong[np.argsort(-answers.scores[wrong], kind="stable")].tolist():
        wanted = int(answers.truth[place] if known else keras[place])
        pair = wanted, int(answers.answers[place])
        seen[pair] += 1
        if seen[pair] <= _OF_A_PAIR and len(found) < _SHOWN:
            found.append(
                {
                    "place": place,
                    "truth" if known else "float_answer": answers.labels[wanted],
                    "answer": answers.labels[pair[1]],
                    "score": round(float(answers.scores[place]), 6),
                }
            )
    return found


def _shown(classifier: Classifier, image: Any, answer: int) -> dict[str, Any]:
    found = looks.look(classifier, image, answer)
    return {
        "picture": looks.picture(image),
        "looked": looks.overlay(found.map, image) if found.map.any() else "",
        "largest": found.largest,
    }


def _warnings(context: Context, figures: Mapping[str, Any]) -> list[str]:
    """What whoever reads the figures should know of the data behind them."""
    said = list(context.data.warnings())
    if context.data.labelled:
        if uneven := imbalance(context.data["train"].labels, context.data.labels):
            said.append(uneven)
        tested = Counter(context.data["test"].labels.tolist())
        if few := sum(number < 5 for number in tested.values()):
            said.append(f"{few} of {len(tested)} classes have fewer than 5 test images: their accuracies say little")
    if left_out := figures["data"]["left_out"]:
        said.append(f"{len(left_out)} files are left out")
    if context.data.labelled and (note := figures["confidence"]["temperature_note"]):
        said.append(f"the temperature is {figures['confidence']['temperature']:g}: {note}")
    return said
