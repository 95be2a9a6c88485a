"""Changes of the committed objects, in the project and on the canvas at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from infosam.types import BadInputError, BoolArray, InfoSAMError, Prompt
from napari_infosam.controllers.errors import tell
from napari_infosam.label_layer import LabelLayer, Stored
from napari_infosam.layers import ViewerLayers
from napari_infosam.models import label_diff
from napari_infosam.models.label_diff import LabelDiff, Labels
from napari_infosam.models.session import ObjectItem, Session
from napari_infosam.models.shown_image import Place, ShownImage

if TYPE_CHECKING:
    from infosam import Project
    from infosam.data.rle import RLE
    from infosam.data.store.records import ObjectRecord, ObjectSource


@dataclass(frozen=True, eq=False)
class Edit:
    """One change of the labels of an image, and the project's objects before and after it.

    before, after: the record of every object concerned, by its id; None where it does not exist then.
    """

    place: Place
    diff: LabelDiff
    before: dict[int, ObjectRecord | None]
    after: dict[int, ObjectRecord | None]


class LabelEditor:
    """The objects of the shown image. What it does is in the project before it is on the canvas."""

    opened = Signal()  # another project
    touched = Signal(bool)  # somebody paints on the labels, for sure or perhaps
    brushed = Signal(object)  # Edit: somebody painted on the labels, and it has been recorded
    undo_pressed = Signal()  # on the labels
    redo_pressed = Signal()

    def __init__(self, session: Session, layers: ViewerLayers) -> None:
        self._session = session
        self._layers = layers
        self._project: Project = session.project
        self._shown: ShownImage | None = None
        self._image_id = 0
        self._labels: Labels = np.zeros((0, 0), np.int32)  # the labels as the project has them
        self._records: dict[int, ObjectRecord] = {}  # by label
        self._revision = 0  # of the project, when these two were read or written
        self._next_label = 1
        self._field: LabelLayer | None = None
        self._counts: dict[int, int] = {}  # objects by image, in the whole project

    # ------------------------------------------------------------------------------------------- the image

    def open_project(self, project: Project) -> None:
        """Edits go to this project from now on; no image is entered yet."""
        self.leave()
        self._project = project
        self._layers.hand_labels_over(str(project.folder))
        self._count()
        self.opened.emit()

    def reload(self) -> None:
        """The project's objects have changed, not by an edit: no image is entered until it is read again."""
        self.leave()
        self._count()

    def enter(
        self,
        shown: ShownImage,
        image_id: int,
        records: Sequence[ObjectRecord],
        labels: Labels,
        revision: int,
    ) -> None:
        """Edits now go to this image, whose stored objects, removed ones too, and (H, W) labels are given.

        A canvas that has not shown them yet does so now. On one that has, what somebody else changed in the
        project meanwhile is brought up to date; what differs beside was painted or erased by the user.

        revision: the project's, before they were read.
        """
        self._shown, self._image_id = shown, image_id
        self._take(records, labels, revision)
        self._field = None
        field = self.field(create=bool(self._records))
        if field is not None:
            self._bring_up_to_date(field, shown)
        self._publish()
        self._record_all()

    def leave(self) -> None:
        """No image: what was painted last is recorded first; what cannot be stays on the canvas."""
        self._record_all()
        field = self.field(create=False)
        if self._shown is not None and field is not None:
            field.note(self._shown, self._stored)
        self._shown = None
        self._records = {}
        self._publish()

    def _take(self, records: Sequence[ObjectRecord], labels: Labels, revision: int) -> None:
        """What the project holds of the image."""
        self._labels, self._revision = labels, revision
        self._records = {record.label: record for record in records if not record.removed}
        self._next_label = 1 + max((record.label for record in records), default=0)

    def _bring_up_to_date(self, field: LabelLayer, shown: ShownImage) -> None:
        """Draw what somebody else changed since the slice was left."""
        then, now = field.loaded(shown), self._stored
        changed = set() if then is None else {label for _, label, _ in then ^ now}
        if changed:
            drawn = field.read(shown)
            theirs = np.isin(self._labels, list(changed)) | np.isin(drawn, list(changed))
            field.load(shown, np.where(theirs, self._labels, drawn), now)
            if field.brush in changed:
                field.select(self._next_label)

    def _catch_up(self) -> None:
        """Take over what somebody else has changed in the project since; strokes that are not recorded yet
        stay, and make objects of their own."""
        shown = self._shown
        if shown is None or not self._project.changed_objects(self._image_id, self._revision):
            return
        field, before, known = self.field(create=False), self._labels, self._records.keys()
        drawn = before if field is None else field.read(shown)
        self._read()
        taken = self._records.keys() - known
        labels, renamed = label_diff.rebase(before, drawn, self._labels, taken, self._next_label)
        self._next_label += len(renamed)
        field = self.field(create=bool(self._records))
        if field is not None:
            field.load(shown, labels, self._stored)
            field.touched = True
            if field.brush in taken:
                field.select(renamed.get(field.brush, self._next_label))
        self._publish()

    def _read(self) -> None:
        """Ask the project what it holds of the image now."""
        project, revision = self._project, self._project.revision
        records = project.objects(self._image_id, include_removed=True)
        self._take(records, project.label_image(self._image_id), revision)

    def _record_all(self) -> None:
        """Look for strokes and record them; what cannot be recorded is told."""
        try:
            self.record_strokes(unheard=True)
        except InfoSAMError as error:
            tell(self._session, error)

    def _count(self) -> None:
        self._counts = {}
        for record in self._project.objects():
            self._counts[record.image_id] = self._counts.get(record.image_id, 0) + 1
        self._publish()

    def field(self, *, create: bool) -> LabelLayer | None:
        """The labels layer of the image; a slice that is new to it shows what the project has.

        Raises InfoSAMError where there is no memory for one.
        """
        if self._shown is None:
            return None
        try:
            field = self._layers.labels(self._shown, create=create)
        except BadInputError:  # its layer was closed
            return None
        if field is None:
            return None
        if field is not self._field:
            self._field = field
            field.painted.connect(self._on_painted, unique=True)
            field.undo_pressed.connect(self._on_undo, unique=True)
            field.redo_pressed.connect(self._on_redo, unique=True)
        if field.loaded(self._shown) is None:
            field.load(self._shown, self._with_strokes(field.read(self._shown)), self._stored)
            field.select(self._next_label)
        return field

    @property
    def has_labels(self) -> bool:
        """Whether the shown image, which need not have been entered yet, has a labels layer of ours."""
        return self._canvas() is not None

    @property
    def has_strokes(self) -> bool:
        """Whether somebody painted on the shown image before what the project holds of it was drawn there."""
        shown, field = self._session.shown, self._canvas()
        if shown is None or field is None or field.loaded(shown) is not None:
            return False
        return bool(field.read(shown).any())

    def _canvas(self) -> LabelLayer | None:
        """The labels layer of the shown image, if there is one."""
        shown = self._session.shown
        return None if shown is None else self._layers.labels(shown, create=False)

    def _with_strokes(self, painted: Labels) -> Labels:
        """The labels of the project, and beside them what was painted before they were there to be seen: as
        new objects, since nobody can have meant one of the others."""
        labels = self._labels.copy()
        for label in np.unique(painted[(painted != 0) & (labels == 0)]).tolist():
            taken = label in self._records
            labels[(painted == label) & (labels == 0)] = self._next_label if taken else label
            self._next_label = max(self._next_label, label) + 1
        return labels

    # --------------------------------------------------------------------------------------------- changes

    def add(self, mask: BoolArray, prompt: Prompt) -> Edit | None:
        """Commit an (H, W) mask as a new object; None if no pixel of it is free."""
        self.record_strokes()  # they may take the next label
        return self._paint(mask, self._next_label, prompt)

    def replace(self, object_id: int, mask: BoolArray, prompt: Prompt) -> Edit | None:
        """Give a committed object another mask; None if that changes nothing or leaves no pixel."""
        self.record_strokes()  # they may change what is replaced
        record = self._record(object_id)
        return self._paint(mask, record.label, prompt, present=record.box)

    def delete(self, object_id: int) -> Edit | None:
        """Remove a committed object."""
        self.record_strokes()
        record = self._record(object_id)
        return self._apply(label_diff.erase(self._labels, record.label, record.box), 0, None)

    def record_strokes(self, *, unheard: bool = False) -> None:
        """Write what was painted on the canvas to the project.

        unheard: look for it even if napari has told of no stroke, which takes a while on a large image.
        """
        self._catch_up()
        field = self.field(create=False)
        if self._shown is None or field is None or not (field.touched or unheard):
            return
        field.touched = False
        diff = label_diff.difference(self._labels, field.read(self._shown))
        if diff is not None:
            self.brushed.emit(self._apply(diff, 0, None))

    def revert(self, edit: Edit) -> None:
        """Take an edit of the present image back."""
        self._restore(edit.before)
        self._show_again(edit.diff, edit.diff.after, edit.diff.before)

    def reapply(self, edit: Edit) -> None:
        """Do an edit of the present image again."""
        self._restore(edit.after)
        self._show_again(edit.diff, edit.diff.before, edit.diff.after)

    # --------------------------------------------------------------------------------------------- look-up

    def object_at(self, row: float, column: float) -> int | None:
        """Id of the object at a pixel of the image."""
        r, c = round(row), round(column)
        if not (0 <= r < self._labels.shape[0] and 0 <= c < self._labels.shape[1]):
            return None
        record = self._records.get(int(self._labels[r, c]))
        return None if record is None else record.id

    def label(self, object_id: int) -> int:
        """The label of a committed object."""
        return self._record(object_id).label

    def prompt_for(self, object_id: int) -> Prompt:
        """What to begin refining an object with: its mask, and the points that made it.

        A mask alone says too little to a model that was trained on masks beside clicks: an object without a
        click on it gets one, at its most interior pixel.
        """
        record, mask = self._record(object_id), self.mask(object_id)
        made = record.prompt or Prompt()
        if 1 in made.labels:
            return Prompt(made.points, made.labels, mask=mask)
        return Prompt((label_diff.interior(mask), *made.points), (1, *made.labels), mask=mask)

    def box(self, object_id: int) -> label_diff.Box:
        """Where a committed object lies."""
        return self._record(object_id).box

    def mask(self, object_id: int) -> BoolArray:
        """(H, W): the pixels of a committed object."""
        return np.asarray(self._labels == self._record(object_id).label)

    # --------------------------------------------------------------------------------------------- private

    def _on_painted(self, sure: bool) -> None:
        self.touched.emit(sure)

    def _on_undo(self) -> None:
        self.undo_pressed.emit()

    def _on_redo(self) -> None:
        self.redo_pressed.emit()

    @property
    def _stored(self) -> Stored:
        return frozenset((record.id, record.label, record.rle.counts) for record in self._records.values())

    def _record(self, object_id: int) -> ObjectRecord:
        for record in self._records.values():
            if record.id == object_id:
                return record
        raise BadInputError(f"object {object_id} is not on this image any more")

    def _paint(
        self, mask: BoolArray, label: int, prompt: Prompt, present: label_diff.Box | None = None
    ) -> Edit | None:
        if self._shown is None:
            raise BadInputError("The image is still being read: commit again in a moment.")
        self.field(create=True)  # before anything is kept that could not be drawn
        diff = label_diff.paint(self._labels, mask, label, overwrite=self._session.overwrite, present=present)
        if diff is None or not (diff.after == label).any():
            return None
        return self._apply(diff, label, prompt)

    def _apply(self, diff: LabelDiff | None, made: int, prompt: Prompt | None) -> Edit | None:
        """Write a change to the project, then to the canvas. made: the label that `prompt` made, or 0."""
        if diff is None or self._shown is None:
            return None
        before: dict[int, ObjectRecord | None] = {}
        after: dict[int, ObjectRecord | None] = {}
        try:
            for label in diff.labels:
                old = self._records.get(label)
                if old is not None:
                    before[old.id] = old
                new = self._write(
                    old, label, self._after(diff, label, old), prompt if label == made else None
                )
                changed = new or old
                if changed is not None:
                    before[changed.id], after[changed.id] = old, new
        except InfoSAMError:
            with suppress(InfoSAMError):
                self._restore(before)
            raise
        self._note(after)
        self._show(diff.box, diff.after)
        if made and self._field is not None:
            self._field.select(made)  # what was made is what is corrected next
        return Edit(self._shown.place, diff, before, after)

    def _after(self, diff: LabelDiff, label: int, old: ObjectRecord | None) -> RLE:
        """The mask of a label after a change."""
        from infosam.data.rle import encode_window

        r0, c0, r1, c1 = diff.box if old is None else label_diff.union(diff.box, old.box)
        inside = self._labels[r0:r1, c0:c1] == label
        d0, e0, d1, e1 = diff.box
        inside[d0 - r0 : d1 - r0, e0 - c0 : e1 - c0] = diff.after == label
        height, width = self._labels.shape
        return encode_window(inside, (r0, c0), (height, width))

    def _write(
        self, old: ObjectRecord | None, label: int, mask: RLE, prompt: Prompt | None
    ) -> ObjectRecord | None:
        from infosam.data.rle import rle_area

        source: ObjectSource = "brush" if prompt is None else "prompt"
        if old is None:
            return self._project.add_object(self._image_id, mask, label=label, prompt=prompt, source=source)
        if rle_area(mask):
            return self._project.update_object(old.id, mask, prompt=prompt, source=source)
        self._project.remove_object(old.id)
        return None

    def _restore(self, records: dict[int, ObjectRecord | None]) -> None:
        """Bring objects of the project back to what they were; it may be tried again where it failed."""
        for object_id, record in records.items():
            if record is None:
                self._project.remove_object(object_id)
            else:
                self._project.revert_object(record)
        self._note(records)

    def _note(self, records: dict[int, ObjectRecord | None]) -> None:
        for object_id, record in records.items():
            for label in [label for label, old in self._records.items() if old.id == object_id]:
                del self._records[label]
                if record is None and self._field is not None and self._field.brush == label:
                    self._field.select(self._next_label)  # not the next object's, and not one that is gone
            if record is not None:
                self._records[record.label] = record
                self._next_label = max(self._next_label, record.label + 1)
        revision = self._project.revision
        if self._project.changed_objects(self._image_id, self._revision) <= records.keys():
            self._revision = revision  # nobody else has changed anything
        self._publish()

    def _show(self, box: label_diff.Box, values: Labels) -> None:
        r0, c0, r1, c1 = box
        self._labels[r0:r1, c0:c1] = values
        field = self.field(create=True)
        if field is not None and self._shown is not None:
            field.write(self._shown, box, values)

    def _show_again(self, diff: LabelDiff, before: Labels, after: Labels) -> None:
        """Draw what an edit changed, from `before` to `after`, in one direction or the other."""
        r0, c0, r1, c1 = diff.box
        now, changed = self._labels[r0:r1, c0:c1], before != after
        if np.array_equal(now[changed], before[changed]):
            self._show(diff.box, np.where(changed, after, now))
            return
        self._read()  # somebody else has changed them since
        field = self.field(create=True)
        if field is not None and self._shown is not None:
            field.load(self._shown, self._labels, self._stored)
        self._publish()

    def _publish(self) -> None:
        records = sorted(self._records.values(), key=lambda record: record.label)
        self._session.objects = tuple(
            ObjectItem(record.id, record.label, record.area, record.source) for record in records
        )
        if self._shown is not None:
            self._counts[self._image_id] = len(records)
        self._session.n_labelled_images = sum(1 for count in self._counts.values() if count)
        self._session.n_labelled_objects = sum(self._counts.values())
