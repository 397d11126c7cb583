"""Files of Keras 2, files that only look like one, and files that would run code."""

import base64
import json
import marshal
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.build import keras_file
from edgecnn.errors import EdgecnnError, ModelError, UsageError

SIZE = (8, 8, 3)
FORMATS = ("h5", "keras")
Save = Callable[[Any, str], Path]


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    from edgecnn.build.keras import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)


def layers() -> Any:
    from edgecnn.build.keras import keras

    return keras.layers


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def saved(model: Any, suffix: str) -> Path:
        model.save(tmp_path / f"own.{suffix}")
        return tmp_path / f"own.{suffix}"

    return saved


def small(*inside: Any) -> Any:
    from edgecnn.build.keras import keras

    return keras.Sequential([layers().Input(SIZE), *inside, layers().Flatten(), layers().Dense(2, name="scores")])


def refused(path: Path, kind: type[EdgecnnError] = ModelError) -> EdgecnnError:
    """The error with its four parts; reading and checking refuse alike."""
    with pytest.raises(kind) as caught:
        keras_file.check(path)
    with pytest.raises(kind) as again:
        keras_file.read(path)
    error = caught.value
    assert (error.message, error.received) == (again.value.message, again.value.received)
    assert error.received
    assert error.accepted
    assert error.remedy
    return error


def edited(path: Path, edit: Callable[[dict[str, Any]], Any]) -> Path:
    """The file with another configuration."""
    import h5py

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            file.attrs["model_config"] = json.dumps(edit(config) or config)
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    parts["config.json"] = json.dumps(edit(config) or config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def last(config: dict[str, Any]) -> dict[str, Any]:
    layer: dict[str, Any] = config["config"]["layers"][-1]
    return layer


# --- what is read


def nested(training: bool = False) -> Any:
    from edgecnn.build.keras import keras, tf

    inner, image = layers().Input(SIZE), layers().Input(SIZE, name="image")
    tensor = layers().BatchNormalization()(layers().Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(inner))
    base = keras.Model(inner, tensor, name="base")
    tensor = tf.nn.relu6(base(image[:, :, :, ::-1] / 127.5 - 1.0, training=training) * 2.0)
    tensor = tf.reduce_mean(layers().LeakyReLU()(tensor), [1, 2])
    return keras.Model(image, layers().Dense(2, activation=tf.nn.softmax)(tensor))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_model_is_read_with_its_weights(save: Save, suffix: str) -> None:
    model = nested()
    read = keras_file.read(save(model, suffix))
    images = np.random.default_rng(0).uniform(0, 255, (3, *SIZE)).astype(np.float32)
    assert np.array_equal(model(images, training=False), read(images, training=False))
    assert [layer.name for layer in read.layers] == [layer.name for layer in model.layers]


@pytest.mark.parametrize("suffix", FORMATS)
def test_how_it_was_trained_does_not_matter(save: Save, suffix: str) -> None:
    model = small()
    model.compile("adam", lambda truth, scores: truth - scores)
    assert keras_file.read(save(model, suffix)).optimizer is None


@pytest.mark.parametrize(("suffix", "name"), [("h5", "own.keras"), ("keras", "own.h5"), ("keras", "own")])
def test_the_content_says_what_it_is_not_the_name(save: Save, suffix: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    moved = shutil.move(save(small(), suffix), tmp_path / "other" / name)
    assert keras_file.read(Path(moved)).output_shape == (None, 2)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_file_stays_as_it_is(save: Save, suffix: str) -> None:
    path = save(small(), suffix)
    before = path.read_bytes()
    keras_file.read(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_mixed_precision_becomes_float32(save: Save, suffix: str) -> None:
    model = small(layers().Conv2D(2, 3, dtype="mixed_float16"))
    assert keras_file.read(save(model, suffix)).layers[0].compute_dtype == "float32"


def test_a_file_of_keras_2_12_is_read(save: Save) -> None:
    def older(config: dict[str, Any]) -> Any:
        return json.loads(json.dumps(config).replace("tf_keras.src.", "keras."))

    path = edited(save(nested(), "keras"), older)
    with zipfile.ZipFile(path) as archive:
        assert b'"keras.engine.functional"' in archive.read("config.json")
    assert keras_file.read(path).output_shape == (None, 2)


# --- what would run code


def bytecode(path: Path) -> str:
    """Of a function that leaves a file behind, as Keras keeps it."""
    source = f"lambda x: (open({str(path)!r}, 'w').close(), x)[1]"
    code = eval(compile(source, "<hostile>", "eval")).__code__
    return base64.b64encode(marshal.dumps(code)).decode()


def a_lambda(path: Path) -> dict[str, Any]:
    settings = {"function": [bytecode(path), None, None], "function_type": "lambda", "module": "__main__"}
    settings |= {"output_shape": None, "output_shape_type": "raw", "output_shape_module": None}
    return {
        "class_name": "Lambda",
        "config": {"name": "innocent", "trainable": True, "dtype": "float32", **settings, "arguments": {}},
    }


def as_layer(config: dict[str, Any], hostile: dict[str, Any]) -> None:
    config["config"]["layers"].insert(1, hostile)


def in_a_wrapper(config: dict[str, Any], hostile: dict[str, Any]) -> None:
    settings = {"name": "wrapper", "layer": hostile}
    config["config"]["layers"].insert(1, {"class_name": "TimeDistributed", "config": settings})


def in_a_model_in_a_model(config: dict[str, Any], hostile: dict[str, Any]) -> None:
    for name in ("inner", "outer"):
        hostile = {"class_name": "Sequential", "config": {"name": name, "layers": [hostile]}}
    config["config"]["layers"].insert(1, hostile)


def as_activation(config: dict[str, Any], hostile: dict[str, Any]) -> None:
    last(config)["config"]["activation"] = hostile


def as_initializer(config: dict[str, Any], hostile: dict[str, Any]) -> None:
    last(config)["config"]["kernel_initializer"] = hostile


PLACES = (as_layer, in_a_wrapper, in_a_model_in_a_model, as_activation, as_initializer)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_hostile_lambda_does_run_where_it_is_let(save: Save, suffix: str, tmp_path: Path) -> None:
    """Else the tests below would prove nothing."""
    from edgecnn.build.keras import keras

    trap = tmp_path / "trap"
    path = edited(save(small(), suffix), lambda config: as_layer(config, with_module(a_lambda(trap), suffix)))
    keras.models.load_model(path, compile=False, safe_mode=False)
    assert trap.exists()


def with_module(hostile: dict[str, Any], suffix: str) -> dict[str, Any]:
    return hostile if suffix == "h5" else {"module": "keras.layers", "registered_name": None, **hostile}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("place", PLACES)
def test_a_lambda_is_refused_and_never_runs(save: Save, suffix: str, place: Any, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = edited(save(small(), suffix), lambda config: place(config, with_module(a_lambda(trap), suffix)))
    error = refused(path)
    assert error.exit_code == 5
    assert "innocent is code (Lambda)" in str(error.received)
    assert "Rescaling" in error.remedy
    assert not trap.exists()


@pytest.mark.parametrize("suffix", FORMATS)
def test_keras_would_not_run_it_either(save: Save, suffix: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Behind the check, Keras's own safe mode is on, for HDF5 too."""
    trap = tmp_path / "trap"
    path = edited(save(small(), suffix), lambda config: as_layer(config, with_module(a_lambda(trap), suffix)))
    monkeypatch.setattr(keras_file.keras_config, "check", lambda config: None)
    with pytest.raises(ModelError) as caught:
        keras_file.read(path)
    assert "Keras cannot build it" in str(caught.value.received)
    assert not trap.exists()


def objects(trap: Path) -> dict[str, dict[str, Any]]:
    function = {"class_name": "function", "registered_name": None}
    return {
        "bytecode": {"class_name": "__lambda__", "config": {"value": [bytecode(trap), None, None]}},
        "system": {**function, "module": "os", "config": "system"},
        "exec": {**function, "module": "builtins", "config": "exec", "registered_name": "exec"},
        "get_file": {**function, "module": "keras.utils", "config": "get_file"},
        "Popen": {"class_name": "Popen", "module": "subprocess", "config": {"args": "id"}, "registered_name": None},
        "Mine": {"class_name": "Mine", "module": "mine.layers", "config": {}, "registered_name": "Custom>Mine"},
        "Dense of another": {"class_name": "Dense", "module": "evil", "config": {}, "registered_name": None},
        "Dense by name": {"class_name": "Dense", "module": "keras.layers", "config": {}, "registered_name": "os>Dense"},
        "like keras": {"class_name": "Dense", "module": "keras_evil.layers", "config": {}, "registered_name": None},
        "StringLookup": {
            "class_name": "StringLookup",
            "module": "keras.layers",
            "config": {"vocabulary": "/etc/passwd"},
        },
        "no name": {"class_name": ["Dense"], "config": {}},
        "TypeSpec": {
            "class_name": "__typespec__",
            "spec_name": "system",
            "module": "os",
            "config": [],
            "registered_name": None,
        },
    }


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("place", [as_layer, as_activation, as_initializer])
def test_what_is_from_outside_keras_is_refused(save: Save, suffix: str, place: Any, tmp_path: Path) -> None:
    trap, path = tmp_path / "trap", save(small(), suffix)
    for name, hostile in objects(trap).items():
        copy = Path(shutil.copy(path, tmp_path / f"copy.{suffix}"))
        with pytest.raises(ModelError) as caught:
            keras_file.check(edited(copy, lambda config, hostile=hostile: place(config, hostile)))
        assert "does not load" in caught.value.message, name
        assert caught.value.exit_code == 5
    assert not trap.exists()


@pytest.mark.parametrize("function", ["io.write_file", "py_function", "raw_ops.WriteFile", "io.read_file", None, ["a"]])
def test_an_operation_that_is_not_plain_is_refused(save: Save, function: Any) -> None:
    config = {"name": "op", "trainable": True, "dtype": "float32", "function": function}
    operation = {"class_name": "TFOpLambda", "config": config, "name": "op"}
    error = refused(edited(save(small(), "h5"), lambda each: as_layer(each, operation)))
    assert f"op calls the TensorFlow function {ascii(function).strip(chr(39))}" in str(error.received)


def test_an_activation_by_a_name_of_its_own_is_refused(save: Save) -> None:
    error = refused(edited(save(small(), "h5"), lambda config: as_activation(config, "my_mish")))  # type: ignore[arg-type]
    assert "scores has the activation my_mish" in str(error.received)


@pytest.mark.parametrize("suffix", FORMATS)
def test_all_of_it_is_said_at_once(save: Save, suffix: str, tmp_path: Path) -> None:
    def spoil(config: dict[str, Any]) -> None:
        in_a_model_in_a_model(config, a_lambda(tmp_path / "trap"))
        as_layer(config, {"class_name": "Mine", "config": {"name": "first"}, "registered_name": "Custom>Mine"})
        as_activation(config, {"class_name": "function", "module": "os", "config": "system"})

    error = refused(edited(save(small(), suffix), spoil))
    assert "3 parts" in error.message
    expected = ("first is from outside Keras (Custom>Mine)", "innocent is code", "scores (activation)")
    assert all(part in str(error.received) for part in expected)


def test_a_name_cannot_write_on_the_terminal(save: Save, tmp_path: Path) -> None:
    hostile = {**a_lambda(tmp_path / "trap"), "name": "\x1b[2Jgone"}
    error = refused(edited(save(small(), "h5"), lambda config: as_layer(config, hostile)))
    assert "\x1b" not in str(error.received)


def test_a_layer_of_tfmot_has_a_remedy_of_its_own(save: Save) -> None:
    from edgecnn.build.keras import tfmot

    model = tfmot.sparsity.keras.prune_low_magnitude(small())
    assert "strip_pruning" in refused(save(model, "h5")).remedy


def test_a_class_of_the_user_is_refused_by_the_name_of_its_layer(save: Save) -> None:
    class Own(layers().Layer):  # type: ignore[misc]
        def call(self, image: Any) -> Any:
            return image * 2.0

    for suffix in FORMATS:
        assert "mine is from outside Keras" in str(refused(save(small(Own(name="mine")), suffix)).received)


def test_every_name_on_the_lists_is_one_of_keras() -> None:
    from edgecnn.build import keras_config
    from edgecnn.build.keras import keras, tf

    known = {*dir(keras.layers), *dir(keras.layers.experimental), "BatchNormalizationV1"}
    assert known >= keras_config.LAYERS
    assert "Lambda" not in keras_config.LAYERS
    for name in keras_config.OPERATIONS - {"__operators__.add", "__operators__.getitem"}:
        found = tf
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found)


# --- what is no Keras 2 file


def keras_3(path: Path, *, version: str | None = "3.15.1") -> Path:
    """The fields that Keras 3.15.1 writes for a small model."""
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    image = {"batch_shape": [None, *SIZE], "dtype": "float32", "sparse": False, "ragged": False, "name": "input_layer"}
    dense = {"name": "dense", "trainable": True, "dtype": policy, "units": 3, "activation": "softmax"}
    parts = [{"class_name": "InputLayer", "config": image}, {"class_name": "Dense", "config": dense}]
    inner = {"name": "sequential", "trainable": True, "dtype": policy, "layers": parts}
    config = {"module": "keras", "class_name": "Sequential", "config": inner, "registered_name": None}
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path, "w") as file:
            file.attrs["backend"], file.attrs["model_config"] = "jax", json.dumps(config)
            file.create_group("model_weights")
            if version:
                file.attrs["keras_version"] = version
        return path
    with zipfile.ZipFile(path, "w") as archive:
        said = {"keras_version": version} if version else {}
        archive.writestr("metadata.json", json.dumps({**said, "date_saved": "2026-11-24@18:39:57"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"")
    return path


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("version", ["3.15.1", "3.0.5", None])
def test_a_file_of_keras_3_is_refused_with_the_way_out(tmp_path: Path, suffix: str, version: str | None) -> None:
    error = refused(keras_3(tmp_path / f"new.{suffix}", version=version))
    assert error.exit_code == 5
    assert "Keras 3" in error.message
    assert "TF_USE_LEGACY_KERAS=1" in error.remedy
    assert "load_weights" in error.remedy


def test_refusing_needs_no_tensorflow(tmp_path: Path) -> None:
    import subprocess

    keras_3(tmp_path / "new.keras")
    script = (
        "import sys; sys.modules['tensorflow'] = sys.modules['tf_keras'] = None\n"
        "from pathlib import Path; from edgecnn.build import keras_file\n"
        "try: keras_file.check(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "new.keras")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "ModelError\n"


def test_keras_1_is_refused(save: Save) -> None:
    import h5py

    path = save(small(), "h5")
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = b"1.2.2"
    assert "Keras '1.2.2'" in str(refused(path).received)


def test_weights_alone_are_refused(tmp_path: Path) -> None:
    for name in ("own.h5", "own.weights.h5"):
        small().save_weights(tmp_path / name)
        error = refused(tmp_path / name)
        assert "weights and no network" in str(error.received)
        assert "load_weights" in error.remedy


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"\x80\x02")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("own.h5", b"", "an empty file"),
        ("own.keras", b"\x1c\0\0\0TFL3\0\0", "a .tflite"),
        ("own.pth", b"\x80\x02\x8a\nl\xfc\x9c", "PyTorch"),
        ("own.safetensors", b'\x40\0\0\0\0\0\0\0{"a"', "safetensors"),
        ("own.onnx", b"\x08\x07\x12\x07pytorch", "ONNX"),
        ("own.bin", b"\x08\x07\x12\x07pytorch", "ONNX"),
        ("frozen.pb", b"\n\x12", "graph of TensorFlow"),
        ("own.ckpt.index", b"\0\0", "checkpoint"),
        ("own.ckpt.data-00000-of-00001", b"\0\0", "checkpoint"),
        ("checkpoint", b"model_checkpoint_path", "checkpoints"),
        ("own.json", b'{"class_name": "Functional"}', "without its weights"),
        ("own.h5", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ("own.h5", b"just some text", "another kind"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path / name)
    assert said in str(error.received)
    assert error.exit_code == 5


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("archive/data.pkl", "archive/data/0"), "PyTorch"),
        (("arr_0.npy", "arr_1.npy"), "arrays of numpy"),
        (("photo.jpg",), "zip of another kind"),
        (("config.json",), "damaged"),
    ],
)
def test_other_zips_are_named(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    zipped(tmp_path / "own.keras", *names)
    assert said in str(refused(tmp_path / "own.keras").received)


def test_a_saved_model_and_a_folder_of_checkpoints_are_named(tmp_path: Path) -> None:
    for name, file, said in (("saved", "saved_model.pb", "SavedModel"), ("points", "ckpt.index", "checkpoints")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(b"")
        assert said in str(refused(tmp_path / name).received)


def test_no_such_file_and_a_folder_are_wrong_usage(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.h5", tmp_path):
        assert refused(path, UsageError).exit_code == 2


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_file_that_is_cut_short_is_refused(save: Save, suffix: str, share: float) -> None:
    path = save(small(), suffix)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    error = refused(path)
    assert error.exit_code == 5
    assert "again" in error.remedy


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("config", ["[" * 100_000, "no json", '{"class_name": "Sequential"}', "[]", "3"])
def test_a_configuration_that_is_none_is_refused(save: Save, suffix: str, config: str, monkeypatch: Any) -> None:
    path = save(small(), suffix)
    part = f"_parts_of_{'hdf5' if suffix == 'h5' else 'zip'}"
    monkeypatch.setattr(keras_file, part, lambda path: (config, "2.21.0"))
    with pytest.raises(ModelError) as caught:
        keras_file.read(path)
    assert caught.value.remedy


@pytest.mark.parametrize("suffix", FORMATS)
def test_weights_that_do_not_fit_are_refused(save: Save, suffix: str) -> None:
    def wider(config: dict[str, Any]) -> None:
        last(config)["config"]["units"] = 5

    path = edited(save(small(), suffix), wider)
    keras_file.check(path)
    with pytest.raises(ModelError) as caught:
        keras_file.read(path)
    assert "Keras cannot build it" in str(caught.value.received)


def test_a_file_without_its_weights_is_refused(save: Save, tmp_path: Path) -> None:
    with zipfile.ZipFile(save(small(), "keras")) as archive, zipfile.ZipFile(tmp_path / "bare.keras", "w") as bare:
        bare.writestr("config.json", archive.read("config.json"))
    with pytest.raises(ModelError):
        keras_file.read(tmp_path / "bare.keras")
