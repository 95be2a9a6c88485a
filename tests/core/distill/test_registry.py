"""A new method is one new file in the package."""

import sys

import pytest

import infosam.distill
from infosam.distill import build, methods, registry
from infosam.distill.base import Task
from infosam.types import AdaptConfig, BadInputError

METHOD = """
from infosam.distill.base import Task
from infosam.distill.registry import register

@register("echo")
class Echo(Task):
    def forward(self, batch):
        return {"loss": batch}
"""


@pytest.fixture
def echo(tmp_path, monkeypatch):
    methods()  # the real ones are known before the table is copied
    (tmp_path / "echo.py").write_text(METHOD)
    monkeypatch.setattr(infosam.distill, "__path__", [*infosam.distill.__path__, str(tmp_path)])
    monkeypatch.setattr(registry._registry, "_known", dict(registry._registry._known))
    yield
    sys.modules.pop("infosam.distill.echo", None)


def test_a_file_is_all_that_a_method_needs(echo):
    assert "echo" in methods()
    task = build("echo", student=None, teacher=None, config=AdaptConfig())  # type: ignore[arg-type]
    assert task(3) == {"loss": 3}
    assert task.auxiliary() is None


def test_without_the_file_it_is_unknown():
    assert "echo" not in methods()
    with pytest.raises(BadInputError, match="'echo'"):
        registry.uses_teacher("echo")


def test_a_name_is_taken_once():
    methods()
    with pytest.raises(ValueError, match="'none' is registered twice"):
        registry.register("none")(Task)
