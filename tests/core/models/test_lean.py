from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infosam.models.lean import lean

PACKAGE = {
    "__init__.py": "import costly\nfrom .part import value\n__version__ = '3'\n",
    "part.py": "value = [1]\n",
    "other.py": "from .part import value\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a costly import, made lean; its name."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "costly.py").write_text("")
    (tmp_path / "weighty").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / "weighty" / name).write_text(text)
    for name in ("weighty", "weighty.part", "weighty.other", "costly"):
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    lean("weighty")
    return "weighty"


def test_submodules_cost_only_themselves(package: str) -> None:
    from weighty.other import value

    assert value == [1]
    assert "costly" not in sys.modules


def test_the_package_is_whole_for_those_who_ask(package: str) -> None:
    import weighty.part

    assert weighty.__version__ == "3"
    assert weighty.value is weighty.part.value
    assert "costly" in sys.modules
    with pytest.raises(AttributeError, match="nothing"):
        _ = weighty.nothing


def test_what_is_imported_or_missing_stays_as_it_is(package: str) -> None:
    before = sys.modules[package]
    for name in (package, "no_such_package"):
        lean(name)
    assert sys.modules[package] is before
    assert "no_such_package" not in sys.modules


def test_loading_sam_pocket_imports_no_torchvision() -> None:
    code = (
        "import sys, infosam, infosam.models.sam.build\n"
        "infosam.load_model('sam_pocket', device='cpu')\n"
        "costly = {'torchvision', 'torch._dynamo', 'sam2', 'segment_anything.predictor'} & set(sys.modules)\n"
        "assert not costly, costly\n"
        "from segment_anything import SamPredictor"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
