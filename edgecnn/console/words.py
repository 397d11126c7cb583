"""How figures are written, wherever they stand."""

from typing import Any

PLACES = 5  # of many that are shown; the JSON has all
IN_BRACKETS = "95 % interval in brackets"


def counted(number: int, name: str) -> str:
    """``1 load``, ``2 loads``."""
    return f"{number} {name}{'s' * (number != 1)}"


def short(number: float, digits: int = 4) -> str:
    """Few digits, and never a power of ten: 0.1235, 12.35, 123457."""
    return f"{number:.{digits}g}" if number < 1000 else f"{number:.0f}"


def accuracy(figures: dict[str, Any]) -> str:
    """An accuracy with its interval: ``0.9930 (0.974-0.998)``."""
    if figures["accuracy"] is None:
        return "-"
    low, high = figures["accuracy_interval"]
    return f"{figures['accuracy']:.4f} ({low:.3f}-{high:.3f})"
