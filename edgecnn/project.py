"""A new project: a recipe to edit, a folder a class for its photos, and what goes with them."""

import re
from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors import UsageError
from edgecnn.files import writing_to
from edgecnn.images import is_label

CLASSES = ("first-class", "second-class")  # where the user names none: folders to rename
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_README = """# {name}

A classifier of images, built with edgecnn.

1. Put about 100 photos of each class, or more, into its folder: {folders}. A folder's name is the name of
   its class; rename them, and add others.
2. See what the photos are, and what is wrong with them: `edgecnn data photos --picture samples.png`
3. Does everything work? In seconds, with a network that learns next to nothing: `edgecnn build {name}.py --quick`
4. Build it: `edgecnn build {name}.py`. The model is `artifacts/{name}/{name}.tflite`, its report lies beside it.
5. See why it answers what it does: `edgecnn explain artifacts/{name}/{name}.tflite photos/*/*.jpg`
6. Run it, here or on a Raspberry Pi: `edgecnn demo {name}.tflite`

`{name}.py` is the recipe: what is trained, how, and what is promised of the result. Edit it, and build again.
"""
_IGNORED = """# What a build makes; the photos are not ignored: they are what it is made of.
artifacts/
explained/
.venv/
__pycache__/
"""


def start(folder: Path, classes: Sequence[str], recipe: str) -> list[Path]:
    """Write a project into a folder that is not there yet.

    Args:
        folder: its last part is the project's name.
        classes: a folder in ``photos/`` for each; `CLASSES` where there is none.
        recipe: the text of the one that is copied, as in ``pipelines/``: its name and its data are put in.

    Returns:
        The files.

    Raises:
        UsageError: the folder is there, or a name cannot be one.
    """
    name, labels = folder.resolve().name, tuple(classes) or CLASSES
    _check(folder, name, labels)
    files = {
        f"{name}.py": _recipe(recipe, name),
        "README.md": _README.format(name=name, folders=", ".join(f"`photos/{label}/`" for label in labels[:5])),
        ".gitignore": _IGNORED,
        **{f"photos/{label}/.gitkeep": "" for label in labels},
    }
    with writing_to(folder):
        for place, text in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text)
    return [folder / place for place in files]


def _recipe(text: str, name: str) -> str:
    """The recipe under its new name: what it says of other photos goes, and what it is built with stays."""
    body = re.sub(r'\A""".*?"""', "", text, count=1, flags=re.DOTALL)
    head = f'"""{name}: what is trained on photos/, how, and what is promised of the result.\n\n'
    head += f'    edgecnn build {name}.py\n"""'
    return head + re.sub(r'(Recipe\(\s*name=)"[^"]*"', rf'\1"{name}"', body, count=1)


def _check(folder: Path, name: str, labels: Sequence[str]) -> None:
    problems = []
    if not _NAME.fullmatch(name):
        problems.append(f"{name!r} is no name of a project")
    problems += [f"{label!r} is no name of a class" for label in labels if not _is_class(label)]
    if len(set(labels)) < max(2, len(labels)):
        problems.append("a classifier has two classes or more, each of another name")
    if problems:
        raise UsageError(
            "The project cannot be begun: " + "; ".join(problems) + ".",
            received=" ".join((str(folder), *labels)),
            accepted="a name of letters, digits, - and _, a letter first; classes whose names can be those of folders",
            remedy="choose other names, such as `edgecnn new pets cat dog`",
        )
    if folder.exists():
        raise UsageError(
            "There is something of that name, and nothing is overwritten.",
            received=folder,
            accepted="a name that is not taken",
            remedy="choose another name, or move what is there away",
        )


def _is_class(label: str) -> bool:
    return is_label(label) and "/" not in label and not label.startswith(".") and len(label.encode()) < 200
