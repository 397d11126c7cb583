"""What the command line shows to people: progress, results and errors."""

from edgecnn.console.accelerators import compile_summary, targets_summary
from edgecnn.console.bar import progress
from edgecnn.console.bench import bench_summary, layers_summary
from edgecnn.console.build import build_summary, comparison_summary
from edgecnn.console.installation import doctor_summary
from edgecnn.console.models import demo_summary, evaluation_summary, explain_summary, show_summary
from edgecnn.console.output import Verbosity, say, say_error, to_stdout
from edgecnn.console.photos import data_summary

__all__ = [
    "Verbosity",
    "bench_summary",
    "build_summary",
    "comparison_summary",
    "compile_summary",
    "data_summary",
    "demo_summary",
    "doctor_summary",
    "evaluation_summary",
    "explain_summary",
    "layers_summary",
    "progress",
    "say",
    "say_error",
    "show_summary",
    "targets_summary",
    "to_stdout",
]
