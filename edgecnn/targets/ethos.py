"""Arm's Ethos-U, of three generations, through Arm's own compiler: Vela.

Vela ends well whatever it leaves on the CPU, and then prints the speed of what is left for the NPU. So the file that it
wrote is what is believed: each operator in it that is not Vela's own is one for the CPU.
"""

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NoReturn

from edgecnn.errors import MissingExtraError, UsageError
from edgecnn.operators import Operator, operators
from edgecnn.targets.compiling import (
    Ability,
    Compiled,
    CompileOptions,
    Fallback,
    Model,
    check_compilable,
    fallback,
    find_tool,
    nothing_done,
    refuse_options,
    run_tool,
)

CUSTOM_CODE = "ethos-u"
MEMORY_MODES = ("Sram_Only", "Shared_Sram", "Dedicated_Sram", *(f"Dedicated_Sram_{n}KB" for n in (256, 384, 512)))
_U85 = (*(f"DRAM_{size}" for size in ("Mid", "Low", "High")), "Flash_Low", "Flash_High")
_GENERATIONS: dict[str, Any] = {  # the first of each is what is taken where nothing is said
    "ethos-u55": {
        "macs": (128, 32, 64, 256),
        "system_configs": ("Ethos_U55_High_End_Embedded", "Ethos_U55_Deep_Embedded"),
        "memory_modes": ("Shared_Sram", "Sram_Only"),
    },
    "ethos-u65": {
        "macs": (256, 512),
        "system_configs": tuple(f"Ethos_U65_{name}" for name in ("High_End", "Embedded", "Mid_End", "Client_Server")),
        "memory_modes": ("Dedicated_Sram_384KB", *MEMORY_MODES[:4], MEMORY_MODES[5]),
    },
    "ethos-u85": {
        "macs": (256, 128, 512, 1024, 2048),
        "system_configs": tuple(f"Ethos_U85_SYS_{name}" for name in _U85),
        "memory_modes": ("Dedicated_Sram_384KB", *MEMORY_MODES[:4], MEMORY_MODES[5]),
    },
}
# A fused activation is an operator of its own to Vela, and the tensor before it gets a name that is in no file.
_WARNING = re.compile(
    r"^Warning \(supported operators\) operator: \S+, ofm: '(.*?)(?:_act)?'\nReason: (.*(?:\n[^\n]+)*)", re.MULTILINE
)
_SPLIT = "a stride of 3 at most, and another after it"
_INSTEAD = (  # of what is there and too large: operator, how the reason begins, how it is written for the NPU
    ("CONV_2D", "Unsupported kernel stride", f"{_SPLIT}; or padding 'valid'"),
    ("DEPTHWISE_CONV_2D", "Unsupported kernel stride", _SPLIT),
    ("TRANSPOSE_CONV", "stride out of range", "a stride of 1 or 2, and another after it"),
    ("AVERAGE_POOL_2D", "kernel ", "a window of 8 at most, or of 256 with padding 'valid'; or GlobalAveragePooling2D"),
    ("MAX_POOL_2D", "kernel ", "a window of 256 at most, and another after it"),
)
_KB = 1024


@dataclass(frozen=True, kw_only=True)
class EthosTarget:
    """One generation. The first of each tuple is what is taken where nothing is said.

    Attributes:
        core: as Vela names it.
        macs: multipliers that there are of it.
        system_configs: clocks and bandwidths of boards, as Arm's configuration for Vela has them.
        memory_modes: where weights and activations may be.
    """

    core: str
    macs: tuple[int, ...]
    system_configs: tuple[str, ...]
    memory_modes: tuple[str, ...]

    general: ClassVar[bool] = False

    @classmethod
    def of(cls, core: str) -> "EthosTarget":
        """The generation of that name."""
        return cls(core=core, **_GENERATIONS[core])

    def installed(self) -> bool:
        """Never: the NPU is on a board with a microcontroller, and its simulators are not for Python."""
        return False

    def running(self) -> None:
        """See `edgecnn.targets.Target`."""

    def compiling(self) -> Ability:
        """Whether Vela is here."""
        found = find_tool("vela", None)
        return Ability(able=found is not None, note="vela" if found else "vela: pip install '.[ethos]'")

    def ready(self) -> None:
        """Nothing is imported."""

    def load(self, model: bytes, *, threads: int, reference: bool = False) -> NoReturn:
        """It does not run here.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"A file for {self.core} runs on its board alone.",
            accepted="`edgecnn show` and `edgecnn targets` here",
            remedy="put the file on the board; run the file that it was compiled from here",
        )

    def compile(self, model: Model, options: CompileOptions) -> Compiled:
        """Compile for the NPU, and find out what was left to the CPU.

        Raises:
            ModelError: the model cannot be compiled, or Vela failed, hung or put nothing on the NPU.
            UsageError: an option is wrong.
            MissingExtraError: Vela is not installed.
        """
        refuse_options(self.core, options, "macs", "system_config", "memory_mode", "tool")
        macs, system, memory = self._chosen(options)
        found = operators(model.flatbuffer, all_graphs=True)
        check_compilable(self.core, found)
        tool = find_tool("vela", options.tool)
        if tool is None:
            raise MissingExtraError("Vela", "ethos")
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "model.tflite").write_bytes(model.flatbuffer)
            version = run_tool([tool, "--version"], what="Vela", timeout_s=options.timeout_s, folder=folder).strip()
            command: list[str | Path] = [tool, "model.tflite", "--output-dir", "out", "--config", "Arm/vela.ini"]
            command += ["--accelerator-config", f"{self.core}-{macs}", "--system-config", system]
            command += ["--memory-mode", memory]
            said = run_tool(command, what="Vela", timeout_s=options.timeout_s, folder=folder)
            made, summary = _results(folder / "out")
        left, reasons = _left(found, operators(made, all_graphs=True)), _reasons(said)
        unsaid = "Vela left it to the CPU, and does not say why"
        falls = tuple(_fallback(op, reasons.get(op.outputs[0].name, unsaid)) for op in left)
        if len(left) >= len(found):
            raise nothing_done(
                "Vela", f"put nothing on the NPU: {falls[0].operator} of {falls[0].layer}: {falls[0].why}"
            )
        return Compiled(
            tool=f"vela {version}",
            method="compiled",
            model=made,
            operators=len(found),
            fallbacks=falls,
            macs=(sum(op.macs for op in found), sum(op.macs for op in left)),
            figures=summary,
            settings={"macs": macs, "system_config": system, "memory_mode": memory},
        )

    def _chosen(self, options: CompileOptions) -> tuple[int, str, str]:
        asked = (
            ("--macs", options.macs, self.macs),
            ("--system-config", options.system_config, self.system_configs),
            ("--memory-mode", options.memory_mode, self.memory_modes),
        )
        for name, value, known in asked:
            if value is not None and value not in known:
                raise UsageError(
                    f"{self.core} has no such {name}.",
                    received=value,
                    accepted=", ".join(map(str, known)),
                    remedy="choose one of these, or leave it out",
                )
        macs, system, memory = (known[0] if value is None else value for _, value, known in asked)
        return int(str(macs)), str(system), str(memory)


def _results(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """The file that Vela wrote, and what it says of it. Its sizes are in KiB."""
    written, summaries = sorted(folder.glob("*_vela.tflite")), sorted(folder.glob("*_summary_*.csv"))
    if not written or not summaries:
        raise nothing_done("Vela", "wrote nothing")
    with summaries[0].open(newline="") as file:
        row = next(iter(csv.DictReader(file)), {})
    try:
        sizes = {name: round(float(row[f"{name}_memory_used"]) * _KB) for name in ("sram", "dram", "on_chip_flash")}
        figures = {
            "cycles": int(float(row["cycles_total"])),
            "inferences_per_second": round(float(row["inferences_per_second"]), 3),
            "sram_bytes": sizes["sram"],
            "dram_bytes": sizes["dram"],
            "flash_bytes": sizes["on_chip_flash"] + round(float(row["off_chip_flash_memory_used"]) * _KB),
            "estimated": True,
        }
    except (KeyError, ValueError) as error:
        raise nothing_done("Vela", f"its summary has no figures ({error})") from error
    return written[0].read_bytes(), figures


def _reasons(said: str) -> dict[str, str]:
    """Why Vela left an operator to the CPU, by the name of its output: its reason and the limit, in one line."""
    found = _WARNING.findall(said)
    return {name: _in_one_line(why) for name, why in found}


def _in_one_line(why: str) -> str:
    parts = [line.strip().removeprefix("- ").rstrip(".") for line in why.splitlines()]
    return ". ".join(filter(None, parts)).replace(":. ", ": ")


def _fallback(operator: Operator, why: str) -> Fallback:
    """What is left to the CPU; of a stride or a window that is too large, there is a way to write it."""
    made = fallback(operator, why)
    known = (instead for name, start, instead in _INSTEAD if operator.type == name and why.startswith(start))
    return replace(made, instead=next(known, made.instead))


def _left(source: tuple[Operator, ...], made: tuple[Operator, ...]) -> list[Operator]:
    """What Vela left to the CPU, as it was before: a tensor keeps its name."""
    before = {op.outputs[0].name: op for op in source if op.outputs}
    return [before.get(op.outputs[0].name, op) for op in made if op.type != CUSTOM_CODE and op.outputs]
