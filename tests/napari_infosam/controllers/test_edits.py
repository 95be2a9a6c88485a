"""What the editor does to the project and to the canvas is the same, forwards and backwards."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from infosam import Project
from infosam.types import BadInputError, InfoSAMError, Prompt
from napari_infosam.controllers.edits import Edit, LabelEditor
from napari_infosam.models.session import Session
from tests.napari_infosam.conftest import disc

Check = Callable[[np.ndarray], None]
CLICK = Prompt(points=((10.0, 10.0),), labels=(1,))


def canvas(viewer: ViewerModel) -> np.ndarray:
    return np.asarray(viewer.layers["cells labels"].data)


def stored(project: Project, session: Session) -> np.ndarray:
    assert session.image_id is not None
    return project.label_image(session.image_id)


@pytest.fixture
def check(viewer: ViewerModel, project: Project, session: Session) -> Check:
    """Compares the canvas, the project and the list of objects with what they should be."""

    def compare(expected: np.ndarray) -> None:
        assert (canvas(viewer) == expected).all()
        assert (stored(project, session) == expected).all()
        areas = {item.label: item.area for item in session.objects}
        assert areas == {label: (expected == label).sum() for label in np.unique(expected) if label}
        assert session.n_labelled_objects == len(areas)
        assert session.n_labelled_images == bool(areas)

    return compare


def test_a_commit_is_kept_with_its_prompt(
    editor: LabelEditor, project: Project, session: Session, check: Check
) -> None:  # type: ignore[no-untyped-def]
    prompt = Prompt(points=((10.0, 10.0), (20.0, 20.0)), labels=(1, 0), box=(1.0, 2.0, 30.0, 40.0))
    assert editor.add(disc(10, 10), prompt) is not None
    check(disc(10, 10).astype(int))
    (record,) = project.objects(session.image_id)
    assert record.source == "prompt"
    assert record.prompt is not None
    assert (record.prompt.points, record.prompt.labels, record.prompt.box) == (
        prompt.points,
        prompt.labels,
        prompt.box,
    )


def test_a_commit_leaves_other_objects_alone_unless_asked(
    editor: LabelEditor, session: Session, check: Check
) -> None:  # type: ignore[no-untyped-def]
    editor.add(disc(10, 10), CLICK)
    editor.add(disc(10, 14), CLICK)
    expected = disc(10, 10).astype(int)
    expected[disc(10, 14) & (expected == 0)] = 2
    check(expected)
    session.overwrite = True
    editor.add(disc(10, 12), CLICK)
    expected[disc(10, 12)] = 3
    check(expected)


def test_an_object_that_is_covered_whole_is_removed_and_comes_back(
    editor: LabelEditor, session: Session, check: Check
) -> None:
    editor.add(disc(10, 10, 3), CLICK)
    session.overwrite = True
    edit = editor.add(disc(10, 10, 8), CLICK)
    check(2 * disc(10, 10, 8).astype(int))
    assert edit is not None
    editor.revert(edit)
    check(disc(10, 10, 3).astype(int))
    editor.reapply(edit)
    check(2 * disc(10, 10, 8).astype(int))


def test_nothing_to_commit_is_no_edit(editor: LabelEditor, check: Check) -> None:
    editor.add(disc(10, 10), CLICK)
    assert editor.add(disc(10, 10, 3), CLICK) is None
    check(disc(10, 10).astype(int))


def test_refining_replaces_the_pixels_of_an_object(
    editor: LabelEditor, session: Session, check: Check
) -> None:
    editor.add(disc(10, 10), CLICK)
    edit = editor.replace(session.objects[0].id, disc(12, 16), CLICK)
    check(disc(12, 16).astype(int))
    assert edit is not None
    editor.revert(edit)
    check(disc(10, 10).astype(int))


def test_refining_never_leaves_an_object_without_pixels(
    editor: LabelEditor, session: Session, check: Check
) -> None:
    editor.add(disc(10, 10), CLICK)
    editor.add(disc(30, 30), CLICK)
    assert editor.replace(session.objects[0].id, disc(30, 30, 3), CLICK) is None
    assert editor.replace(session.objects[0].id, np.zeros((40, 60), bool), CLICK) is None
    check(disc(10, 10) + 2 * disc(30, 30).astype(int))


def test_refining_begins_with_the_mask_and_a_click_on_it(
    viewer: ViewerModel, editor: LabelEditor, session: Session
) -> None:
    editor.add(disc(10, 10), Prompt(box=(1.0, 1.0, 20.0, 20.0)))
    prompt = editor.prompt_for(session.objects[0].id)
    assert (prompt.labels, prompt.box) == ((1,), None)
    assert np.allclose(prompt.points, [(10, 10)], atol=2)
    assert prompt.mask is not None
    assert (prompt.mask == disc(10, 10)).all()
    made = Prompt(points=((30.0, 31.0), (20.0, 20.0)), labels=(1, 0))
    editor.add(disc(30, 30), made)
    prompt = editor.prompt_for(session.objects[1].id)
    assert (prompt.points, prompt.labels) == (made.points, made.labels)


def test_a_deleted_object_comes_back_with_its_prompt(
    editor: LabelEditor, project: Project, session: Session, check: Check
) -> None:
    editor.add(disc(10, 10), CLICK)
    edit = editor.delete(session.objects[0].id)
    check(np.zeros((40, 60), int))
    assert edit is not None
    editor.revert(edit)
    check(disc(10, 10).astype(int))
    (record,) = project.objects(session.image_id)
    assert record.prompt is not None
    assert record.prompt.points == CLICK.points


def test_strokes_become_corrections_and_new_objects(
    viewer: ViewerModel, editor: LabelEditor, project: Project, session: Session, check: Check
) -> None:
    edits: list[Edit] = []
    editor.brushed.connect(edits.append)
    editor.add(disc(10, 10), CLICK)
    layer = viewer.layers["cells labels"]
    layer.brush_size = 4
    layer.paint((10, 14), 1)
    layer.paint((30, 30), 9)
    expected = canvas(viewer).copy()
    editor.record_strokes()
    check(expected)
    assert [(record.label, record.source) for record in project.objects(session.image_id)] == [
        (1, "edited"),
        (9, "brush"),
    ]
    assert len(edits) == 1
    editor.revert(edits[0])
    check(disc(10, 10).astype(int))
    assert project.objects(session.image_id)[0].source == "prompt"
    editor.reapply(edits[0])
    check(expected)
    editor.add(disc(30, 50), CLICK)
    assert session.objects[-1].label == 10


def test_erasing_an_object_whole_removes_it(viewer: ViewerModel, editor: LabelEditor, check: Check) -> None:
    editor.add(disc(10, 10), CLICK)
    layer = viewer.layers["cells labels"]
    layer.brush_size = 30
    layer.paint((10, 10), 0)
    editor.record_strokes()
    check(np.zeros((40, 60), int))


def test_a_long_history_can_be_undone_and_redone_exactly(
    editor: LabelEditor, viewer: ViewerModel, session: Session, check: Check
) -> None:
    rng = np.random.default_rng(3)
    edits: list[Edit] = []
    states = [np.zeros((40, 60), int)]
    for step in range(25):
        session.overwrite = bool(rng.integers(2))
        ids = [item.id for item in session.objects]
        mask = disc(int(rng.integers(40)), int(rng.integers(60)), int(rng.integers(2, 12)))
        if step % 5 == 4 and ids:
            edit = editor.delete(int(rng.choice(ids)))
        elif step % 5 == 3 and ids:
            edit = editor.replace(int(rng.choice(ids)), mask, CLICK)
        else:
            edit = editor.add(mask, CLICK)
        if edit is not None:
            edits.append(edit)
            states.append(canvas(viewer).copy())
    assert len(edits) > 15
    for edit, state in zip(reversed(edits), reversed(states[:-1]), strict=True):
        editor.revert(edit)
        check(state)
    for edit, state in zip(edits, states[1:], strict=True):
        editor.reapply(edit)
        check(state)


def test_labels_of_removed_objects_are_not_given_again(editor: LabelEditor, session: Session) -> None:
    editor.add(disc(10, 10), CLICK)
    editor.add(disc(30, 30), CLICK)
    editor.delete(session.objects[1].id)
    editor.add(disc(30, 50), CLICK)
    assert [item.label for item in session.objects] == [1, 3]


def test_an_unknown_object_is_refused(editor: LabelEditor) -> None:
    with pytest.raises(BadInputError, match="99"):
        editor.delete(99)


def test_a_failing_project_leaves_the_canvas_as_it_was_and_the_next_commit_works(
    editor: LabelEditor, project: Project, session: Session, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor.add(disc(10, 10), CLICK)
    session.overwrite = True

    def fail(*args: object, **kwargs: object) -> None:
        raise InfoSAMError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(project, "add_object", fail)  # after the covered object was removed
        with pytest.raises(InfoSAMError, match="full"):
            editor.add(disc(10, 10, 9), CLICK)
    check(disc(10, 10).astype(int))
    editor.add(disc(30, 30), CLICK)
    check(disc(10, 10) + 2 * disc(30, 30).astype(int))


def test_a_removed_labels_layer_is_made_again_with_everything(
    viewer: ViewerModel, editor: LabelEditor, check: Check
) -> None:  # type: ignore[no-untyped-def]
    editor.add(disc(10, 10), CLICK)
    viewer.layers.remove("cells labels")
    editor.add(disc(30, 30), CLICK)
    check(disc(10, 10) + 2 * disc(30, 30).astype(int))


def test_a_stroke_just_before_a_commit_stays_an_object_of_its_own(
    viewer: ViewerModel, editor: LabelEditor, check: Check
) -> None:
    editor.add(disc(10, 10), CLICK)
    viewer.layers["cells labels"].data[disc(30, 10)] = 2  # not recorded yet
    editor.add(disc(30, 30), CLICK)
    check(disc(10, 10) + 2 * disc(30, 10) + 3 * disc(30, 30).astype(int))


def test_the_brush_corrects_what_was_made_last_and_nothing_else(
    viewer: ViewerModel, editor: LabelEditor, session: Session
) -> None:
    editor.add(disc(10, 10), CLICK)
    editor.add(disc(10, 18), CLICK)
    labels = viewer.layers["cells labels"]
    editor.replace(session.objects[0].id, disc(10, 10, 4), CLICK)
    assert labels.selected_label == 1
    edit = editor.add(disc(30, 30), CLICK)
    assert labels.selected_label == 3
    assert edit is not None
    editor.revert(edit)
    assert labels.selected_label == 4  # a new object, rather than one of those that are left
    editor.reapply(edit)
    editor.delete(session.objects[0].id)
    assert labels.selected_label == 4


def test_undoing_a_refinement_brings_back_how_the_object_was_made(
    viewer: ViewerModel, editor: LabelEditor, project: Project, session: Session
) -> None:
    editor.field(create=True)
    viewer.layers["cells labels"].data[disc(10, 10)] = 1
    editor.record_strokes()
    (drawn,) = project.objects()
    assert (drawn.source, drawn.prompt) == ("brush", None)
    edit = editor.replace(drawn.id, disc(12, 12), CLICK)
    assert edit is not None
    revision = project.revision
    editor.revert(edit)
    (back,) = project.objects()
    assert (back.source, back.prompt, back.corrections) == ("brush", None, 0)
    (image,) = project.labelled_images()
    (refined,) = project.labelled_images(revision)
    assert image.objects()[0].prompt is None
    assert refined.objects()[0].prompt is not None
    editor.reapply(edit)
    (again,) = project.objects()
    assert again.prompt is not None
    assert again.prompt.points == CLICK.points


def test_the_object_under_a_pixel(editor: LabelEditor, session: Session) -> None:
    editor.add(disc(10, 10), CLICK)
    (item,) = session.objects
    assert editor.object_at(10.4, 9.6) == item.id
    assert editor.object_at(30, 30) is None
    assert editor.object_at(-5, 100) is None
    assert (editor.mask(item.id) == disc(10, 10)).all()


def test_what_another_window_changes_on_the_shown_image_is_taken_over(
    viewer: ViewerModel, editor: LabelEditor, project: Project, session: Session, check: Check
) -> None:
    editor.add(disc(10, 10), CLICK)
    editor.add(disc(10, 40), CLICK)
    (first, second) = project.objects()
    with Project.open(project.folder) as window:
        window.update_object(first.id, disc(10, 12))
        window.remove_object(second.id)
        window.import_objects(first.image_id, [disc(30, 10)])
        canvas(viewer)[disc(30, 40)] = 3  # a stroke with the label that the import has taken
        assert editor.add(disc(20, 25, 3), CLICK) is not None
        expected = disc(10, 12) + 3 * disc(30, 10) + 4 * disc(30, 40) + 5 * disc(20, 25, 3)
        check(expected)

        window.import_objects(first.image_id, [disc(35, 55, 4)])
        (refined,) = [record for record in project.objects() if record.label == 1]
        assert editor.replace(refined.id, disc(10, 10), CLICK) is not None
        expected[expected == 1] = 0
        check(expected + disc(10, 10) + 6 * disc(35, 55, 4))
        window.remove_object(refined.id)
        with pytest.raises(BadInputError, match="not on this image"):
            editor.delete(refined.id)


def test_undo_and_redo_leave_alone_what_others_have_done_meanwhile(
    viewer: ViewerModel, editor: LabelEditor, project: Project, session: Session, check: Check
) -> None:
    corner = disc(10, 10, 8)
    corner[10:, 10:] = False
    edit = editor.add(corner, CLICK)
    assert edit is not None
    (first,) = project.objects()
    with Project.open(project.folder) as window:
        window.import_objects(first.image_id, [disc(14, 14, 2)])  # in the box of the edit
        editor.record_strokes()
        editor.revert(edit)
        check(2 * disc(14, 14, 2).astype(int))
        window.import_objects(first.image_id, [disc(5, 10, 2)])  # on pixels of the edit
        editor.record_strokes()
        editor.reapply(edit)
    expected = np.where(corner, 1, 2 * disc(14, 14, 2))  # the older object owns what both have
    for _ in range(2):
        assert (canvas(viewer) == expected).all()
        assert (stored(project, session) == expected).all()
        assert [item.area for item in session.objects] == [
            mask.sum() for mask in (corner, disc(14, 14, 2), disc(5, 10, 2))
        ]
        editor.record_strokes(unheard=True)


def test_the_brush_lets_go_of_a_label_that_others_have_taken(
    viewer: ViewerModel, editor: LabelEditor, project: Project, check: Check
) -> None:
    editor.add(disc(10, 10), CLICK)
    (first,) = project.objects()
    labels = viewer.layers["cells labels"]
    with Project.open(project.folder) as window:
        for row, stroke in ((10, False), (30, True)):
            labels.selected_label = taken = int(labels.data.max()) + 1
            if stroke:
                labels.data[disc(row, 50, 3)] = taken
            window.import_objects(first.image_id, [disc(row, 30)])
            editor.record_strokes(unheard=True)
            own = taken + 1
            assert labels.selected_label == own
            labels.data[disc(row, 50)] = own
            editor.record_strokes(unheard=True)
    expected = disc(10, 10) + 2 * disc(10, 30) + 3 * disc(10, 50)
    check(expected + 4 * disc(30, 30) + 5 * disc(30, 50))


def test_a_label_that_is_taken_at_the_last_moment_is_given_up_the_next_time(
    editor: LabelEditor, project: Project, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor.add(disc(10, 10), CLICK)
    (first,) = project.objects()
    add = project.add_object

    def too_late(*arguments: Any, **settings: Any) -> Any:
        with Project.open(project.folder) as window:
            window.import_objects(first.image_id, [disc(30, 10)])
        return add(*arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(project, "add_object", too_late)
        with pytest.raises(BadInputError, match="label 2 is taken"):
            editor.add(disc(10, 40), CLICK)
    assert editor.add(disc(10, 40), CLICK) is not None
    check(disc(10, 10) + 2 * disc(30, 10) + 3 * disc(10, 40))
