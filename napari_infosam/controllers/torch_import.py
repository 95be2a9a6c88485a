"""The first import of torch in a process that draws with OpenGL."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec

from infosam.politeness import wait_without_spinning


def import_torch() -> None:
    """Import torch, and triton where it is installed, so that neither crashes beside Mesa's OpenGL.

    Mesa's drivers bring LLVM into the process, and PyOpenGL makes its symbols global. Triton, which torch's
    compiler imports, brings another LLVM; loaded in the ordinary way its calls would end in Mesa's, and the
    process dies. Bound deeply, triton's library prefers its own symbols.
    """
    wait_without_spinning()
    if hasattr(os, "RTLD_DEEPBIND") and "triton" not in sys.modules and find_spec("triton") is not None:
        flags = sys.getdlopenflags()
        sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
        try:
            importlib.import_module("triton")
        finally:
            sys.setdlopenflags(flags)
    importlib.import_module("torch")
