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

_USER_UNIT = """\
# Written by `edgecnn service --user`. To install it:
#   install -D -m {mode:o} {file} ~/.config/systemd/user/{file}
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
# What lies there is no module of Python's.
Environment=PYTHONSAFEPATH=1
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
    check_view(view)
    model, python = model.resolve(), python or Path(sys.executable)
    _check_readable(model, python.absolute(), python.resolve())  # what a virtual environment links to, too
    network = _ONLINE if _is_stream(camera) or view in (None, "web") else _OFFLINE
    words = [str(python), "-m", "edgecnn", "demo", str(model), *options]
    return _filled(_UNIT, words, model=model, file=file, camera=camera, state=str(STATE), network=network)


def user_unit(
    model: Path,
    options: Sequence[str],
    *,
    state: Path,
    camera: str | None = None,
    view: str | None = None,
    file: str = "edgecnn.service",
    python: Path | None = None,
) -> Unit:
    """A unit for ``systemctl --user``, which needs neither root nor files that everybody may read.

    Args:
        model: see `unit`, as of all others.
        options: of ``edgecnn demo``.
        state: its working folder.
        camera: the one that these options name.
        view: likewise.
        file: what the unit will be called.
        python: with edgecnn installed.

    Raises:
        UsageError: a service has no such view.
    """
    check_view(view)
    words = [str(python or Path(sys.executable)), "-m", "edgecnn", "demo", str(model.absolute()), *options]
    folder = str(state.absolute()).replace("%", "%%")
    return _filled(_USER_UNIT, words, model=model, file=file, camera=camera, state=folder)


def check_view(view: str | None) -> None:
    """What stands after ``--view``, for a service.

    Raises:
        UsageError: it is shown where a service shows nothing.
    """
    if view in ("window", "terminal"):
        raise UsageError(
            f"A service has no {view} to show anything in.",
            received=f"--view {view}",
            accepted="--view web, the page; or --view none",
            remedy="choose --view web, or --view none with --events or --record",
        )


def has_password(camera: str | None) -> bool:
    """Whether what stands after ``--camera`` has a password in it."""
    return camera is not None and _is_stream(camera) and public(camera) != camera


def _is_stream(camera: str | None) -> bool:
    return camera is not None and camera.startswith(SCHEMES)


def _filled(template: str, words: Sequence[str], *, model: Path, file: str, camera: str | None, **parts: str) -> Unit:
    mode = 0o600 if has_password(camera) else 0o644
    text = template.format(
        file=file,
        mode=mode,
        name=file.removesuffix(".service"),
        model=model.name.replace("%", "%%"),
        command=" ".join(_quoted(word) for word in words),
        **parts,
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
