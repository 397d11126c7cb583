"""The pages in Chromium: for everybody (axe), in light and dark, on a desktop and a phone."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from edgecnn.build.report import page
from edgecnn.build.report.compare import compare, rendered
from edgecnn.build.report.facts import failure
from edgecnn.errors import DataError
from tests.build.report.conftest import recipe_of
from tests.build.report.test_report import thousand

SIZES = {"desktop": (1280, 800), "phone": (360, 740)}


def violations(browser: Any, path: Path, *, size: tuple[int, int], scheme: str) -> list[tuple[str, str]]:
    """What axe finds wrong: the rule, and the first element."""
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(path.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")  # axe takes it so
    browser.execute_script((files("axe_core_python") / "axe.min.js").read_text())
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    assert len(found["passes"]) > 15
    assert unjudged(found["incomplete"]) == []
    return [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]


def unjudged(incomplete: list[dict[str, Any]]) -> list[str]:
    """Where axe cannot tell the contrast: a rule that broke off, with its message, or an element.

    It judges no text on an SVG, and none of one letter. That of our charts has the colours of `figcaption` and of
    `.pill`, and a letter those of its neighbours, which it judges.
    """
    contrast = [each for each in incomplete if each["id"] == "color-contrast"]
    broken = [each["message"] for each in contrast if not each["nodes"]]
    return broken + [
        node["html"]
        for each in contrast
        for node in each["nodes"]
        if not node["html"].startswith("<text ") and node["any"][0]["data"]["messageKey"] != "shortTextContent"
    ]


@pytest.mark.chromium
@pytest.mark.parametrize("kind", ["whole", "thousand", "failed", "compared"])
def test_axe_finds_nothing_wrong(kind: str, built: Path, facts: dict[str, Any], browser: Any, tmp_path: Path) -> None:
    path = built / "report.html" if kind == "whole" else tmp_path / "page.html"
    if kind == "thousand":
        path.write_text(page.render(thousand(facts)))
    elif kind == "failed":
        error = DataError("What is <wrong>.", received="x" * 300, accepted="another", remedy="mend it")
        recipe = recipe_of(tmp_path)
        document = failure(recipe, error, at="train", history=(), stages=(), model=tmp_path / "none.tflite")
        path.write_text(page.render(document))
    elif kind == "compared":
        path.write_text(rendered(compare([built, built])))
    for size in SIZES.values():
        for scheme in ("light", "dark"):
            assert violations(browser, path, size=size, scheme=scheme) == []
    assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []


@pytest.mark.chromium
def test_a_page_on_paper_has_all_of_its_tables(built: Path, browser: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.get((built / "report.html").as_uri())
    cut = "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollHeight > e.clientHeight + 1).length"
    hidden = "return [...document.querySelectorAll('details')].filter(e => e.checkVisibility()).length"
    assert browser.execute_script(cut) == 0
    assert browser.execute_script(hidden) == 0
