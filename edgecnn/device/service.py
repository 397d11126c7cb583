"""``edgecnn service``: the demo as a systemd unit, with a user of its own and rights to nothing but what it needs."""

import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.device.streams import SCHEMES, public
from edgecnn.errors import UsageError

STATE = Path("/var/lib/edgecnn")
"""Where the service may write, such as with ``--collect /var/lib/edgecnn/photos``."""

_UNIT = """\
# Written by `edgecnn service`. To install it:
#   sudo install -m {mode:o} {file} /etc/systemd/system/
#   sudo systemctl daemon-reload && sudo systemctl enable --now {file}
# What it says: journalctl -u {name} -f
[Unit]
Description=edgecnn: {model}, live
Documentation=man:systemd.exec(5)
After=network.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={command}
Restart=always
RestartSec=5
WatchdogSec=30
TimeoutStopSec=15

# A user that exists while the service runs; it sees cameras, and may write to {state} alone.
DynamicUser=yes
SupplementaryGroups=video
StateDirectory=edgecnn
WorkingDirectory={state}
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
DeviceAllow=char-dma_heap rw
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectProc=invisible
ProcSubset=all
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateMounts=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
UMask=0027
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
{network}
[Install]
WantedBy=multi-user.target
"""
_ONLINE = """\
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
"""
_OFFLINE = """\
# Neither a page nor a camera of the network was asked for.
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX
"""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A systemd unit: its text, and the mode of its file, which others may not read where a password is in it."""

    text: str
    mode: int

    @property
    def secret(self) -> bool:
        """Whether others may not read it."""
        return not self.mode & stat.S_IROTH


def unit(
    model: Path,
    options: Sequence[str],
    *,
    camera: str | None = None,
    view: str | None = None,
    file: str = "edgecnn.service",
    python: Path | None = None,
) -> Unit:
    """A unit that runs ``edgecnn demo MODEL OPTIONS``.

    Args:
        model: the bundle.
        options: of ``edgecnn demo``, as they are typed.
        camera: the one that these options name; None where they name none.
        view: likewise.
        file: what the unit will be called.
        python: with edgecnn installed; None takes the one that runs this.

    Raises:
        UsageError: the service's own user could not read the model or run this Python, or a service has no such view.
    """
    if view in ("window", "terminal"):
        raise UsageError(
            f"A service has no {view} to show anything in.",
            received=f"--view {view}",
            accepted="--view web, the page; or --view none",
            remedy="choose --view web, or --view none with --events or --record",
        )
    stream = camera if camera and camera.startswith(SCHEMES) else None
    mode = 0o600 if stream and public(stream) != stream else 0o644
    model, python = model.resolve(), python or Path(sys.executable)
    _check_readable(model, python.absolute(), python.resolve())  # what a virtual environment links to, too
    words = [str(python), "-m", "edgecnn", "demo", str(model), *options]
    text = _UNIT.format(
        file=file,
        mode=mode,
        name=file.removesuffix(".service"),
        model=model.name.replace("%", "%%"),
        command=" ".join(_quoted(word) for word in words),
        state=STATE,
        network=_ONLINE if stream or view in (None, "web") else _OFFLINE,
    )
    return Unit(text=text, mode=mode)


def _quoted(word: str) -> str:
    """As systemd.service(5) reads a word of a command line: neither a specifier nor a variable is one in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _check_readable(*paths: Path) -> None:
    """A user without any rights of its own reads what all may read; and all folders above have to let it through."""
    closed = []
    for path in paths:
        for part in (path, *path.parents):
            needed = stat.S_IROTH if part == path else stat.S_IXOTH
            if not part.stat().st_mode & needed:
                closed.append(str(part))
    if closed:
        raise UsageError(
            "The service's own user may not read this installation or this model.",
            received=f"closed to others: {', '.join(dict.fromkeys(closed))}",
            accepted="a model and an installation in folders that everybody may read",
            remedy="put both in /opt/edgecnn: `sudo python3 -m venv --system-site-packages /opt/edgecnn`, in a "
            f"checkout `sudo /opt/edgecnn/bin/pip install .`, `sudo cp '{paths[0]}' /opt/edgecnn/`; then "
            "/opt/edgecnn/bin/edgecnn service",
        )
