"""Reading a Keras 2 file: what it is goes by its content, what is in it is looked at before any of it is built.

Keras is given a copy, with a configuration that `edgecnn.build.keras_config` has checked and nothing else in it.
"""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecnn.build import keras_config
from edgecnn.errors import MissingExtraError, ModelError, UsageError
from edgecnn.silence import silenced

ACCEPTED = "a .h5 or .keras file of Keras 2, written by model.save"
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_FROM_KERAS_3 = (
    "run the code that builds this network with Keras 2 (pip install tf-keras, and TF_USE_LEGACY_KERAS=1 in the "
    "environment before TensorFlow is imported), give it the weights of this file with model.load_weights(FILE), save "
    "it with model.save('keras2.keras'), and pass that file"
)
_SAVE_ALL = "build the network in code, take the weights with model.load_weights(FILE), and save it with model.save"
_REBUILD = (
    "build the same network in Keras 2, copy the weights, and save it with model.save; PyTorch and ONNX keep kernels "
    "as (out, in, height, width), Keras as (height, width, in, out)"
)
_SAVED_MODEL = (
    "where Keras 2 made it, tf_keras.models.load_model(DIR).save('model.keras') makes the file; "
    "one that was only exported for serving holds no Keras model"
)
_TFLITE = "pass the Keras model that it was converted from; edgecnn show, bench and evaluate take a .tflite"
# By what the file begins with, or by the end of its name where the format has no sign of its own.
_FOREIGN: tuple[tuple[Callable[[bytes, str], bool], str, str], ...] = (
    (lambda head, name: not head, "an empty file", "copy it again"),
    (lambda head, name: head[4:8] == b"TFL3", "a .tflite", _TFLITE),
    (lambda head, name: head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5", "a pickle, as of PyTorch", _REBUILD),
    (lambda head, name: head[8:9] == b"{" and head[5:8] == b"\0\0\0", "a safetensors file", _REBUILD),
    (lambda head, name: name.endswith(".onnx") or (head[:1] == b"\x08" and head[2:3] == b"\x12"), "ONNX", _REBUILD),
    (lambda head, name: name.endswith(".pb"), "a graph of TensorFlow", _SAVED_MODEL),
    (lambda head, name: name.endswith((".ckpt", ".index")) or ".data-0" in name, "a TensorFlow checkpoint", _SAVE_ALL),
    (lambda head, name: name == "checkpoint", "the list of a folder of TensorFlow checkpoints", _SAVE_ALL),
    (lambda head, name: head[:1] == b"{", "JSON, which holds a network without its weights", _SAVE_ALL),
    (lambda head, name: head.startswith(b"version https://git-lfs"), "a pointer of Git LFS", "git lfs pull"),
    (lambda head, name: True, "a file of another kind", "pass what model.save of Keras 2 has written"),
)


def check(path: Path) -> None:
    """Refuse what can be refused without TensorFlow: another format, a Keras 3 file, a part from outside Keras.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        ModelError: the file is something else, damaged, or holds what is not loaded.
        MissingExtraError: h5py, which comes with TensorFlow, is not installed.
    """
    _checked_config(path)


def read(path: Path) -> Any:
    """The Keras model in a file, with its weights; not compiled.

    Raises:
        UsageError, ModelError, MissingExtraError: see `check`; ModelError also where Keras cannot build it.
    """
    config = _checked_config(path)
    from edgecnn.build.keras import keras

    with tempfile.TemporaryDirectory() as folder:
        copy = _copied(path, config, Path(folder))
        try:
            # Nothing unsafe is left in the file; for HDF5, Keras has no other way to ask for safe mode.
            with keras.src.saving.serialization_lib.SafeModeScope(True), silenced():
                model = keras.models.load_model(copy, compile=False)
            if not isinstance(model, keras.Model):
                raise TypeError("it is no model")
            return model
        except Exception as error:  # whatever Keras, h5py and zipfile raise over a file that is not as it should be
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise _refused(
                path, f"Keras cannot build it: {reason}", "save it again with model.save of Keras 2"
            ) from error


def _checked_config(path: Path) -> Any:
    """The configuration of a model of Keras 2, in which nothing is from outside Keras."""
    config, version = _parts(path)
    if version.startswith("3") or (not version and '"DTypePolicy"' in json.dumps(config)):
        raise ModelError(
            "The model is one of Keras 3, which the tools for pruning and quantization cannot take.",
            received=f"{path}: Keras {version or 3}",
            accepted=ACCEPTED,
            remedy=_FROM_KERAS_3,
        )
    if version and not version.startswith("2"):
        raise _refused(path, f"it is one of Keras {version[:20]!a}", "load it with Keras 2 and save it again")
    prepared = keras_config.prepared(config)
    keras_config.check(prepared)
    return prepared


def _parts(path: Path) -> tuple[Any, str]:
    """The configuration as JSON, and the version of Keras that wrote it; empty where the file does not say."""
    head = _head(path)
    if not head.startswith((_HDF5, _ZIP)):
        what, remedy = next((what, remedy) for sign, what, remedy in _FOREIGN if sign(head, path.name))
        raise _refused(path, f"it is {what}", remedy)
    try:
        text, version = (_parts_of_hdf5 if head.startswith(_HDF5) else _parts_of_zip)(path)
        config = json.loads(text)
        if not isinstance(config, dict) or not {"class_name", "config"} <= config.keys():
            raise ValueError("no network in it")
        return config, version
    except (OSError, ValueError, KeyError, RuntimeError, RecursionError, NotImplementedError, EOFError) as error:
        reason = f"it is damaged ({' '.join(str(error).split())[:200]})"
        raise _refused(path, reason, "copy it again from where it was made, or save the model again") from error
    except zipfile.BadZipFile as error:
        raise _refused(path, "it is cut short or damaged", "copy it again from where it was made") from error


def _head(path: Path) -> bytes:
    """The first bytes of a file."""
    try:
        if path.is_dir() and ((path / "saved_model.pb").exists() or list(path.glob("*.index"))):
            saved = (path / "saved_model.pb").exists()
            what, remedy = ("SavedModel", _SAVED_MODEL) if saved else ("TensorFlow checkpoints", _SAVE_ALL)
            raise _refused(path, f"it is a folder of {what}", remedy)
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise UsageError(
            "The model cannot be read.",
            received=f"{path}: {error.strerror}",
            accepted=ACCEPTED,
            remedy="check the path",
        ) from error


def _parts_of_hdf5(path: Path) -> tuple[str, str]:
    with _h5py().File(path) as file:
        if "model_config" not in file.attrs:
            raise _refused(path, "it holds weights and no network", _SAVE_ALL)
        return _text(file.attrs["model_config"]), _text(file.attrs.get("keras_version", ""))


def _parts_of_zip(path: Path) -> tuple[str, str]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.endswith(("data.pkl", "constants.pkl")) for name in names):
            raise _refused(path, "it is a model of PyTorch", _REBUILD)
        if names and all(name.endswith(".npy") for name in names):
            raise _refused(path, "it holds arrays of numpy and no network", _SAVE_ALL)
        if _CONFIG not in names:
            raise _refused(path, "it is a zip of another kind", "pass what model.save of Keras 2 has written")
        metadata = json.loads(archive.read(_METADATA)) if _METADATA in names else {}
        return archive.read(_CONFIG).decode(), str(dict(metadata).get("keras_version", ""))


def _copied(path: Path, config: Any, folder: Path) -> Path:
    """The file with this configuration, under a name that tells Keras what it is."""
    if _head(path).startswith(_HDF5):
        shutil.copyfile(path, copy := folder / "model.h5")
        with _h5py().File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
        return copy
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy := folder / "model.keras", "w") as written:
        written.writestr(_CONFIG, json.dumps(config))
        written.writestr(_METADATA, "{}")
        if _WEIGHTS in archive.namelist():
            written.writestr(_WEIGHTS, archive.read(_WEIGHTS))
    return copy


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise ValueError(f"text expected, not {type(value).__name__}")
    return value


def _h5py() -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError("h5py", "build") from error
    return h5py


def _refused(path: Path, what: str, remedy: str) -> ModelError:
    return ModelError("The model file cannot be used.", received=f"{path}: {what}", accepted=ACCEPTED, remedy=remedy)
