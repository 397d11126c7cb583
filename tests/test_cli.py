import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgecnn import Bundle
from edgecnn.cli import main
from edgecnn.cli.live import _ended_by_signals
from edgecnn.device import CameraOptions, Region
from edgecnn.shapes import CLASSES, render
from tests.build.test_choice import photos

MODEL = "model.tflite"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def document(result: Result) -> dict[str, Any]:
    """The one JSON document on stdout: one line, and nothing else."""
    assert result.stdout.count("\n") == 1
    parsed: dict[str, Any] = json.loads(result.stdout)
    assert parsed["schema"] == 1
    return parsed


def error(result: Result) -> dict[str, Any]:
    parsed = document(result)
    assert list(parsed) == ["schema", "error"]
    assert list(parsed["error"]) == ["code", "message", "received", "accepted", "remedy"]
    assert parsed["error"]["remedy"]
    assert parsed["error"]["message"] in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr
    return dict(parsed["error"])


@pytest.mark.parametrize("name", [None, *main.commands])
def test_every_command_has_help_and_so_has_every_option(name: str | None) -> None:
    command = main.commands[name] if name else main
    result = run(*([name] if name else []), "--help")
    assert result.exit_code == 0
    assert max(len(line) for line in result.output.splitlines()) <= 80
    assert command.help
    for parameter in command.params:
        assert parameter.param_type_name == "argument" or getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("option", ["--record", "--events"])
def test_a_demo_does_not_write_over_what_it_reads(option: str, bundle_path: Path, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"a film")
    os.link(tmp_path / "film.mp4", tmp_path / "the same.mp4")
    result = run("demo", bundle_path, "--camera", tmp_path / "film.mp4", option, tmp_path / "the same.mp4")
    assert result.exit_code == 2
    assert f"{option} would write over" in result.stderr
    assert (tmp_path / "film.mp4").read_bytes() == b"a film"


@pytest.mark.tensorflow
def test_a_build_says_before_any_work_that_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"")
    refusal = error(run("build", "--quick", "--out", tmp_path / "out.png", "--json"))
    assert "Nothing can be written" in refusal["message"]
    assert not list((tmp_path / "edgecnn-cache").glob("*"))


def test_the_commands() -> None:
    names = "bench build compile completion data demo deploy device doctor evaluate explain new report service show "
    names += "targets"
    assert sorted(main.commands) == names.split()


def test_a_demo_elsewhere_gets_the_options_as_they_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["demo", MODEL, "--on", "pi", "--size", "640x480", "--mirror", "--roi", "0,0,1,1", "--collect-limit", "1GB"]
    positional, named = called(monkeypatch, "edgecnn.remote.demo", *words)
    typed = {"size": "640x480", "mirror": True, "roi": "0,0,1,1", "collect_limit": "1GB"}
    assert positional == ("pi", Path(MODEL), typed)
    assert named["page"]  # no terminal, and no script either
    assert not called(monkeypatch, "edgecnn.remote.demo", *words, "--json")[1]["page"]
    for quiet in (["-q", *words], [*words, "-q"]):
        assert called(monkeypatch, "edgecnn.remote.demo", *quiet)[0][2] == {**typed, "quiet": True}


def test_a_service_is_of_the_computer_that_it_runs_on(bundle_path: Path) -> None:
    result = run("service", bundle_path, "--on", "pi")
    assert (result.exit_code, "one of the computer that it runs on" in result.stderr) == (2, True)


def test_what_is_deployed_has_a_view_that_a_service_can_have_and_keeps_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = {"release": "there", "previous": None, "at_boot": True}
    monkeypatch.setattr("edgecnn.remote.deploy", lambda *_, **__: done)
    refused = run("deploy", MODEL, "pi", "--view", "terminal")
    assert (refused.exit_code, "A service has no terminal" in refused.stderr) == (2, True)
    result = run("deploy", MODEL, "pi", "--camera", "rtsp://user:secret@camera/")
    assert (result.exit_code, "A password is in its unit" in result.stderr) == (0, True)
    assert "secret" not in result.stderr
    assert "password" not in run("deploy", MODEL, "pi", "--camera", "rtsp://camera/").stderr


def test_bench_elsewhere_gets_its_options_and_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["bench", MODEL, "--on", "pi", "--layers", "--roofline", "roof.png", "--threads", "2"]
    positional, named = called(monkeypatch, "edgecnn.remote.bench", *words)
    assert positional == ("pi", (Path(MODEL),))
    assert named["pictures"] == {"plot": None, "roofline": Path("roof.png")}
    assert (named["layers"], named["threads"], named["pace"]) == (True, (2,), None)
    assert run("bench", MODEL, "--on", "pi", "--roofline", "roof").exit_code == 2


def test_a_window_elsewhere_is_seen_by_nobody(bundle_path: Path) -> None:
    assert error(run("demo", bundle_path, "--on", "pi", "--view", "window", "--json"))["code"] == "usage"


class Call(Exception):
    """Raised in place of the work, with what it was called with."""


def called(monkeypatch: pytest.MonkeyPatch, place: str, *arguments: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How the command calls the work."""
    caught: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def record(*positional: Any, **named: Any) -> None:
        caught.append((positional, named))
        raise Call

    monkeypatch.setattr(place, record)
    run(*arguments)
    assert len(caught) == 1
    return caught[0]


def test_bare_build_asks_for_the_default_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(monkeypatch, "edgecnn.build.recipes.find", "build") == (
        (None,),
        {"data": None, "quick": False, "out_of_set": None},
    )


def test_build_hands_over_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    call = called(monkeypatch, "edgecnn.build.recipes.find", "build", "mine.py", "--data", "photos", "--quick")
    assert call == (("mine.py",), {"data": Path("photos"), "quick": True, "out_of_set": None})
    call = called(monkeypatch, "edgecnn.build.recipes.find", "build", "--unknown", "street")
    assert call[1]["out_of_set"] == Path("street")


@pytest.mark.parametrize(
    ("options", "recipe"),
    [
        pytest.param([], "transfer", marks=pytest.mark.tensorflow),
        pytest.param(["--max-drop", "1%"], "transfer", marks=pytest.mark.tensorflow),
        (["--max-size", "90kB"], "photos"),
        (["--model", "x"], None),
    ],
)
def test_photos_get_the_recipe_that_fits_unless_a_network_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], recipe: str | None
) -> None:
    data = str(photos(tmp_path))
    positional, _ = called(monkeypatch, "edgecnn.build.recipes.find", "build", "--data", data, *options)
    assert positional == (recipe,)


@pytest.mark.parametrize(
    ("options", "out"),
    [
        ([], "artifacts/shapes"),
        (["--quick"], "artifacts/shapes-quick"),
        (["--out", "there"], "there"),
        (["--data", "some/pets"], "artifacts/pets"),
        (["--data", "some/pets", "--quick"], "artifacts/pets-quick"),
    ],
)
def test_where_a_build_goes(monkeypatch: pytest.MonkeyPatch, options: list[str], out: str) -> None:
    (recipe,), named = called(monkeypatch, "edgecnn.build.pipeline.run", "build", *options)
    assert named["out"] == Path(out)
    assert named["tensorboard"] is None
    assert out in ("there", f"artifacts/{recipe.name}")


def test_curves_go_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    _, named = called(monkeypatch, "edgecnn.build.pipeline.run", "build", "--tensorboard", "curves")
    assert named["tensorboard"] == Path("curves")


@pytest.mark.parametrize(
    ("options", "gates"),
    [
        (["--max-drop", "1%"], {"drop": 0.01}),
        (["--max-drop", "0.02"], {"drop": 0.02}),
        (["--max-size", "100kB"], {"size_bytes": 100_000}),
        (["--max-size", "0.5MB", "--max-p50", "5ms"], {"size_bytes": 500_000, "p50_ms": 5.0}),
    ],
)
def test_budgets_have_units(monkeypatch: pytest.MonkeyPatch, options: list[str], gates: dict[str, float]) -> None:
    (recipe,), _ = called(monkeypatch, "edgecnn.build.pipeline.run", "build", *options)
    assert gates.items() <= {gate.name: gate.limit for gate in recipe.gates}.items()
    prunes = [stage for stage in recipe.stages if stage.name == "prune-channels"]
    assert len(prunes) == bool(set(gates) - {"drop"})
    for stage in prunes:
        assert stage.targets == gates


@pytest.mark.parametrize("value", ["", "small", "-1kB", "0", "nan", "inf", "10 GB", "kB"])
def test_a_budget_that_is_no_number_is_said(value: str) -> None:
    refusal = error(run("build", "--max-size", value, "--json"))
    assert refusal["code"] == "usage"
    assert "kB or MB" in refusal["message"]


@pytest.mark.parametrize("value", ["1", "5", "150%", "-1%", "abc", "nan%"])
def test_a_drop_that_could_never_be_missed_is_said(value: str) -> None:
    assert "such as 1% or 0.01" in error(run("build", "--max-drop", value, "--json"))["message"]


def test_nothing_may_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    (recipe,), _ = called(monkeypatch, "edgecnn.build.pipeline.run", "build", "--max-drop", "0%")
    assert {gate.name: gate.limit for gate in recipe.gates}["drop"] == 0


@pytest.mark.parametrize(
    "options",
    [["--model", "m.h5"], ["--input-range", "0..1"], ["--model", "m.h5", "--data", "d", "--input-range", "0..2"]],
)
def test_options_of_an_own_model_go_together(options: list[str]) -> None:
    result = run("build", *options, "--json")
    assert result.exit_code == 2
    assert error(result)["code"] == "usage"


def test_bench_has_its_defaults(monkeypatch: pytest.MonkeyPatch, bundle_path: Path, bundle: Bundle) -> None:
    ((candidate,),), named = called(monkeypatch, "edgecnn.bench.bench", "bench", bundle_path)
    assert (candidate.path, candidate.bundle, candidate.threads) == (bundle_path, bundle, 1)
    assert (named["runs"], named["rate"]) == (200, None)


@pytest.mark.tensorflow
def test_bench_hands_over_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, bundle_path: Path, foreign_path: Path
) -> None:
    options = ("--threads", "1,2", "--runs", "9", "--target", "litert,tensorflow", "--pace", 30)
    (chosen,), named = called(monkeypatch, "edgecnn.bench.bench", "bench", bundle_path, foreign_path, *options)
    assert [each.path for each in chosen] == [bundle_path] * 4 + [foreign_path] * 4
    assert [each.target.package for each in chosen[:4]] == ["ai-edge-litert"] * 2 + ["tensorflow"] * 2
    assert [each.threads for each in chosen] == [1, 2] * 4
    assert (named["runs"], named["rate"]) == (9, 30.0)


def test_evaluate_hands_over_what_was_typed(monkeypatch: pytest.MonkeyPatch, bundle_path: Path) -> None:
    (classifier, root), named = called(
        monkeypatch,
        "edgecnn.evaluation.evaluate_folder",
        "evaluate",
        bundle_path,
        "photos",
        "--split",
        "all",
        "--threads",
        2,
    )
    assert (classifier.threads, root, named["split"]) == (2, Path("photos"), "all")


def test_demo_hands_over_what_was_typed(monkeypatch: pytest.MonkeyPatch, bundle_path: Path) -> None:
    options = ("--camera", "synthetic", "--frames", 3, "--pace", 2.5, "--threads", 2, "--view", "none")
    options += ("--threshold", 0.4, "--smooth", 0)
    (camera, classifier), named = called(monkeypatch, "edgecnn.device.demo.run", "demo", bundle_path, *options)
    assert (camera.name, classifier.threads) == ("synthetic", 2)
    assert (named["frames"], named["pace"], named["consumers"]) == (3, 2.5, [])
    assert (named["threshold"], named["smoothing_s"]) == (0.4, 0.0)


def test_a_demo_records_and_collects(bundle_path: Path, tmp_path: Path) -> None:
    options = ("--record", tmp_path / "demo.mp4", "--collect", tmp_path / "photos", "--collect-below", 1)
    result = run("demo", bundle_path, "--camera", "synthetic", "--view", "none", "--frames", 3, *options)
    assert result.exit_code == 0, result.stderr
    assert cv2.VideoCapture(str(tmp_path / "demo.mp4")).read()[0]
    assert len(list((tmp_path / "photos").glob("*.jpg"))) == 1
    assert "1 unsure frame is in" in result.stderr
    assert f"The recording is {tmp_path / 'demo.mp4'}." in result.stderr.replace("\n", "")


@pytest.mark.lengthy
def test_a_demo_that_is_told_to_end_ends_well(bundle_path: Path, tmp_path: Path) -> None:
    events, video = tmp_path / "events", tmp_path / "demo.mp4"
    os.mkfifo(events)
    command = [
        sys.executable,
        "-m",
        "edgecnn",
        "demo",
        bundle_path,
        "--camera",
        "synthetic",
        "--view",
        "none",
        "--json",
    ]
    demo = subprocess.Popen([*command, "--record", video, "--events", events], stdout=subprocess.PIPE, text=True)
    with events.open() as lines:
        for _ in range(5):
            lines.readline()
        demo.terminate()
        while lines.readline():
            pass
    out, _ = demo.communicate(timeout=30)
    assert demo.returncode == 0
    assert json.loads(out)["frames"] >= 5
    assert cv2.VideoCapture(str(video)).read()[0]


@pytest.mark.parametrize("new_line", [True, False])
def test_what_is_said_after_ctrl_c_does_not_stand_beside_it(new_line: bool, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), _ended_by_signals(new_line=new_line):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == ("\n" if new_line else "")


def test_a_service_runs_the_demo_with_what_was_typed(monkeypatch: pytest.MonkeyPatch, bundle_path: Path) -> None:
    typed = ("--camera", "0", "--view", "none", "--pace", "5")
    positional, named = called(monkeypatch, "edgecnn.device.service.unit", "service", bundle_path, *typed)
    assert positional == (bundle_path, typed)
    assert named == {"file": "edgecnn.service", "camera": "0", "view": "none"}
    _, named = called(monkeypatch, "edgecnn.device.service.unit", "service", bundle_path, "--out", "mug.service")
    assert named == {"file": "mug.service", "camera": None, "view": None}
    _, named = called(monkeypatch, "edgecnn.device.service.user_unit", "service", bundle_path, "--user", *typed)
    assert named == {"state": Path.cwd(), "file": "edgecnn.service", "camera": "0", "view": "none"}


def test_a_unit_with_a_password_is_closed_to_others(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.device.service._check_readable", lambda *paths: None)
    for url, mode in (("http://user:secret@camera/", 0o600), ("http://camera/", 0o644)):
        for user in ((), ("--user",)):
            result = run("service", bundle_path, *user, "--camera", url, "--out", tmp_path / "x.service")
            assert result.exit_code == 0, result.stderr
            assert (tmp_path / "x.service").stat().st_mode & 0o777 == mode
            assert ("install it with -m 600" in result.stderr) is (mode == 0o600)
            assert "secret" not in result.stderr


def test_demo_asks_of_the_camera_what_was_typed(monkeypatch: pytest.MonkeyPatch, bundle_path: Path) -> None:
    view = ("--size", "1280x720", "--rate", 25, "--rotate", "270", "--mirror", "--roi", "0,0.5,1,0.5")
    place = "edgecnn.device.demo.open_camera"
    (source, options), named = called(
        monkeypatch, place, "demo", bundle_path, "--camera", "csi", "--view", "none", *view
    )
    asked = CameraOptions(size=(720, 1280), rate=25, rotation=270, mirror=True, region=Region(0, 0.5, 1, 0.5))
    assert (source, options) == ("csi", asked)
    assert named["model"] == Bundle.read(bundle_path).input  # nobody else looks at the frames
    (source, options), named = called(monkeypatch, place, "demo", bundle_path, "--realtime", "--record", "a.mp4")
    assert (source, options, named["model"]) == (None, CameraOptions(realtime=True), None)


def test_a_demo_without_a_camera_chooses_one_and_says_which(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.device.cameras.find_camera", lambda: "synthetic")
    result = run("demo", bundle_path, "--view", "none", "--frames", 2, "--rate", 100, "--json")
    assert document(result)["camera"] == "synthetic"
    assert "The camera is synthetic." in result.stderr


@pytest.mark.parametrize(
    ("options", "terminal", "view"),
    [
        ([], True, "terminal"),
        ([], False, "web"),
        (["--frames", 3], True, "terminal"),
        (["--frames", 3], False, "none"),
        (["--json"], False, "none"),
        (["--json"], True, "none"),
        (["--events", "-"], True, "none"),
        (["--record", "answers.mp4"], True, "terminal"),
        (["--events", "-"], False, "none"),
        (["--record", "answers.mp4"], False, "none"),
        (["--events", "answers.jsonl"], False, "web"),
        (["--listen", "localhost"], True, "web"),
        (["--listen", "localhost", "--json"], False, "web"),
        (["--view", "window"], True, "window"),
        (["--camera", str(Path(__file__).parent)], True, "none"),
        (["--camera", str(Path(__file__).parent), "--view", "terminal"], True, "terminal"),
    ],
)
def test_the_view_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, bundle_path: Path, options: list[object], terminal: bool, view: str
) -> None:
    monkeypatch.setattr("edgecnn.cli.live._stderr_is_terminal", lambda: terminal)
    (name,), named = called(
        monkeypatch, "edgecnn.device.demo.open_view", "demo", bundle_path, "--camera", "synthetic", *options
    )
    assert (name, named["listen"]) == (view, "localhost" if "--listen" in options else None)


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        (["--view", "web"], True),
        (["--listen", "localhost"], True),
        (["--view", "window"], True),
        ([], True),  # where stderr is no terminal: the page
        (["--view", "terminal"], False),
        (["--view", "web", "--json"], False),
        (["--view", "web", "--events", "-"], False),
        (["--view", "web", "--frames", 3], False),
        (["--view", "web", "--record", "answers.mp4"], False),
    ],
)
def test_what_shows_pictures_stays_unless_a_script_runs_it(
    monkeypatch: pytest.MonkeyPatch, bundle_path: Path, options: list[object], stays: bool
) -> None:
    (_, asked, _), _ = called(monkeypatch, "edgecnn.device.play", "demo", bundle_path, "--camera", "0", *options)
    assert asked.stay is stays


def test_a_demo_without_a_threshold_says_what_follows(bundle_path: Path) -> None:
    typed = ("demo", bundle_path, "--camera", "synthetic", "--view", "none", "--frames", 1)
    assert "no threshold: every frame gets a name" in run(*typed).stderr
    assert "threshold" not in run(*typed, "--threshold", 0.3).stderr


def test_a_collection_that_nothing_would_fill_is_refused(bundle_path: Path, tmp_path: Path) -> None:
    result = run("demo", bundle_path, "--camera", "no-such-camera", "--view", "none", "--collect", tmp_path / "photos")
    assert result.exit_code == 2  # and not 7: the camera was not looked for
    assert "--collect-below 0.5" in result.stderr


def test_of_images_each_has_a_line(bundle_path: Path, tmp_path: Path) -> None:
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number} [bold].png"), np.full((20, 20, 3), 100 * number, np.uint8))
    result = run("demo", bundle_path, "--camera", tmp_path)
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if ".png: " in line]
    assert [line.partition(":")[0] for line in lines] == ["0 [bold].png", "1 [bold].png"]
    assert all(line.partition(": ")[2].split()[0] in CLASSES for line in lines)


def test_the_json_of_images_has_the_answers(bundle_path: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((20, 20, 3), 100, np.uint8))
    answers = document(run("demo", bundle_path, "--camera", tmp_path, "--json", "--threshold", 0))["answers"]
    assert [each["file"] for each in answers] == ["a.png", "b.png"]
    for each in answers:
        best = each["predictions"][0]
        assert best["label"] in CLASSES
        assert 0 <= best["score"] <= 1
        assert each["shown"] == (None if best["label"] == "nothing" else best["label"])
    unsure = document(run("demo", bundle_path, "--camera", tmp_path / "a.png", "--json", "--threshold", 1))["answers"]
    assert [each["shown"] for each in unsure] == [None]
    summary = document(run("demo", bundle_path, "--camera", "synthetic", "--frames", 1, "--json"))
    assert summary["answers"] == []


def test_a_port_in_use_is_7_before_anything_runs(bundle_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        result = run("demo", bundle_path, "--camera", "synthetic", "--listen", place, "--json")
    assert result.exit_code == 7
    assert error(result)["code"] == "device"


def test_a_synthetic_demo_keeps_its_contract(bundle_path: Path) -> None:
    result = run("demo", bundle_path, "--camera", "synthetic", "--view", "none", "--frames", 5, "--json")
    assert result.exit_code == 0, result.stderr
    summary = document(result)
    assert {"schema", "frames", "fps", "dropped", "phases", "runtime"} <= set(summary)
    assert (summary["frames"], summary["dropped"]) == (5, 0)
    assert list(summary["phases"]) == ["capture", "preprocess", "invoke", "postprocess"]
    for stats in summary["phases"].values():
        assert list(stats) == ["p50_ms", "p90_ms", "p99_ms"]


def test_events_on_stdout_are_all_there_is_on_stdout(bundle_path: Path) -> None:
    result = run("demo", bundle_path, "--camera", "synthetic", "--view", "none", "--frames", 3, "--events", "-")
    assert result.exit_code == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["number"] for event in events] == [0, 1, 2]
    assert events[0]["predictions"][0]["label"] in CLASSES


def test_bench_keeps_its_contract(bundle_path: Path) -> None:
    result = run("bench", bundle_path, "--threads", "1,2", "--runs", 3, "--json")
    assert result.exit_code == 0, result.stderr
    figures = document(result)
    assert {"schema", "model", "runtime", "runs", "cold_start_ms", "rss_mb", "host"} <= set(figures)
    assert figures["model"] == str(bundle_path)
    names = {"threads", "n", "min_ms", "mean_ms", "p50_ms", "p90_ms", "p99_ms"}
    assert all(names <= set(each) for each in figures["runs"])
    assert [(each["threads"], each["n"]) for each in figures["runs"]] == [(1, 3), (2, 3)]


@pytest.mark.lengthy
def test_a_bench_of_two_files_at_a_pace_with_its_picture(bundle_path: Path, foreign_path: Path, tmp_path: Path) -> None:
    options = ("--runs", 60, "--pace", 1000, "--plot", tmp_path / "times.png", "--json")
    result = run("bench", bundle_path, foreign_path, *options)
    assert result.exit_code == 0, result.stderr
    ours, foreign = document(result)["runs"]
    assert [ours["name"], foreign["name"]] == ["tiny.tflite, 1 thread", "foreign.tflite, 1 thread"]
    assert (ours["ratio"], ours["ratio_interval"]) == (1.0, None)
    assert foreign["ratio_interval"][0] <= foreign["ratio"] <= foreign["ratio_interval"][1]
    assert (foreign["paced"]["rate"], foreign["paced"]["n"]) == (1000.0, 60)
    picture = cv2.imread(str(tmp_path / "times.png"))
    assert picture is not None
    assert picture.shape[1] == 960
    assert "times.png" in result.stderr


@pytest.mark.lengthy
def test_a_bench_of_layers_with_their_roofline(bundle_path: Path, tmp_path: Path) -> None:
    result = run("bench", bundle_path, "--runs", 20, "--roofline", tmp_path / "roof.png", "--json")
    assert result.exit_code == 0, result.stderr
    layers = document(result)["layers"]
    assert {"type", "name", "output", "time_ms", "share", "macs", "bytes", "limit_ms"} <= set(layers["operators"][0])
    assert [each["type"] for each in layers["operators"]][-2:] == ["SOFTMAX", "QUANTIZE"]
    assert sum(each["share"] for each in layers["operators"]) == pytest.approx(1, abs=0.01)
    assert cv2.imread(str(tmp_path / "roof.png")).shape == (800, 1120, 3)
    assert "roof.png" in result.stderr


@pytest.mark.lengthy
def test_layers_are_a_table_and_only_for_who_asks(bundle_path: Path) -> None:
    assert document(run("bench", bundle_path, "--runs", 1, "--json"))["layers"] is None
    result = run("bench", bundle_path, "--runs", 1, "--layers")
    assert result.exit_code == 0, result.stderr
    assert "depthwise_conv" in result.stdout
    assert "The times are estimates" in result.stdout


def test_evaluate_keeps_its_contract(bundle_path: Path, tmp_path: Path, pictures: Any) -> None:
    for number, picture in enumerate(pictures):
        (folder := tmp_path / "photos" / CLASSES[number % 9]).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    (tmp_path / "photos" / "star" / "notes.txt").write_text("no image")
    result = run("evaluate", bundle_path, tmp_path / "photos", "--json")
    assert result.exit_code == 0, result.stderr
    figures = document(result)
    assert {"schema", "accuracy", "accuracy_interval", "n", "per_class"} <= set(figures)
    assert figures["n"] == 18
    assert set(figures["per_class"]) == set(CLASSES)
    assert figures["per_class"]["star"].keys() == {"accuracy", "accuracy_interval", "n"}
    assert "notes.txt" in result.stderr


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures of each of two shapes, and a file that is none."""
    root = tmp_path_factory.mktemp("drawn")
    for label, name in enumerate(("heart", "star")):
        (root / name).mkdir()
        for number in range(30):
            picture = render(CLASSES.index(name), np.random.default_rng((label, number)), (100, 100))
            (root / name / f"{number}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    (root / "star" / "[notes].txt").write_text("no image")
    return root


def test_a_service_of_a_wrong_option_is_not_written(bundle_path: Path, tmp_path: Path) -> None:
    result = run("service", bundle_path, "--out", tmp_path / "x.service", "--camra", "0")
    assert result.exit_code == 2
    assert "No such option '--camra'" in result.stderr
    assert "edgecnn demo --help" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.lengthy
def test_data_keeps_its_contract(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.build.choice.installed", lambda _: False)
    result = run("data", drawn, "--json", "--picture", tmp_path / "samples.png")
    assert result.exit_code == 0, result.stderr
    seen = document(result)
    assert list(seen) == ["schema", "root", "usable", "input", "images", "classes", "sizes", "findings"]
    assert (seen["root"], seen["usable"], seen["images"]) == (str(drawn), True, 60)
    assert list(seen["classes"]["star"]) == ["images", "train", "validation", "calibration", "test", "left_out"]
    assert [finding["kind"] for finding in seen["findings"]] == ["unreadable", "few-images"]
    for finding in seen["findings"]:
        assert list(finding) == ["kind", "message", "build", "advice", "places"]
    assert seen["findings"][0]["places"][0]["paths"] == ["star/[notes].txt"]
    assert cv2.imread(str(tmp_path / "samples.png")) is not None
    assert "samples.png" in result.stderr


@pytest.mark.lengthy
def test_data_that_a_build_would_refuse_is_shown_and_refused(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "heart").mkdir(parents=True)
    (tmp_path / "photos" / "star").symlink_to(drawn / "star")
    (tmp_path / "photos" / "heart" / "1.png").write_bytes((drawn / "heart" / "1.png").read_bytes())
    result = run("data", tmp_path / "photos", "--json")
    assert result.exit_code == 4
    seen = document(result)
    assert (seen["usable"], seen["images"], seen["error"]["code"]) == (False, 31, "data")
    assert seen["error"]["message"].startswith("The data cannot be used")
    result = run("data", tmp_path / "photos")
    assert result.exit_code == 4
    assert "the class heart has no" in result.stdout
    assert "Error: A build would refuse this folder" in result.stderr
    assert "heart" not in result.stderr  # said once


def test_data_measures_photos_by_the_recipe_that_a_build_would_take(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.build.choice.installed", lambda _: True)
    for path in (root := Path(shutil.copytree(drawn, tmp_path / "photos"))).rglob("*.png"):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (100, 110)))
    seen = document(run("data", root, "--json"))
    assert seen["input"] == {"height": 128, "width": 128}
    assert "128x128" in next(each["message"] for each in seen["findings"] if each["kind"] == "tiny")
    monkeypatch.setattr("edgecnn.build.choice.installed", lambda _: False)
    assert document(run("data", root, "--json"))["input"] == {"height": 96, "width": 96}


@pytest.mark.lengthy
def test_data_needs_neither_tensorflow_nor_the_build(drawn: Path) -> None:
    barred = "tensorflow", "tf_keras", "filelock", "platformdirs", "h5py", "edgecnn.build"
    code = f"import sys; sys.modules.update(dict.fromkeys({barred!r}))\nfrom edgecnn.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "data", str(drawn)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "A build would take this folder" in result.stdout


def test_show_keeps_its_contract(bundle_path: Path, bundle: Bundle) -> None:
    shown = document(run("show", bundle_path, "--json"))
    assert shown["whole"] is True
    assert shown["path"] == str(bundle_path)
    assert shown["size_bytes"] == bundle_path.stat().st_size
    assert shown["labels"] == list(CLASSES)
    assert shown["manifest"] == bundle.manifest
    assert shown["inputs"][0]["dtype"] == shown["outputs"][0]["dtype"] == "uint8"


@pytest.mark.parametrize("command", ["show", "bench", "demo", "evaluate"])
@pytest.mark.lengthy
def test_a_whole_foreign_file_is_welcome(command: str, foreign_path: Path, tmp_path: Path, pictures: Any) -> None:
    for index in range(9):
        (tmp_path / "photos" / str(index)).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "photos" / str(index) / "1.png"), pictures[index])
    options = {
        "show": (),
        "bench": ("--runs", 1),
        "demo": ("--camera", "synthetic", "--view", "none", "--frames", 1),
        "evaluate": (tmp_path / "photos",),
    }[command]
    result = run(command, foreign_path, *options)
    assert result.exit_code == 0, result.stderr
    said = result.stdout if command == "show" else result.stderr
    assert command == "bench" or "names of its classes" in said


@pytest.mark.parametrize("command", ["show", "bench", "demo", "evaluate"])
@pytest.mark.parametrize(("kind", "code", "name"), [("none", 2, "usage"), ("text", 6, "bundle"), ("cut", 6, "bundle")])
@pytest.mark.lengthy
def test_a_model_that_cannot_be_used(
    command: str, kind: str, code: int, name: str, bundle_path: Path, tmp_path: Path
) -> None:
    contents = {"text": b"this is text, not a model", "cut": bundle_path.read_bytes()[:-100]}
    if kind in contents:
        (tmp_path / MODEL).write_bytes(contents[kind])
    result = run(command, tmp_path / MODEL, *(["photos"] if command == "evaluate" else []), "--json")
    assert result.exit_code == code
    assert error(result)["code"] == name


@pytest.mark.parametrize(
    ("arguments", "code", "name"),
    [
        (["demo", MODEL, "--camera", "/dev/video97"], 7, "device"),
        (["demo", MODEL, "--camera", "no-such.mp4"], 7, "device"),
        (["demo", MODEL, "--camera", "rtsp://user:secret@127.0.0.1:9/"], 7, "device"),
        (["demo", MODEL, "--camera", "csi:9"], 7, "device"),
        (["demo", MODEL, "--camera", "synthetic", "--realtime"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--rate", "0", "--roi", "1,1,0,0"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--size", "640"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--roi", "1,2,3"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--rotate", "45"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--view", "hologram"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--events", "-"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--view", "none", "--listen", "localhost"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--listen", "no-such-host.invalid"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--target", "onnx"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--frames", "0"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--pace", "0"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--collect-below", "0.5"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--collect", "photos"], 2, "usage"),
        (["demo", MODEL, "--camera", "synthetic", "--record", "demo"], 2, "usage"),
        (["bench", MODEL, "--target", "onnx"], 2, "usage"),
        (["bench", MODEL, "--threads", "1,x"], 2, "usage"),
        (["bench", MODEL, "--threads", "²"], 2, "usage"),
        (["bench", MODEL, "--threads", "0"], 2, "usage"),
        (["bench", MODEL, "--runs", "0"], 2, "usage"),
        (["bench"], 2, "usage"),
        (["show", MODEL, "--target", "onnx"], 2, "usage"),
        (["show", MODEL, "--colour"], 2, "usage"),
        (["evaluate", MODEL, "nowhere"], 4, "data"),
        (["build", "no-such-recipe"], 2, "usage"),
        pytest.param(["build", "--data", "nowhere"], 4, "data", marks=pytest.mark.tensorflow),
        (["data", "nowhere"], 4, "data"),
        (["data", "photos"], 4, "data"),
        (["data", "photos", "--picture", "samples.jpg"], 2, "usage"),
        (["bench", MODEL, "--plot", "times.jpg"], 2, "usage"),
        (["bench", MODEL, "--roofline", "roof.jpg"], 2, "usage"),
        (["bench", MODEL, MODEL, "--layers"], 2, "usage"),
        (["bench", MODEL, "--threads", "1,2", "--roofline", "roof.png"], 2, "usage"),
        (["bench", MODEL, "--pace", "0"], 2, "usage"),
        (["bench", MODEL, "--target", "litert,"], 2, "usage"),
        (["data"], 2, "usage"),
        pytest.param(["build", "photos"], 4, "data", marks=pytest.mark.tensorflow),
        (["dance"], 2, "usage"),
    ],
)
def test_every_refusal_has_its_exit_code_and_its_json(
    arguments: list[str], code: int, name: str, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(bundle_path if argument == MODEL else argument for argument in arguments), "--json")
    assert result.exit_code == code, result.output
    assert error(result)["code"] == name
    assert not (tmp_path / "artifacts").exists()


def test_without_json_a_refusal_leaves_stdout_empty(tmp_path: Path) -> None:
    result = run("show", tmp_path / MODEL)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: The model cannot be read." in result.stderr
    assert "to do" in result.stderr


def test_a_bug_of_ours_is_exit_code_1_with_its_traceback(monkeypatch: pytest.MonkeyPatch, bundle_path: Path) -> None:
    def fail(path: Path) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Bundle, "read", fail)
    result = run("show", bundle_path, "--json")
    assert result.exit_code == 1
    assert document(result)["error"]["code"] == "bug"
    assert "Traceback" in result.stderr


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, bundle_path: Path) -> None:
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bundle, "read", interrupt)
    result = run("show", bundle_path, "--json")
    assert result.exit_code == 130
    assert document(result)["error"]["code"] == "interrupted"


@pytest.mark.parametrize("missing", ["filelock", "platformdirs", "tensorflow", "tf_keras"])
@pytest.mark.lengthy
def test_a_missing_extra_is_named(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom edgecnn.cli import main; main(['build', '--json'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    refusal = json.loads(result.stdout)["error"]
    assert refusal["code"] == "missing-extra"
    assert missing in refusal["message"]
    assert ".[build]" in refusal["remedy"]


def command_line(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgecnn", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **options)


@pytest.mark.parametrize("option", ["--json", "--target=litert"])
@pytest.mark.lengthy
def test_a_full_disk_under_stdout_is_7_and_no_bug(bundle_path: Path, option: str) -> None:
    with Path("/dev/full").open("w") as full:
        result = command_line("show", bundle_path, option, stdout=full)
    assert result.returncode == 7, result.stderr
    assert "Traceback" not in result.stderr
    assert "No space left" in result.stderr


@pytest.mark.lengthy
def test_nothing_of_the_interpreter_is_heard(bundle_path: Path) -> None:
    result = command_line("bench", bundle_path, "--runs", 1, "--json", stdout=subprocess.PIPE)
    assert result.stderr == ""
    assert json.loads(result.stdout)["schema"] == 1
