"""``edgecnn service``: the demo as a systemd unit, with a user of its own and rights to nothing but what it needs."""

import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors import UsageError

STATE = Path("/var/lib/edgecnn")
"""Where the service may write, such as with ``--collect /var/lib/edgecnn/photos``."""

_UNIT = """\
# Written by `edgecnn service`. To install it:
#   sudo install -m 644 {file} /etc/systemd/system/
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


_USER_UNIT = """\
# Written by `edgecnn service --user`. To install it:
#   install -D -m 644 {file} ~/.config/systemd/user/{file}
#   systemctl --user daemon-reload && systemctl --user enable --now {file} && loginctl enable-linger
# What it says: journalctl --user -u {name} -f
[Unit]
Description=edgecnn: {model}, live
Documentation=man:systemd.exec(5)
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={command}
WorkingDirectory={state}
Restart=always
RestartSec=5
WatchdogSec=30
TimeoutStopSec=15

# What a user may take from itself: it reads and writes what the user may.
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
UMask=0077
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""


def user_unit(
    model: Path, options: Sequence[str], *, state: Path, file: str = "edgecnn.service", python: Path | None = None
) -> str:
    """The text of a unit for ``systemctl --user``, which needs neither root nor files that everybody may read.

    Args:
        model: the bundle.
        options: of ``edgecnn demo``, as they are typed.
        state: its working folder.
        file: what the unit will be called.
        python: with edgecnn installed; None takes the one that runs this.
    """
    words = [str(python or Path(sys.executable)), "-m", "edgecnn", "demo", str(model.absolute()), *options]
    return _USER_UNIT.format(
        file=file,
        name=file.removesuffix(".service"),
        model=model.name.replace("%", "%%"),
        command=" ".join(_quoted(word) for word in words),
        state=str(state.absolute()).replace("%", "%%"),
    )


def unit(
    model: Path,
    options: Sequence[str],
    *,
    online: bool,
    file: str = "edgecnn.service",
    python: Path | None = None,
) -> str:
    """The text of a unit that runs ``edgecnn demo MODEL OPTIONS``.

    Args:
        model: the bundle.
        options: of ``edgecnn demo``, as they are typed.
        online: whether it needs a network: for a page, or for a camera's stream.
        file: what the unit will be called.
        python: with edgecnn installed; None takes the one that runs this.

    Raises:
        UsageError: the service's own user could not read the model or run this Python.
    """
    model, python = model.resolve(), python or Path(sys.executable)
    _check_readable(model, python.absolute(), python.resolve())  # what a virtual environment links to, too
    words = [str(python), "-m", "edgecnn", "demo", str(model), *options]
    return _UNIT.format(
        file=file,
        name=file.removesuffix(".service"),
        model=model.name.replace("%", "%%"),
        command=" ".join(_quoted(word) for word in words),
        state=STATE,
        network=_ONLINE if online else _OFFLINE,
    )


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
            remedy="put both in /opt/edgecnn: `sudo python3 -m venv /opt/edgecnn`, `sudo /opt/edgecnn/bin/pip install "
            f"edgecnn`, `sudo cp '{paths[0].name}' /opt/edgecnn/`; then /opt/edgecnn/bin/edgecnn service",
        )
