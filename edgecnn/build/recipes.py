"""Finding recipes: by name in ``pipelines/``, by path, and for a folder of photos."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from edgecnn.build import sources
from edgecnn.build.choice import FROM_SCRATCH
from edgecnn.build.out_of_set import OutOfSet
from edgecnn.build.recipe import Recipe
from edgecnn.errors import EdgecnnError, UsageError

DEFAULT = "shapes"


def find(name: str | None, *, data: Path | None, quick: bool, out_of_set: Path | None = None) -> Recipe:
    """The recipe of that name or path.

    Args:
        name: None takes the default recipe, or with ``data`` the one for folders of photos, from scratch; see
            `edgecnn.build.choice` for what the command line does.
        data: class folders, IDX or TFRecord files, or a ``.npz`` file, in the place of the recipe's own data.
        quick: the short version, which proves that everything works and nothing else.
        out_of_set: a folder of images of none of the classes, in the place of the recipe's own.

    Raises:
        UsageError: there is no such recipe, or its file does not give one.
    """
    recipe = _load(_path(name or (FROM_SCRATCH if data else DEFAULT)), quick)
    if data is not None:
        recipe = replace(recipe, data=sources.at(data, recipe.data), name=data.resolve().name.removesuffix(".npz"))
    if out_of_set is not None:
        recipe = replace(recipe, out_of_set=OutOfSet(path=str(out_of_set)))
    return replace(recipe, name=f"{recipe.name}-quick") if quick else recipe


def names() -> list[str]:
    """The recipes that come with edgecnn."""
    return sorted(path.stem for path in _folder().glob("[!_]*.py"))


def text(name: str) -> str:
    """The text of a recipe that comes with edgecnn, for who copies it."""
    return (_folder() / f"{name}.py").read_text()


def _folder() -> Path:
    package = Path(__file__).parent.parent
    installed = package / "pipelines"
    return installed if installed.is_dir() else package.parent / "pipelines"


def _path(name: str) -> Path:
    named = _folder() / f"{name}.py"
    if named.is_file() and "/" not in name:
        return named
    if Path(name).is_file():
        return Path(name)
    raise UsageError(
        "There is no such recipe.",
        received=name,
        accepted=f"{', '.join(names())}, or the path of a recipe file",
        remedy="choose one of these, or copy one from pipelines/ and edit it",
    )


def _load(path: Path, quick: bool) -> Recipe:
    module = ModuleType(f"edgecnn_recipe_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # a dataclass in it looks itself up there
    try:
        # Not imported: Python's cache of compiled modules would leave a folder beside it, and miss an edit of the same
        # length within one second.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
        recipe = module.recipe(quick=quick)
        if not isinstance(recipe, Recipe):
            raise TypeError(f"recipe() returned {type(recipe).__name__}, not a Recipe")
    except EdgecnnError:
        raise
    except Exception as error:  # a recipe is the user's own code: whatever it raises is about the recipe
        raise UsageError(
            f"The recipe {path.name} cannot be read: {type(error).__name__}: {error}.",
            received=str(path),
            accepted="a Python file with a function recipe(*, quick=False) that returns a Recipe",
            remedy="compare it with the files in pipelines/",
        ) from error
    return recipe
