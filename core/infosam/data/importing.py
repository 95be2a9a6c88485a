"""Labels that were drawn elsewhere, or found by a model, become objects of a project."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from infosam.data.labelled import LabelledImage
from infosam.data.project import Project
from infosam.data.store.records import ObjectSource
from infosam.types import BadInputError


@dataclass(frozen=True)
class Import:
    """What came in: the ids of the new objects, how many images they lie on, and how many more lie where the
    project has objects already."""

    object_ids: tuple[int, ...]
    n_images: int
    n_known: int


def import_labels(
    project: Project,
    images: Iterable[LabelledImage],
    progress: Callable[[int], None] | None = None,
    source: ObjectSource = "imported",
) -> Import:
    """Add the objects of labelled images to a project, and the images themselves where it has them not yet.

    Importing the same again adds nothing where its objects still are. What overlaps is shared out: see
    `Project.import_objects`.

    Args:
        project: what it holds already stays.
        images: as `read_data` and `data_entries` give them; those without objects are passed over.
        progress: called with the number of images done.
        source: of the objects.

    Raises:
        BadInputError: there are no objects, or an image cannot be read.
        InfoSAMError: the project cannot be written. Whatever is raised, by `progress` and `images` too, takes
            all objects back that had come in.
    """
    ids: list[int] = []
    n_images = n_known = 0
    try:
        for done, image in enumerate(images, start=1):
            if image.objects():
                record = project.find_image(image.key) or project.add_image(
                    image.image(), path=image.path, name=image.name, plane=image.plane
                )
                added = project.import_objects(record.id, [item.rle for item in image.objects()], source)
                ids += [item.id for item in added]
                n_images += bool(added)
                n_known += len(image.objects()) - len(added)
            if progress is not None:
                progress(done)
    except BaseException:
        project.remove_objects(ids)
        raise
    if not ids and not n_known:
        raise BadInputError("there is nothing to import: all is background (0), or too small to be an object")
    return Import(tuple(ids), n_images, n_known)
