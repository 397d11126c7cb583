"""The bundle: one ``.tflite`` that carries its own labels, preprocessing and provenance.

Layout: the flatbuffer, with TFLite Metadata inside; behind it, as the metadata standard has it, an uncompressed
zip with ``labels.txt`` and ``edgecnn.json``, the manifest. Every byte is a function of the content: writing what
was read gives the same bytes, and that is also how damage is found.
"""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from edgecnn import targets
from edgecnn.errors import BundleError, UsageError
from edgecnn.files import write_atomically
from edgecnn.metadata import (
    LABELS_FILE,
    METADATA_NAME,
    Metadata,
    Normalization,
    classifier_metadata,
    read_metadata,
)
from edgecnn.preprocess import InputSpec
from edgecnn.targets import TensorInfo

MANIFEST_FILE = "edgecnn.json"
MANIFEST_LIMIT = 4096
NOTHING = ("nothing", "background", "unknown", "other")  # names of classes that are no answer


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A model with what is needed to run it.

    Attributes:
        model: the flatbuffer, without the zip behind it.
        input: the image it takes; None for a foreign file that takes none.
        labels: one name a class, in the order of its scores.
        manifest: what the build knows about it, as JSON; None for a ``.tflite`` that edgecnn did not build. In
            ``confidence`` it has ``temperature`` and ``threshold``, which are properties here.
        normalization: (mean, std) of a float input, each one number or one a channel; None takes the input's zero
            point and scale.
        unknown: what a foreign file does not say, and what is assumed instead.
        appended: what stands behind the model in a foreign file, kept as it is.
    """

    model: bytes
    input: InputSpec | None
    labels: tuple[str, ...]
    manifest: dict[str, Any] | None
    normalization: Normalization | None = None
    unknown: tuple[str, ...] = ()
    appended: bytes = b""

    @classmethod
    def make(
        cls, model: bytes, *, name: str, spec: InputSpec, labels: tuple[str, ...], manifest: dict[str, Any]
    ) -> "Bundle":
        """Dress a flatbuffer that the converter wrote: add TFLite Metadata, and complete the manifest.

        Args:
            model: a flatbuffer without metadata of its own.
            name: the model's name.
            spec: the input it was trained for.
            labels: one name a class.
            manifest: the build's facts; name, input and the sha256 of the model are added here.

        Raises:
            BundleError: the manifest is larger than 4 kB.
        """
        model = _with_metadata(model, name, spec)
        facts = {"name": name, "input": spec.as_json(), "model_sha256": hashlib.sha256(model).hexdigest()}
        bundle = cls(model=model, input=spec, labels=labels, manifest={"schema": 1, **facts, **manifest})
        if (size := len(bundle._files()[MANIFEST_FILE])) > MANIFEST_LIMIT:
            raise BundleError(
                "The manifest of this bundle is too large.",
                received=f"{size} bytes",
                accepted=f"at most {MANIFEST_LIMIT} bytes",
                remedy="shorten the names in the recipe",
            )
        return bundle

    @classmethod
    def read(cls, path: str | Path) -> "Bundle":
        """Read a bundle, or any other whole ``.tflite``, and make sure that it is whole.

        Raises:
            UsageError: there is no such file.
            BundleError: it is not a ``.tflite``, or it is damaged.
        """
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(
                "The model cannot be read.",
                received=f"{path}: {error.strerror}",
                accepted="a .tflite file",
                remedy="check the path; `edgecnn build` writes to artifacts/NAME/NAME.tflite",
            ) from error
        if data[4:8] != b"TFL3":
            raise BundleError(
                "This is not a .tflite file.",
                received=str(path),
                accepted="a TensorFlow Lite flatbuffer (its bytes 4 to 8 are 'TFL3')",
                remedy="pass a .tflite; `edgecnn build` makes one",
            )
        model, files = _split(data)
        if MANIFEST_FILE in files:
            return _read_ours(data, model, files)
        appended = data[len(model) :]
        if MANIFEST_FILE.encode() in appended:
            raise _damaged("the zip behind the model has lost its manifest")
        return _read_foreign(model, files, appended)

    @property
    def temperature(self) -> float | None:
        """What the logits were divided by, so that the scores are right as often as they say; None where not known."""
        found: float | None = self._confidence.get("temperature")
        return found

    @property
    def threshold(self) -> float | None:
        """The best score under which a device says "unknown"; None for a foreign file, or where it was not fitted."""
        found: float | None = self._confidence.get("threshold")
        return found

    @property
    def _confidence(self) -> dict[str, Any]:
        found: dict[str, Any] = (self.manifest or {}).get("confidence", {})
        return found

    @property
    def data(self) -> bytes:
        """All bytes of the file."""
        files = self._files()
        return self.model + (_zip(files, len(self.model)) if files else self.appended)

    def describe(self, target: str | None = None) -> dict[str, Any]:
        """What is inside, as JSON: the interpreter's view of inputs and outputs, and all that the bundle says.

        Raises:
            BundleError: the interpreter refuses the model.
            UsageError: no such target.
        """
        runtime, inputs, outputs = self._loaded(target)
        return {
            "whole": True,
            "size_bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "runtime": runtime,
            "inputs": [tensor.as_json() for tensor in inputs],
            "outputs": [tensor.as_json() for tensor in outputs],
            "input": self.input and self.input.as_json(),
            "labels": list(self.labels),
            "manifest": self.manifest,
            "unknown": list(self.unknown),
        }

    @property
    def compiled_for(self) -> str | None:
        """The target that the file was compiled for, which alone runs it; None for a file that any runtime takes."""
        found: str | None = ((self.manifest or {}).get("compiled") or {}).get("target")
        return found

    def compiled(self, model: bytes, facts: dict[str, Any]) -> "Bundle":
        """What a vendor's compiler made of this, with the manifest and the labels of this.

        Args:
            model: the flatbuffer that the compiler wrote.
            facts: for the manifest: ``target``, and what it was compiled with.
        """
        if self.manifest is None:
            _, files = _split(self.model + self.appended)  # where each begins stands in a zip: it is written anew
            return replace(self, model=model, appended=_zip(files, len(model)) if files else b"")
        digests = {"model_sha256": hashlib.sha256(model).hexdigest()}
        origin = {**facts, "from_sha256": self.manifest["model_sha256"]}
        return replace(self, model=model, manifest={**self.manifest, **digests, "compiled": origin})

    def _loaded(self, target: str | None) -> tuple[str, tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
        """The runtime, inputs and outputs; of a file for a target that is not here, as the flatbuffer has them."""
        if target is None and self.compiled_for and not targets.named(self.compiled_for).installed():
            from edgecnn.targets.session import edges

            return f"none here: it was compiled for {self.compiled_for}", *edges(self.model)
        session = targets.choose(target or self.compiled_for).load(self.model, threads=1)
        return session.runtime, session.inputs, session.outputs

    def write(self, path: str | Path) -> None:
        """Write the file, all of it or nothing.

        Raises:
            DeviceError: the disk is full.
            UsageError: the place cannot be written to.
        """
        write_atomically(Path(path), self.data)

    def _files(self) -> dict[str, bytes]:
        if self.manifest is None:
            return {}
        manifest = json.dumps(self.manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return {LABELS_FILE: "".join(f"{label}\n" for label in self.labels).encode(), MANIFEST_FILE: manifest.encode()}


def nothing_classes(labels: tuple[str, ...]) -> tuple[int, ...]:
    """The indices of classes that say that there is nothing to name, by their names; see `NOTHING`."""
    return tuple(index for index, label in enumerate(labels) if label.lower() in NOTHING)


def _read_ours(data: bytes, model: bytes, files: dict[str, bytes]) -> Bundle:
    try:
        manifest = json.loads(files[MANIFEST_FILE])
        bundle = Bundle(
            model=model,
            input=InputSpec.from_json(manifest["input"]),
            labels=tuple(files[LABELS_FILE].decode().split("\n")[:-1]),
            manifest=manifest,
        )
        model_sha256 = manifest["model_sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged("its manifest cannot be read") from error
    if hashlib.sha256(model).hexdigest() != model_sha256:
        raise _damaged("the model is not the one that its manifest names (sha256)")
    if bundle.data != data:
        raise _damaged("the zip behind the model is not as edgecnn wrote it")
    return bundle


def _read_foreign(model: bytes, files: dict[str, bytes], appended: bytes) -> Bundle:
    session = _load_untrusted(model)
    metadata = read_metadata(model)
    if metadata and (missing := [name for name in metadata.files if name not in files]):
        raise _damaged(f"its metadata names {', '.join(missing)}, and the zip that held them is gone")
    unknown = ["how a frame is brought to the model's size (stretched here)", "what it was built from"]
    labels = _foreign_labels(metadata, files)
    classes = session.outputs[0].shape[-1] if session.outputs and session.outputs[0].shape else 1
    if len(labels) != classes:
        unknown.append("the names of its classes (indices here)")
        labels = tuple(str(index) for index in range(classes))
    normalization = metadata.normalization if metadata else None
    if normalization is None:
        normalization = (0.0,), (255.0,)
        if any(tensor.dtype.kind == "f" for tensor in session.inputs):
            unknown.append("the range of its pixels (0 to 1 here)")
    return Bundle(
        model=model,
        input=_foreign_input(session.inputs[0].shape) if session.inputs else None,
        labels=labels,
        manifest=None,
        normalization=normalization,
        unknown=tuple(unknown),
        appended=appended,
    )


def _load_untrusted(model: bytes) -> targets.Session:
    """Load a flatbuffer that no checksum vouches for: the interpreter verifies it, yet may crash on a damaged one."""
    trial = "import sys; from edgecnn.targets import choose; choose().load(sys.stdin.buffer.read(), threads=1).invoke()"
    if subprocess.run([sys.executable, "-c", trial], input=model, capture_output=True, check=False).returncode < 0:
        raise _damaged("the interpreter crashes on it")
    return targets.choose().load(model, threads=1)


def _foreign_labels(metadata: Metadata | None, files: dict[str, bytes]) -> tuple[str, ...]:
    names = metadata.label_files[:1] if metadata else []
    return tuple(line for name in names for line in files[name].decode(errors="replace").splitlines())


def _foreign_input(shape: tuple[int, ...]) -> InputSpec | None:
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3):
        return None
    return InputSpec(height=shape[1], width=shape[2], channels=3 if shape[3] == 3 else 1)


def _damaged(why: str) -> BundleError:
    return BundleError(
        f"This file is damaged: {why}.",
        accepted="a bundle that is byte for byte what edgecnn wrote, or a whole .tflite of another origin",
        remedy="copy it again from where it was built, or run `edgecnn build` again",
    )


def _split(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The flatbuffer, and the files in the zip behind it."""
    stream = io.BytesIO(data)
    if not zipfile.is_zipfile(stream):
        return data, {}
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            files = {entry.filename: archive.read(entry) for entry in entries}
            end = min((entry.header_offset for entry in entries), default=archive.start_dir)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        raise _damaged(f"the zip behind the model cannot be read ({error})") from error
    return data[:end], files


def _zip(files: dict[str, bytes], offset: int) -> bytes:
    """A stored zip whose bytes depend on its content and place alone, as it stands ``offset`` bytes into a file."""
    stream = io.BytesIO(bytes(offset))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return stream.getvalue()[offset:]


def _with_metadata(model: bytes, name: str, spec: InputSpec) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(model)
    metadata = classifier_metadata(name, spec, class_maps=len(tree.subgraphs[0].outputs) > 1)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata, dtype=np.uint8)
    entry.name, entry.buffer = METADATA_NAME.decode(), len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata = [*(tree.metadata or []), entry]
    return packed(tree, len(model) + len(metadata))


def packed(tree: Any, size: int) -> bytes:
    """The bytes of a flatbuffer, from LiteRT's ``ModelT``; ``size`` is about how many."""
    builder = _Builder(size)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Writes what Python's object API forgets: the schema's alignment of buffers, and equal vectors only once.

    Each channel of each layer has a zero point of 8 bytes, all of them 0: shared, they cost nothing.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def StartVector(self, elem_size: int, count: int, alignment: int) -> int:
        return int(super().StartVector(elem_size, count, 16 if elem_size == 1 else alignment))

    def CreateNumpyVector(self, x: Any) -> int:
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = int(super().CreateNumpyVector(x))
        return self._written[key]
