"""Where did a module of version 0.1 go? Notebooks that were saved then work until 0.3, and say the new name."""

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
    """Finds ``daskclass.cast`` and the like when nothing else does. Python asks it last."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _dot, module = name.rpartition(".")
        if package != "daskclass" or module not in MODULES:
            return None
        return ModuleSpec(name, Loader())  # type: ignore[arg-type]  # all that Python asks a loader for


class Loader:
    """Gives a moved module the contents of the new one, under the old names as well."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """None: Python makes an empty one."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        old = module.__name__.rpartition(".")[2]
        new = importlib.import_module(f"daskclass.{MODULES[old]}")
        renamed = {was: getattr(new, now) for was, now in FUNCTIONS.get(old, {}).items()}
        vars(module).update({name: value for name, value in vars(new).items() if not name.startswith("__")} | renamed)
        warnings.warn(_advice(old), FutureWarning, stacklevel=2)


def _advice(old: str) -> str:
    more = "".join(f", and {was} is {now}" for was, now in FUNCTIONS.get(old, {}).items() if was.islower())
    return f"daskclass.{old} is daskclass.{MODULES[old]} now{more}; the old name works until version 0.3"
