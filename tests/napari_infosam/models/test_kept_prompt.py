"""Prompts that the history keeps."""

import numpy as np

from infosam.types import Prompt
from napari_infosam.models.kept_prompt import keep


def test_a_prompt_comes_back_with_its_answer() -> None:
    answer = np.zeros((40, 30), bool)
    answer[5:9, 7:20] = True
    answer[6, 8] = False
    prompt = Prompt(points=((5.0, 7.0), (6.0, 8.0)), labels=(1, 0), answer=answer)
    kept = keep(prompt)
    was = answer.copy()
    answer[:] = False
    again = kept()
    assert (again.points, again.labels) == (prompt.points, prompt.labels)
    assert again.answer is not None
    assert (again.answer == was).all()


def test_a_prompt_that_corrects_nothing_is_kept_as_it_is() -> None:
    plain = Prompt(box=(1.0, 2.0, 3.0, 4.0))
    nothing = Prompt(points=((1.0, 1.0),), labels=(1,), answer=np.zeros((4, 4), bool))
    assert keep(plain)() is plain
    assert keep(nothing)() is nothing
