"""How many photos that were saved again are found, and how many pairs of others are taken for near duplicates.

    python benchmarks/near_duplicates.py DIR [DIR ...]

Every image below DIR is changed in each way, and held against itself with the two thresholds of
`edgecnn.inspection.duplicates`: the hash alone, and as it is decided, with the thumbnails. Then all pairs of the
unchanged images are compared, and the search is timed on them. A pair that is found may be a true one: look at it.
Figures are in benchmarks/results/near_duplicates.json.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgecnn.images import UnreadableImage, read_image, visible_files
from edgecnn.inspection import duplicates
from edgecnn.latency import available_cores, host_facts
from edgecnn.preprocess import Pixels


def saved(image: Any, quality: int = 95) -> Pixels:
    """As JPEG, and read again."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def halved(image: Any) -> Any:
    """Half as high and half as wide."""
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


CHANGES: dict[str, Callable[[Any], Pixels]] = {
    "unchanged": lambda image: image,
    "JPEG quality 50": lambda image: saved(image, 50),
    "resized by half": lambda image: saved(halved(image)),
    "5 % brighter": lambda image: saved(cv2.convertScaleAbs(image, alpha=1.05)),
    "5 % darker": lambda image: saved(cv2.convertScaleAbs(image, alpha=0.95)),
    "half, brighter, quality 50": lambda image: saved(cv2.convertScaleAbs(halved(image), alpha=1.05), 50),
}


def fingerprints(path: Path) -> list[tuple[int, Pixels]]:
    """Of an image in every state; nothing for what is no image."""
    try:
        image = read_image(path)[0]
    except UnreadableImage:
        return []
    return [duplicates.fingerprint(change(image)) for change in CHANGES.values()]


def shares(hashes: Any, thumbs: Any) -> Iterator[tuple[str, dict[str, float]]]:
    """Of each change, the share of images that the hash has as a candidate, and the share that is found."""
    for number, name in enumerate(CHANGES):
        near = duplicates._bits_apart(hashes[:, 0], hashes[:, number].copy()) <= duplicates.BITS_APART
        alike = duplicates._correlation(thumbs[:, 0], thumbs[:, number]) >= duplicates.ALIKE
        yield name, {"hash": round(float(near.mean()), 4), "found": round(float((near & alike).mean()), 4)}


def candidates(hashes: Any) -> int:
    """Pairs of images that the hash alone would take for near duplicates."""
    return sum(
        int(
            (
                duplicates._bits_apart(hashes[i + 1 :], np.full(len(hashes) - i - 1, hashes[i]))
                <= duplicates.BITS_APART
            ).sum()
        )
        for i in range(len(hashes) - 1)
    )


def measure(root: Path) -> dict[str, Any]:
    """All figures of one folder."""
    with ThreadPoolExecutor(available_cores()) as pool:
        found = [each for each in pool.map(fingerprints, visible_files(root)) if each]
    hashes = np.array([[bits for bits, _ in each] for each in found], np.uint64)
    thumbs = np.array([[thumb for _, thumb in each] for each in found])
    start = time.process_time()
    groups = np.unique(duplicates.near_duplicates(hashes[:, 0].copy(), thumbs[:, 0].copy()), return_counts=True)[1]
    seconds = round(time.process_time() - start, 2)
    few = len(found) <= 5000
    return {
        "folder": root.name,
        "images": len(found),
        "changes": dict(shares(hashes, thumbs)),
        "pairs": len(found) * (len(found) - 1) // 2,
        "pairs_with_near_hashes": candidates(hashes[:, 0].copy()) if few else None,
        "groups": int((groups > 1).sum()),
        "images_in_groups": int(groups[groups > 1].sum()),
        "search_cpu_s": seconds,
    }


if __name__ == "__main__":
    results = [measure(Path(argument)) for argument in sys.argv[1:]]
    print(json.dumps({"host": host_facts(), "folders": results}, indent=1))
