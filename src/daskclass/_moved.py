"""Where did a module of version 0.1 go? Old notebooks work until 0.3, with a warning that has the new name."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MODULES = {
    "cast": "watch.topology",
    "doctor": "commands.doctor",
    "guard": "spill_guard",
    "journey": "watch.story",
    "traffic": "watch.traffic",
    "ward": "sick_clusters",
}
FUNCTIONS = {"cast": {"cast": "topology", "Cast": "Topology"}, "journey": {"journey": "story"}}


class Finder:
    """Finds old modules such as ``daskclass.cast``. Python asks it last."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _dot, module = name.rpartition(".")
        if package != "daskclass" or module not in MODULES:
            return None
        return ModuleSpec(name, Loader())  # type: ignore[arg-type]  # has all that Python needs from a loader


class Loader:
    """Gives an old module the contents of the new one, under the old names as well."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """None, so that Python makes an empty module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        old = module.__name__.rpartition(".")[2]
        new = importlib.import_module(f"daskclass.{MODULES[old]}")
        renamed = {was: getattr(new, now) for was, now in FUNCTIONS.get(old, {}).items()}
        vars(module).update({name: value for name, value in vars(new).items() if not name.startswith("__")} | renamed)
        warnings.warn(_advice(old), FutureWarning, stacklevel=2)


def _advice(old: str) -> str:
    more = "".join(f", and {was} is {now}" for was, now in FUNCTIONS.get(old, {}).items() if was.islower())
    return f"daskclass.{old} is now daskclass.{MODULES[old]}{more}; the old name works until version 0.3"
