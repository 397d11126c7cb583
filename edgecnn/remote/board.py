"""A build's latencies, measured on another computer."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgecnn.bench.generated import empty_model
from edgecnn.board import OnRun, unseen
from edgecnn.errors import DeviceError
from edgecnn.progress import Progress
from edgecnn.remote.run import ran


class RemoteBoard:
    """A `edgecnn.board.Board` that ssh leads to. Its first use sets it up; what it measures is removed after it."""

    def __init__(self, host: str, progress: Progress) -> None:
        self._host, self._progress = host, progress
        self._said: set[str] = set()

    def facts(self) -> Mapping[str, Any]:
        """See `edgecnn.board.Board`; it measures a model that does nothing, so what is in the way shows at once."""
        return self._facts

    def p50s_ms(self, models: Sequence[bytes], *, runs: int, on_run: OnRun = unseen) -> list[float]:
        """See `edgecnn.board.Board`. What the other computer doubts about its figures is said, each doubt once."""
        document = self._bench(models, runs)
        for warning in document["warnings"]:
            if warning not in self._said:
                self._progress.say(f"{self._host}: {warning}")
        self._said.update(document["warnings"])
        on_run(runs, runs)
        return [run["p50_ms"] for run in document["runs"]]

    @cached_property
    def _facts(self) -> dict[str, Any]:
        document = self._bench([empty_model()], 1)
        return {"on": self._host, **document["host"], "runtime": document["runtime"]}

    def _bench(self, models: Sequence[bytes], runs: int) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            files = {}
            for number, model in enumerate(models):
                name = f"{number}.tflite"
                (path := Path(folder) / name).write_bytes(model)
                files[name] = path
            words = ["bench", "--runs", str(runs), "--quiet", "--json", "--", *files]
            done = ran(self._host, words, progress=self._progress, models={}, files=files)
        if done.code:
            error = done.document.get("error", {})
            raise DeviceError(
                f"{self._host} cannot measure a model of this build.",
                received=error.get("message"),
                accepted="a computer on which `edgecnn bench` runs",
                remedy=error.get("remedy") or f"try edgecnn bench MODEL --on {self._host}",
            )
        return done.document
