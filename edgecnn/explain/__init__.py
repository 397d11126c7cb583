"""Why a file answers what it does: where it looks, asked of the file alone, and what its layers make of an image."""

from edgecnn.explain.explainer import DEFAULT, Explainer, explain_files, write_features, write_filters

__all__ = ["DEFAULT", "Explainer", "explain_files", "write_features", "write_filters"]
