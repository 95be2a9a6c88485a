"""Packages of which only parts are imported."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class _Lean(ModuleType):
    """A package whose submodules can be imported without what it imports itself.

    Its own code runs when something is asked for that the submodules imported so far do not give, so that it
    stays whole for everybody else.
    """

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if self.__class__ is ModuleType or spec is None or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment] # mypy knows no way back to a base class
        spec.loader.exec_module(self)
        return getattr(self, name)


def lean(name: str) -> None:
    """Have the package `name` import no more of itself than it is asked for; one that has been imported stays
    as it is."""
    if name in sys.modules or (spec := find_spec(name)) is None:
        return
    package = module_from_spec(spec)
    package.__class__ = _Lean
    sys.modules[name] = package
