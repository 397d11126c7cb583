"""Every way edgecnn can refuse, on one page: one class and one exit code each.

An error has four parts: what failed, what was received, what is accepted, and what to do next.

| code | meaning |
|---|---|
| 0 | done; of ``demo`` also Ctrl-C and SIGTERM, which are normal ends, and the summary is printed |
| 1 | a bug of ours (any exception that is not an `EdgecnnError`) |
| 2 | wrong usage, or a part of edgecnn that is not installed; `doctor`: that fails |
| 3 | a gate was missed: accuracy, agreement, size, latency, operators left to the CPU |
| 4 | the data is unusable |
| 5 | the model cannot be converted or compiled, or the file broke a promise about its types, scales or zeros |
| 6 | not a readable ``.tflite``, or a damaged bundle |
| 7 | the camera, the disk or another device failed |
| 130 | interrupted, but for a demo that runs |
"""

from typing import Any, ClassVar


class EdgecnnError(Exception):
    """A failure that was foreseen.

    Args:
        message: what failed, in one sentence.
        received: the value that was given, where there is one.
        accepted: what would have been accepted.
        remedy: what to do next.
    """

    exit_code: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, message: str, *, received: object = None, accepted: str | None = None, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.received = received
        self.accepted = accepted
        self.remedy = remedy

    def as_json(self) -> dict[str, Any]:
        """The document that ``--json`` prints for this error."""
        received = self.received if self.received is None else str(self.received)
        return error_document(self.code, self.message, received, self.accepted, self.remedy)


def error_document(
    code: str, message: str, received: str | None, accepted: str | None, remedy: str | None
) -> dict[str, Any]:
    """The one shape of an error on stdout, for foreseen errors, Click's own and bugs alike."""
    error = {"code": code, "message": message, "received": received, "accepted": accepted, "remedy": remedy}
    return {"schema": 1, "error": error}


class UsageError(EdgecnnError):
    """The command, the recipe or an argument is wrong."""

    exit_code, code = 2, "usage"


class MissingExtraError(UsageError):
    """A part of edgecnn that is installed on request is not there."""

    code = "missing-extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} is not installed.",
            accepted=f"an installation with the extra '{extra}'",
            remedy=f"in a checkout of edgecnn: pip install '.[{extra}]'",
        )


class GateError(EdgecnnError):
    """The model was built, and a promise of the recipe was not kept."""

    exit_code, code = 3, "gate"


class DataError(EdgecnnError):
    """The images cannot be trained or measured with."""

    exit_code, code = 4, "data"


class ModelError(EdgecnnError):
    """The model cannot be converted or compiled, or the converted file broke a promise."""

    exit_code, code = 5, "model"


class BundleError(EdgecnnError):
    """The file is not a readable ``.tflite``, or a bundle that is no longer whole."""

    exit_code, code = 6, "bundle"


class DeviceError(EdgecnnError):
    """A camera, a disk or another device failed."""

    exit_code, code = 7, "device"
