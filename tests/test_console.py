import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console, RenderableType

from edgecnn import Bundle, console
from edgecnn.errors import DeviceError, UsageError
from edgecnn.latency import host_facts

LONG = "a class with a very long name that no table was made for " * 3
ODD = "[red]odd[/] [/bold] 猫 " + "x" * 90
PATH = "/home/someone/" + "a folder with a long name/" * 6 + "model.tflite"
STATS = {"p50_ms": 12345.678, "p90_ms": 123456.789, "p99_ms": 1234567.891}


def step(stage: str, method: str, accuracy: float, size: int, zipped: int, p50: float) -> dict[str, Any]:
    sizes = {"size_bytes": size, "gzip_bytes": zipped}
    right = {"accuracy": accuracy, "accuracy_interval": [accuracy - 0.02, accuracy + 0.01]}
    return {"stage": stage, "method": method, **right, **sizes, "p50_ms": p50}


FALLBACK = {"operator": "HARD_SWISH", "layer": ODD, "why": "it is not on the list " * 4, "instead": "ReLU or ReLU6"}


def compiled(method: str = "compiled") -> dict[str, Any]:
    return {
        "target": "ethos-u55",
        "path": PATH,
        "tool": "vela 5.2.0",
        "method": method,
        "operators": 1234,
        "operator_share": 0.98,
        "mac_share": 0.999,
        "fallbacks": [FALLBACK] * 25,
        "cycles": 1_234_567_890,
        "inferences_per_second": 12345.6,
        "sram_bytes": 1_234_567,
        "dram_bytes": 0,
        "flash_bytes": 123_456_789,
        "agreement": {"images": 5, "largest_step": 12, "same_class": 0.8},
        "settings": {"macs": 128, "system_config": "Ethos_U55_High_End_Embedded", "memory_mode": "Shared_Sram"},
    }


def target_rows() -> list[dict[str, Any]]:
    here, missing = {"able": True, "note": "ai-edge-litert"}, {"able": False, "note": "pip install it " * 20}
    return [
        {"target": "tflite-runtime", "runs": here, "compiles": None},
        {"target": "ethos-u55", "runs": None, "compiles": missing},
    ]


def survey_rows() -> list[dict[str, Any]]:
    agreement = {"images": 5, "largest_step": 0.123456, "same_class": 1.0}
    return [
        {**compiled(), "status": "falls back", "note": "vela 5.2.0"},
        {"target": "tflite-runtime", "status": "runs", "note": ODD, "p50_ms": 12345.678, "agreement": agreement},
        {"target": "openvino", "status": "not installed", "note": ODD},
        {**compiled("screened"), "target": "edgetpu", "status": "screened: nothing against it", "fallbacks": []},
    ]


def surveyed(*rows: dict[str, Any]) -> dict[str, Any]:
    host = {"board": None, "processor": "a processor", "cores": 2, "system": "Linux 6.12"}
    return {"model": PATH, "targets": list(rows) or survey_rows(), "host": host}


def report() -> dict[str, Any]:
    return {
        "targets": [compiled(), compiled("exported")],
        "model": {"path": PATH, "size_bytes": 123_456_789, "gzip_bytes": 98_765_432},
        "samples": PATH,
        "page": PATH,
        "steps": [
            step("train", "float", 0.98, 1_234_567_890, 1_134_567_890, 12345.67),
            step("train", "ptq", 0.9, 123_456_789, 113_456_789, 1234.56),
            step("prune-channels", "ptq", 0.9, 61_456_789, 56_456_789, 234.56),
            step("sparsify", "ptq", 0.9, 61_456_780, 26_456_789, 334.56),
            step("convert", "mixed", 0.97, 61_456_781, 26_456_780, 234.56),
        ],
        "confidence": {
            **{"temperature": 10.0, "temperature_note": "10 would make equal scores of different ones"},
            **{"ece_before": 0.123456, "ece": 0.012345, "threshold": 0.62109375},
            "right_accepted": {"share": 0.951, "interval": [0.9, 0.99], "n": 123_456},
            "wrong_accepted": None,
            "out_of_set_accepted": {"share": 0.0432, "interval": [0.03, 0.05], "n": 123_456, "chosen_on": 123_456},
        },
        "candidates": [{"method": name, "val_accuracy": 0.9} for name in ("ptq", "qat", "mixed")],
        "pruning": [
            {"size_bytes": 123_456_789, "macs": 10**10, "p50_ms": 12345.678},
            {"size_bytes": 61_456_789, "macs": 10**9, "val_accuracy": 0.91},
        ],
        "int8": {
            **{"accuracy": 0.97, "agreement": 0.99, "sparsity": 0.7, "p50_ms": 1234.56, "method": "mixed"},
            "float_layers": [f"a_layer_with_a_long_name_{number}" for number in range(6)],
        },
        "data": {"classes": [LONG, ODD], "test": 123_456},
        "gates": [
            {"name": "size_bytes", "limit": 123_456_789.0, "value": 123_456_789, "passed": True},
            {"name": "p50_ms", "limit": 0.001234, "value": None, "passed": False},
        ],
    }


def demo() -> dict[str, Any]:
    stats = {name: STATS[name] for name in ("p50_ms", "p90_ms", "p99_ms")}
    phases = {"capture": stats, "preprocess": stats, "invoke": stats, "postprocess": dict.fromkeys(stats)}
    truth = {"accuracy": 0.5, "shown": 0.25, "n": 10}
    return {
        "frames": 10**9,
        "dropped": 10**8,
        "fps": None,
        "runtime": "r" * 99,
        "phases": phases,
        "age": stats,
        "truth": truth,
        "left_out": ["a/x.jpg: empty"],
    }


def evaluation() -> dict[str, Any]:
    sure, unsure = {"accuracy_interval": [0.749, 0.751]}, {"accuracy_interval": [0.206549, 1.0]}
    per_class = {LONG: {"accuracy": 0.75, **sure, "n": 10**6}, ODD: {"accuracy": 1.0, **unsure, "n": 1}}
    return {"per_class": per_class, "accuracy": 0.75, **sure, "n": 10**6, "split": "test"}


def inspected() -> dict[str, Any]:
    counts = {"images": 123_456, "train": 98_765, "validation": 12_345, "calibration": 6_789, "test": 12_345}
    size = {"height": 12_000, "width": 16_000, "path": PATH}
    facts = {"message": f"{LONG} is wrong", "build": LONG, "advice": LONG}
    groups = [{"paths": [PATH, ODD] * 9, "notes": ["train", "left out"] * 9}] * 7
    alone = [{"paths": [ODD], "notes": [LONG]}, {"paths": [PATH], "notes": []}]
    return {
        "usable": False,
        "classes": {LONG: counts, ODD: counts},
        "sizes": {"smallest": size, "median": size, "largest": size},
        "findings": [
            {"kind": "a", **facts, "places": groups},
            {"kind": "b", **facts, "places": alone},
            {"kind": "c", **facts, "places": []},
        ],
    }


def described(bundle: Bundle) -> dict[str, Any]:
    keys = dict.fromkeys(("train", "sparsify", "quantize", "convert"), "0123456789abcdef" * 2)
    versions = {"tensorflow-model-optimization": "0.8.0", "opencv-python-headless": None}
    manifest = {
        "name": ODD,
        "accuracy": {"float": 0.9, "ptq": None},
        "confidence": {"temperature": 1.25, "threshold": None},
        "provenance": {"keys": keys, "versions": versions},
    }
    return {**bundle.describe(), "path": PATH, "labels": [LONG, ODD] * 30, "manifest": manifest, "unknown": [LONG]}


def benched(*, paced: bool) -> dict[str, Any]:
    """A bench of long names and large numbers."""
    figures = {
        **STATS, "n": 10**6, "min_ms": 12345.6789, "mean_ms": 123456.789, "ratio": 123.456, "late": 0,
        "intervals": {name: [0.9 * value, 1.1 * value] for name, value in {**STATS, "min_ms": 12345.6789}.items()},
        "ratio_interval": [100.0, 12345.6], "warm_up": {"discarded": 200, "settled": False}, "loads": 10,
    }  # fmt: skip
    cold = dict.fromkeys(("import_ms", "read_ms", "load_ms", "allocate_ms", "first_invoke_ms"), 12345.678)
    row = {"threads": 64, **figures, "name": LONG, "model": PATH, "runtime": "ai-edge-litert 2.1.0", "cold_start": cold}
    row |= {"memory_mb": 12345.6, "paced": {"rate": 29.97, **figures} if paced else None}
    unsure = {**row, "name": ODD, "intervals": None, "ratio_interval": None, "memory_mb": None}
    return {
        "runtime": "ai-edge-litert 2.1.0",
        "runs": [row, unsure] if paced else [row],
        "cold_start_ms": 1.0,
        "rss_mb": 123.4,
        "host": {**host_facts(), "board": "A Board With A Name " * 6},
        "conditions": {
            "governor": "ondemand",
            "mhz": {"before": 2400, "after": 1500, "highest": 2400},
            "temperature_c": {"before": 54.1, "after": 85.0},
            "throttled": {"before": None, "after": ["under-voltage"]},
            "load": 1.5,
            "others_cpu": 0.234,
        },
        "warnings": ["The chip is at 85 °C: it slows down when it is hot. Cool it. " * 2],
    }


def layered() -> dict[str, Any]:
    """Operators of long names and large numbers, and one of which nothing is known."""
    row = {
        "index": 0, "type": "DEPTHWISE_CONV_2D", "name": LONG, "output": [1, 1024, 1024, 1024], "compute_type": "int8",
        "time_ms": 1234.5678, "share": 0.9999, "macs": 123_456_000_000, "macs_known": True, "bytes": 123_456_789,
        "limit_ms": 1.5, "limit_share": 1.04,
    }  # fmt: skip
    odd = {"time_ms": None, "share": None, "macs": 0, "macs_known": False, "limit_share": None, "output": []}
    limits = {"memory_bytes_per_s": 10**10, "cache_bytes_per_s": 10**11, "cache_bytes": 1 << 25}
    return {
        "operators": [row, {**row, **odd, "type": ODD, "name": ODD}, {**row, "name": "", "output": [1, 10]}],
        "sum_ms": 1234.5678, "whole_ms": 1250.9, "sum_ratio": 0.987, "sum_ratio_interval": [0.98, 0.99],
        "limits": {**limits, "macs_per_s": {"float32": 55 * 10**9, "int8": 215 * 10**9}},
        "advice": [f"Prune next the 64 channels of {LONG}."], "warnings": ["Other programs took 50 %."],
    }  # fmt: skip


def comparison() -> dict[str, Any]:
    """Builds of long names, large files, and one without an accuracy."""
    row = {
        "accuracy": 0.98, "accuracy_interval": [0.96, 0.99], "size_bytes": 1234567890, "gzip_bytes": 1234567890,
        "p50_ms": 12345.67, "kept": 10, "gates": 11,
    }  # fmt: skip
    unknown = {**row, "name": ODD, "accuracy": None, "accuracy_interval": None}
    settings = [{"setting": f"stages.PruneChannels.{LONG}", "values": [1, 2]}] * 9
    return {"builds": [{**row, "name": LONG}, unknown], "settings": settings, "warnings": ["The hosts differ. " * 9]}


def rendered(summary: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(summary)
    return stream.getvalue()


SUMMARIES: dict[str, Callable[[Bundle], RenderableType]] = {
    "build": lambda bundle: console.build_summary(report()),
    "bench": lambda bundle: console.bench_summary(benched(paced=False)),
    "bench of several": lambda bundle: console.bench_summary(benched(paced=True)),
    "bench of layers": lambda bundle: console.bench_summary({**benched(paced=False), "layers": layered()}),
    "demo": lambda bundle: console.demo_summary(demo()),
    "evaluate": lambda bundle: console.evaluation_summary(evaluation()),
    "data": lambda bundle: console.data_summary(inspected()),
    "show": lambda bundle: console.show_summary(described(bundle)),
    "compile": lambda bundle: console.compile_summary(compiled()),
    "screen": lambda bundle: console.compile_summary({**compiled("screened"), "path": None, "settings": {}}),
    "targets": lambda bundle: console.targets_summary({"model": None, "targets": target_rows()}),
    "targets of a model": lambda bundle: console.targets_summary(surveyed()),
    "report": lambda bundle: console.comparison_summary(comparison()),
}


def test_layers_say_that_they_are_estimates_and_how_near_they_come() -> None:
    shown = rendered(console.layers_summary(layered()), width=400)
    assert "The times are estimates" in shown
    assert "sum up to 1235 ms, the whole takes 1251 ms; round for round, the sum is 0.987 (0.980-0.990)" in shown
    assert "55 GMAC/s in float32, 215 GMAC/s in int8; 10 GB/s from memory, 100 GB/s in the caches (32 MB)" in shown
    assert "1024x1024x1024 1234.568 100.0% 123456.00 123456.8     104%" in shown
    assert "Prune next" in shown
    assert "Other programs" in shown
    assert len([line for line in shown.splitlines() if " ? " in line and ODD in line]) == 1


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_fits_80_columns_and_cuts_nothing_off(name: str, bundle: Bundle) -> None:
    text = rendered(SUMMARIES[name](bundle))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_a_bench_says_how_well_it_knows_what_it_says() -> None:
    shown = rendered(console.bench_summary(benched(paced=True)), width=400)
    assert "11111-13580" in shown  # the interval of the median, below it
    assert "123.5" in shown  # the ratio
    assert "at 29.97 a second" in shown
    assert "over 10 loads, 200 more to warm up" in shown
    assert "governor ondemand, 2400 to 1500 MHz, 54 to 85 °C, others took 23.4% of the processor" in shown
    assert "The chip is at 85 °C" in shown
    assert ODD in shown


def test_a_bench_has_a_dash_for_an_interval_that_is_not_known_and_counts_in_words() -> None:
    figures = benched(paced=False)
    first = figures["runs"][0]
    first["intervals"]["p99_ms"] = None
    shown = rendered(console.bench_summary(figures), width=400)
    assert "below them, 95 % intervals, - where there are too few invokes for one" in shown
    assert re.search(r"11111-13580 +\S+-\S+ +-\s", shown)
    first |= {"n": 1, "loads": 1, "intervals": None, "ratio_interval": None}
    shown = rendered(console.bench_summary(figures), width=400)
    assert "1 invoke each over 1 load, 200 more to warm up; too few loads for intervals" in shown


def test_a_sum_of_few_loads_has_no_interval() -> None:
    assert "is 0.987 (0.980-0.990) of it" in rendered(console.layers_summary(layered()), width=400)
    shown = rendered(console.layers_summary({**layered(), "sum_ratio_interval": None}), width=400)
    assert "is 0.987 (-: too few loads for an interval) of it" in shown


def test_names_are_shown_as_they_are_and_not_as_markup(bundle: Bundle) -> None:
    shown = rendered(console.show_summary(described(bundle)), width=400)
    assert f"edgecnn, {ODD}" in shown
    assert ODD in rendered(console.evaluation_summary(evaluation()), width=400)


def test_the_figures_of_a_build_are_there() -> None:
    text = rendered(console.build_summary(report()))
    for figure in (
        "(0.960-0.990)",
        "1,234,567,890",
        "26,456,780",
        "0.9900",
        "int8 with some layers in float (mixed) ships",
        "123456 test images",
        "temperature 10.000 (10 would make equal scores",
        "0.0123",
        "unknown below 0.621: shown are 0.951 of right answers, none of wrong ones",
        "and 0.043 of 123456 images of none of the classes",
        "kept",
        "missed",
    ):
        assert figure in text
    assert "None" not in text


def test_a_build_without_a_threshold_says_so() -> None:
    figures = report()
    figures["confidence"] |= {"threshold": 0.0, "right_accepted": None}
    text = rendered(console.build_summary(figures))
    assert "no threshold: every answer is shown" in text
    assert "unknown below" not in text


def test_every_accuracy_of_an_evaluation_has_its_interval() -> None:
    text = rendered(console.evaluation_summary(evaluation()))
    assert text.count("0.7500 (0.749-0.751)") == 2
    assert "1.0000 (0.207-1.000)" in text


def test_what_a_folder_holds_is_summed_up_and_what_is_wrong_has_a_remedy() -> None:
    text = rendered(console.data_summary(inspected()), width=2000)
    assert text.count(LONG.strip()) == 11
    for part in ("246,912", "12000x16000", f"{ODD} (left out)", "and 13 more\n", "and 2 more: --json"):
        assert part in text.replace("  ", ""), part
    assert "would take" not in text
    good = rendered(console.data_summary({**inspected(), "usable": True, "findings": [], "sizes": {}}))
    assert "A build would take this folder." in good


def changes(stage: str) -> list[str]:
    """The percentages in the row of a stage's PTQ file."""
    text = rendered(console.build_summary(report()), width=120)
    row = next(line for line in text.splitlines() if line.strip().startswith(stage) and " ptq " in line)
    return [word for word in row.split() if word.endswith("%")]


def test_a_stage_is_said_to_have_changed_what_it_changed() -> None:
    assert changes("train") == ["-90%", "-90%", "-90%"]
    assert changes("prune-channels") == ["-50%", "-50%", "-81%"]


def test_zeros_change_the_download_alone_whatever_the_clock_says() -> None:
    assert changes("sparsify") == ["-53%"]


def test_the_trade_off_is_there_after_a_miss_alone() -> None:
    missed = report()
    kept = {**missed, "gates": [{**gate, "passed": True} for gate in missed["gates"]]}
    assert "unpruned" in rendered(console.build_summary(missed))
    assert "unpruned" not in rendered(console.build_summary(kept))


def test_json_is_one_line_on_stdout_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("ascii", "latin-1", "utf-8"):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr("sys.stdout", stdout)
        console.to_stdout({"label": "猫 \udcff"}, "", as_json=True)
        text = stdout.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        assert text.count("\n") == 1
        assert json.loads(text) == {"label": "猫 \udcff"}


def test_a_summary_is_printed_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("ascii", "utf-8"):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr("sys.stdout", stdout)
        console.to_stdout({}, console.evaluation_summary(evaluation() | {"split": "\udcff"}), as_json=False)
        assert b"0.7500" in stdout.buffer.getvalue()  # type: ignore[attr-defined]


def test_a_full_disk_under_stdout_is_an_error_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)  # type: ignore[arg-type]
    monkeypatch.setattr("sys.stdout", full)
    with pytest.raises(DeviceError, match="stdout"):
        console.to_stdout({}, "", as_json=True)


def test_an_error_shows_its_four_parts_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_error(UsageError("It [failed].", received="[/x]", accepted=None, remedy="mend it"))
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert [line.split() for line in stderr.splitlines()] == [
        ["Error:", "It", "[failed]."],
        ["received", "[/x]"],
        ["to", "do", "mend", "it"],
    ]


def test_progress_that_no_terminal_shows_is_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as progress:
        for done in range(1, 101):
            progress.update(done, 100, "working")
        progress.say("[done] " + "x" * 100)
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr == "[done] " + "x" * 100 + "\n"


def test_on_a_terminal_lines_break_at_spaces_and_paths_do_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/home/someone/" + "a-folder/" * 12 + "photo.jpg"
    error = UsageError(f"{path} is no file, {LONG}", received=path, accepted=LONG, remedy="say it\n  - again")
    for terminal in (True, False):
        monkeypatch.setattr(Console, "is_terminal", terminal)
        monkeypatch.setenv("COLUMNS", "80")
        console.say_error(error)
        console.say(f"{path}: {LONG}")
        lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().err).splitlines()
        assert sum(path in line for line in lines) == 3
        assert any(len(line) > 80 for line in lines if path not in line) is not terminal
        words = {word for line in lines for word in line.split()}
        whole = f"Error: received accepted to do {path} {path}: is no file, {LONG} say it - again"
        assert words == set(whole.split())


def test_one_frame_is_one_and_a_speed_that_is_not_known_is_not_said() -> None:
    document = {"frames": 1, "fps": None, "dropped": 0, "phases": {}, "runtime": "litert", "left_out": [], "age": None}
    output = io.StringIO()
    Console(file=output, width=80).print(console.demo_summary({**document, "truth": None}))
    assert "1 frame answered, 0 dropped, litert" in output.getvalue()


def test_what_is_compiled_says_its_speed_is_estimated_and_how_many_more_fall_back() -> None:
    shown = rendered(console.compile_summary(compiled()), width=400)
    assert "12,346/s, estimated for the NPU's part, 1,234,567,890 cycles" in shown
    assert "98.0% of 1234 operators, 99.9% of multiplications" in shown
    assert "SRAM 1,235 kB, flash 123,457 kB" in shown
    assert "and 5 more" in shown
    assert ODD in shown
    assert "80% same class, 12 quantization steps off at most" in shown


def test_the_table_of_a_model_says_what_its_figures_are_of() -> None:
    shown = rendered(console.targets_summary(surveyed()), width=400)
    for heading in ("target", "status", "speed", "memory", "as the reference"):
        assert heading in shown.splitlines()[0]
    lines = {" ".join(line.split()) for line in shown.splitlines()}
    assert "98% of operators flash 123,457 kB 12 steps off" in lines
    assert "nothing against it flash 123,457 kB 12 steps off" in lines
    assert "~12,346/s" in shown
    assert "0.123456 off" in shown  # in float there are no steps
    assert f"openvino: {ODD}" in lines
    for word in ("~: Vela's estimate;", "of operators: those that", "as the reference: ", "screened: held against"):
        assert sum(line.startswith(word) for line in lines) == 1
    assert "ms: median of an inference here, one thread: a processor, 2 cores, Linux 6.12" in lines
    (alone,) = [row for row in survey_rows() if row["status"] == "not installed"]
    assert rendered(console.targets_summary(surveyed(alone)), width=400).strip().endswith(f"openvino: {ODD}")


def test_what_holds_for_several_targets_is_said_once() -> None:
    falls = [{**FALLBACK, "layer": f"layer{number}"} for number in range(7)]
    named = ("ethos-u55", "ethos-u65")
    rows = [{**compiled(), "status": "falls back", "target": name, "fallbacks": falls} for name in named]
    tool = {"status": "not installed", "note": "vela: pip install '.[ethos]'"}
    rows += [{**tool, "target": name} for name in ("a", "b")]
    rows += [{**tool, "target": "tflite-runtime", "note": "tflite-runtime: pip install it"}]
    lines = rendered(console.targets_summary(surveyed(*rows)), width=400).splitlines()
    assert len([line for line in lines if "of layer" in line]) == 5
    assert len([line for line in lines if line.startswith(f"ethos-u55, ethos-u65: {FALLBACK['operator']} of")]) == 5
    for said in (
        "ethos-u55, ethos-u65: and 2 more: --json lists all",
        "a, b: vela: pip install '.[ethos]'",
        "tflite-runtime: pip install it",
    ):
        assert [line.strip() for line in lines].count(said) == 1
