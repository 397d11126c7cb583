"""What a Pi's kernel says of its cores: XNNPACK and Python read it, and qemu-user alone would show them the host's.

With an x86 host's own text XNNPACK crashes; with none nothing says that it is not used. The board calls itself an
emulated one, so that no time that is measured there can pass for a Pi's.
"""

from dataclasses import dataclass
from pathlib import Path

CORES = 4


@dataclass(frozen=True, kw_only=True)
class Board:
    """A Raspberry Pi with a 64-bit system, as far as its processor goes."""

    model: str
    features: str
    variant: int
    part: int
    revision: int
    mhz: int

    def write(self, root: Path) -> None:
        """Put its ``/proc/cpuinfo`` and ``/sys/devices/system/cpu`` below a root."""
        for name, text in self._files().items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _files(self) -> dict[str, str]:
        all_cores = f"0-{CORES - 1}"
        system = "sys/devices/system/cpu"
        files = {f"{system}/{name}": f"{all_cores}\n" for name in ("possible", "present", "online")}
        files |= {f"{system}/kernel_max": f"{CORES - 1}\n"}
        for core in range(CORES):
            files |= {f"{system}/cpu{core}/{name}": f"{text}\n" for name, text in self._core(core).items()}
        processors = "".join(self._processor(core) for core in range(CORES))
        return {**files, "proc/cpuinfo": f"{processors}Model\t\t: QEMU, as {self.model}\n"}

    def _core(self, core: int) -> dict[str, str]:
        """The facts of one core, by their names below ``cpu0`` and its like."""
        return {
            "cpufreq/cpuinfo_max_freq": f"{self.mhz}000",
            "cpufreq/cpuinfo_min_freq": "600000",
            "topology/core_id": str(core),
            "topology/physical_package_id": "0",
            "topology/core_siblings": "f",
            "topology/core_siblings_list": f"0-{CORES - 1}",
            "topology/thread_siblings_list": str(core),
        }

    def _processor(self, core: int) -> str:
        return (
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: {self.variant:#x}\n"
            f"CPU part\t: {self.part:#x}\nCPU revision\t: {self.revision}\n\n"
        )


_PLAIN = "fp asimd evtstrm crc32 cpuid"
_DOT_PRODUCT = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
BOARDS = {  # by qemu's name of the core
    "cortex-a53": Board(model="Raspberry Pi 3", features=_PLAIN, variant=0, part=0xD03, revision=4, mhz=1200),
    "cortex-a72": Board(model="Raspberry Pi 4", features=_PLAIN, variant=0, part=0xD08, revision=3, mhz=1500),
    "cortex-a76": Board(model="Raspberry Pi 5", features=_DOT_PRODUCT, variant=4, part=0xD0B, revision=1, mhz=2400),
}
