"""Finds methods: every module of a package may register one, and no other file names it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import ClassVar, Generic, Protocol, TypeVar

from infosam.types import BadInputError


class Named(Protocol):
    """What can be registered: a class that is told its name."""

    name: ClassVar[str]


T = TypeVar("T", bound=Named)


class MethodRegistry(Generic[T]):
    """The classes that the modules of one package register, by name.

    package: dotted name; its modules are imported when a name is asked for. what: how messages call a member.
    """

    def __init__(self, package: str, what: str) -> None:
        self._package, self._what = package, what
        self._known: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator: makes a class known as `name`. Raises ValueError if the name is taken."""

        def decorate(member: type[T]) -> type[T]:
            if name in self._known:
                raise ValueError(f"the {self._what} {name!r} is registered twice")
            member.name = name
            self._known[name] = member
            return member

        return decorate

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._known)

    def get(self, name: str) -> type[T]:
        """The class of this name. Raises BadInputError if there is none."""
        self._discover()
        if name not in self._known:
            raise BadInputError(f"unknown {self._what} {name!r}; known are {', '.join(sorted(self._known))}")
        return self._known[name]

    def _discover(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, f"{self._package}."):
            importlib.import_module(module.name)
