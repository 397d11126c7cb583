"""``--on user@host``: commands that run on another computer, over the system's OpenSSH and the user's own ssh config.

``there.py`` is what runs at the other end; whatever it writes is in one folder there, ``~/.edgecnn``.
"""

from edgecnn.remote.board import RemoteBoard
from edgecnn.remote.commands import bench, demo, deploy, evaluate
from edgecnn.remote.host import connected, forget
from edgecnn.remote.run import Ran, ran

__all__ = ["Ran", "RemoteBoard", "bench", "connected", "demo", "deploy", "evaluate", "forget", "ran"]
