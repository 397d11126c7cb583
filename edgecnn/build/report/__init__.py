"""The report of a build: ``report.json``, and ``report.html`` with the same facts for people.

jinja2 is here for the page alone: it escapes whatever a label, a path or an error may hold, which concatenated strings
do when they are remembered to.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.build.report.facts import FACTS, PAGE


def files_of(
    document: Mapping[str, Any], *, pictures: Path | None = None, samples: Path | None = None
) -> dict[str, bytes]:
    """Both files by their names, ready to be written: what goes wrong in making one is wrong before any is there.

    Args:
        document: the facts, of a build that ended or failed.
        pictures: what `examine` made for the page.
        samples: the picture of training images.
    """
    from edgecnn.build.report import page

    shown = json.loads(pictures.read_bytes()) if pictures else ()
    html = page.render(document, shown, samples)
    return {
        PAGE: html.encode(errors="replace"),  # a name of broken bytes is no reason to fail
        FACTS: (json.dumps(document, indent=2) + "\n").encode(),
    }
