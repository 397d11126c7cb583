import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from one_operator import T, model

from edgecnn import Bundle, Classifier, targets
from edgecnn.errors import BundleError, UsageError

pytest.importorskip("openvino", reason="pip install '.[openvino]'")
STEP = 1 / 256  # of the scores


@pytest.mark.parametrize("threads", [1, 2])
def test_a_classifier_answers_as_with_litert_to_a_step(threads: int, bundle: Bundle) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (8, 120, 160, 3), np.uint8)
    with (
        Classifier(bundle, target="openvino", threads=threads, top=9) as here,
        Classifier(bundle, target="litert", threads=threads, top=9) as there,
    ):
        assert here.runtime.startswith("openvino 20")
        for frame in frames:
            ours, theirs = ({each.label: each.score for each in run(frame)} for run in (here, there))
            assert len(ours) == len(theirs) == len(bundle.labels)
            assert max(abs(ours[label] - theirs[label]) for label in theirs) <= STEP


def test_ctrl_c_is_heard_after_a_session_has_ended_in_another_thread() -> None:
    code = (
        "import gc, signal, threading\n"
        "from edgecnn import targets\n"
        "from edgecnn.bench.generated import empty_model\n"
        "held = [targets.choose('openvino').load(empty_model(), threads=1)]\n"
        "held[0].invoke()\n"
        "thread = threading.Thread(target=lambda: (held.clear(), gc.collect()))\n"
        "thread.start()\n"
        "thread.join()\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('heard')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_what_is_inside_is_as_the_file_has_it(bundle: Bundle) -> None:
    ours, theirs = (targets.choose(name).load(bundle.model, threads=1) for name in ("openvino", "litert"))
    assert (ours.inputs, ours.outputs) == (theirs.inputs, theirs.outputs)
    assert min(ours.load_ms, ours.allocate_ms) > 0


def test_an_output_is_a_copy(bundle: Bundle) -> None:
    session = targets.choose("openvino").load(bundle.model, threads=1)
    kept = []
    for value in (0, 255):
        session.set_input(np.full(session.inputs[0].shape, value, np.uint8))
        session.invoke()
        kept.append((session.output(), session.output().copy()))
    for output, at_once in kept:
        np.testing.assert_array_equal(output, at_once)


def test_a_batch_of_any_size_is_a_batch_of_one() -> None:
    dynamic = T((1, 4, 4, 2), "float32", signature=(-1, 4, 4, 2))
    session = targets.choose("openvino").load(model("RELU", [dynamic], [dynamic]), threads=1)
    assert (session.inputs[0].shape, session.outputs[0].shape) == ((1, 4, 4, 2), (1, 4, 4, 2))
    value = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)
    session.set_input(value)
    session.invoke()
    np.testing.assert_array_equal(session.output(), np.maximum(value, 0))


def test_there_are_no_reference_kernels(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="no reference kernels") as caught:
        targets.choose("openvino").load(bundle.model, threads=1, reference=True)
    assert caught.value.accepted == "litert"
    assert caught.value.remedy


@pytest.mark.parametrize("kept", [0, 100, 3000])
def test_a_broken_file_is_refused_with_the_four_parts(
    kept: int, bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BundleError, match="OpenVINO cannot load this model") as caught:
        targets.choose("openvino").load(bundle.model[:kept], threads=1)
    assert all((caught.value.received, caught.value.accepted, caught.value.remedy))
    assert capfd.readouterr() == ("", "")


def test_the_table_of_a_model_has_its_row(bundle_path: Path) -> None:
    command = [sys.executable, "-m", "edgecnn", "targets", str(bundle_path), "--json"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (row,) = (each for each in answer["targets"] if each["target"] == "openvino")
    assert row["status"] == "runs"
    assert row["note"].startswith("openvino 20")
    assert row["p50_ms"] > 0
    assert row["agreement"]["images"] == 5
    assert row["agreement"]["largest_step"] <= 1
    assert row["agreement"]["same_class"] == 1
