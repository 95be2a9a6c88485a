"""How failures reach the user."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from infosam.types import InfoSAMError
from napari_infosam.models.session import Session

P = ParamSpec("P")
logger = logging.getLogger(__name__)


class HasSession(Protocol):
    """A controller whose failures are shown in a session."""

    session: Session


C = TypeVar("C", bound=HasSession)


def tell(session: Session, error: Exception) -> None:
    """Show a failure in the panel; one that nobody foresaw also goes to the log, with its traceback."""
    if isinstance(error, InfoSAMError):
        session.say(str(error), problem=True)
    else:
        logger.error("Unexpected failure", exc_info=error)
        session.say(f"Unexpected failure, see the log: {type(error).__name__}: {error}", problem=True)


def guarded(method: Callable[Concatenate[C, P], None]) -> Callable[Concatenate[C, P], None]:
    """A controller's method whose foreseen failures are shown instead of raised."""

    @wraps(method)
    def guard(self: C, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except InfoSAMError as error:
            tell(self.session, error)

    return guard
