"""What a folder of photos holds, and what is wrong with it, before anything is trained."""

from edgecnn.inspection.folder import INPUT, Inspection, Seen, inspect_folder

__all__ = ["INPUT", "Inspection", "Seen", "inspect_folder"]
