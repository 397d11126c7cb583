"""The wheel of the very edgecnn that runs here: made of its own files, so that any installation can make it."""

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import edgecnn

_ONLY_BUILDS = ("calibration_data", "pipelines")  # 10 MB that no device needs
_OLDEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel: its file's name, its bytes, and what names its environment on another computer."""

    name: str
    data: bytes

    @property
    def venv(self) -> str:
        """Another version, or a checkout with a change in it, is another environment."""
        return f"venv-{edgecnn.__version__}-{hashlib.sha256(self.data).hexdigest()[:12]}"


def wheel() -> Wheel:
    """The same bytes from the same files."""
    root = Path(edgecnn.__file__).parent
    files = {
        f"edgecnn/{path.relative_to(root)}": path.read_bytes() for path in sorted(root.rglob("*")) if _goes(path, root)
    }
    installed, about = distribution("edgecnn"), f"edgecnn-{edgecnn.__version__}.dist-info"
    metadata = (installed.read_text("METADATA") or "").partition("\n\n")[0]
    lines = [
        line for line in metadata.splitlines() if not line.startswith(("Version:", "License-File:", "Description"))
    ]
    files[f"{about}/METADATA"] = "\n".join([*lines, f"Version: {edgecnn.__version__}", ""]).encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: edgecnn\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{about}/entry_points.txt"] = (installed.read_text("entry_points.txt") or "").encode()
    record = "".join(f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _OLDEST), data, zipfile.ZIP_STORED)
    return Wheel(name=f"edgecnn-{edgecnn.__version__}-py3-none-any.whl", data=packed.getvalue())


def _goes(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    return path.is_file() and "__pycache__" not in parts and parts[0] not in _ONLY_BUILDS


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
