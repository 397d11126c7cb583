"""What a recipe compiled for, on the page."""

from typing import Any

from edgecnn.build.report import page
from tests.build.report.test_report import Page

FALLBACK = {"operator": "HARD_SWISH", "layer": "a<b>", "why": "it is <not> taken", "instead": "ReLU or ReLU6"}
ETHOS: dict[str, Any] = {
    "target": "ethos-u55",
    "path": "shapes.ethos-u55.tflite",
    "tool": "vela 5.2.0",
    "method": "compiled",
    "operators": 1300,
    "operator_share": 0.9997,
    "mac_share": 0.984321,
    "fallbacks": [],
    "cycles": 1_234_567,
    "inferences_per_second": 405.25,
    "sram_bytes": 65_536,
    "dram_bytes": 0,
    "flash_bytes": 190_123,
    "estimated": True,
    "settings": {"macs": 128, "system_config": "Ethos_U55_High_End_Embedded", "memory_mode": "Shared_Sram"},
}
MICRO: dict[str, Any] = {
    "target": "micro",
    "path": "shapes-micro",
    "tool": "tflite-micro 0.dev1",
    "method": "exported",
    "operators": 13,
    "operator_share": 1.0,
    "mac_share": 1.0,
    "fallbacks": [],
    "arena_bytes": 51_200,
    "flash_bytes": 193_000,
    "agreement": {"images": 5, "largest_step": 1, "same_class": 0.8},
    "settings": {},
}


def with_targets(facts: dict[str, Any], *targets: dict[str, Any]) -> dict[str, Any]:
    return {**facts, "targets": list(targets), "pictured": []}


def test_a_report_without_targets_says_nothing_of_them(facts: dict[str, Any]) -> None:
    assert "targets" not in page.render(with_targets(facts))


def test_what_was_compiled_has_its_figures_and_its_gate(facts: dict[str, Any]) -> None:
    gate = {"name": "accelerated", "limit": 1.0, "value": 0.9997, "passed": False}
    left = {**ETHOS, "fallbacks": [FALLBACK] * 25}
    html = page.render({**with_targets(facts, left, MICRO), "gates": [gate]})
    found = Page(html)
    cells = found.cells
    assert '<a href="#targets">Targets</a>' in html
    assert "Compiled for ethos-u55, micro" in found.texts["h2"]
    assert {"ethos-u55vela 5.2.0, 128, Ethos_U55_High_End_Embedded, Shared_Sram", "microtflite-micro 0.dev1"} <= cells
    assert {"99.9 %1,275 of 1,300", "98.4 %", "405", "1,234,567", "SRAM 65.5 kB", "190 kB"} <= cells
    assert {"arena 51.2 kB", "193 kB", "80 %of 5 images, 1 off at most"} <= cells
    assert 'the least is 0.9997. <span class="mark missed">✗ missed</span>' in html
    assert "estimates, of what is not left to the CPU" in html
    assert found.texts["h3"].count("Left to the CPU by ethos-u55") == 1
    assert {"a<b>", "hard swish", "it is <not> taken", "ReLU or ReLU6"} <= cells
    assert "And 5 more; report.json has all" in html


def test_where_nothing_is_left_to_the_cpu_that_is_said(facts: dict[str, Any]) -> None:
    html = page.render(with_targets(facts, {**ETHOS, "operator_share": 1.0, "mac_share": 1.0}))
    assert "Nothing is left to the CPU." in html
    assert "Left to the CPU by" not in html
    assert "promised" not in html.split('id="targets"')[1]
    assert "100 %" in html
    assert "Nothing is left to the CPU." not in page.render(with_targets(facts, MICRO))
