"""The front door: load a model, evaluate it, adapt it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from infosam import distributed
from infosam.data.labelled import LabelledImage
from infosam.data.project import ADAPTER_FOLDER, Project, default_project_folder
from infosam.data.readers import choose, read_data
from infosam.distill import uses_teacher
from infosam.inference.adapter import load_adapter, read_adapter_info
from infosam.inference.cache import EmbeddingCache
from infosam.inference.evaluate import Progress, Settings
from infosam.inference.evaluate import evaluate as evaluate_images
from infosam.inference.zoom import zoom_of
from infosam.metrics import ScoringProtocol
from infosam.models import registry
from infosam.models.base import PromptableModel
from infosam.training.adaptation import Adaptation, Adapter
from infosam.training.failure import TrainingError, disk_errors, memory_errors
from infosam.training.files import has_checkpoint
from infosam.training.lock import hold
from infosam.types import AdaptConfig, BadInputError, Failed, InfoSAMError, Report, Zoom

__all__ = ["Adapter", "Project", "adapt", "evaluate", "load_model"]

Data = str | os.PathLike[str] | Project | Sequence[LabelledImage]
PathLike = str | os.PathLike[str]


def load_model(
    name: str,
    *,
    checkpoint: PathLike | None = None,
    adapter: PathLike | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> PromptableModel:
    """A model ready to predict: frozen, in eval mode, on its device.

    Args:
        name: one of `infosam models`, e.g. "sam_pocket", "sam_vit_b", "sam2.1_hiera_tiny".
        checkpoint: weights of your own in the model's official form; None takes the official ones.
        adapter: an adapter folder to put onto it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        progress: called with (bytes so far, bytes in all) during a download, which ends if it raises; the
            next one goes on from there.

    Raises:
        BadInputError: the name, checkpoint, adapter or device cannot be used.
        InfoSAMError: the weights could not be downloaded.
    """
    model = registry.load(name, checkpoint=checkpoint, device=device, progress=progress)
    return model if adapter is None else load_adapter(Path(adapter), model)


def evaluate(
    data: Data,
    *,
    model: PromptableModel | str,
    prompt: str = "box",
    protocol: ScoringProtocol = "clean",
    zoom: Zoom | None = None,
    multimask: bool = False,
    objects: str = "auto",
    limit: int | None = None,
    seed: int = 0,
    exclude: PathLike | None = None,
    progress: Progress | None = None,
    cache: EmbeddingCache | None = None,
) -> dict[str, Any]:
    """Mean scores of a model on labelled data; see `inference.evaluate.evaluate` for what is returned.

    Args:
        data: a path (folder, CSV, COCO JSON, project), a Project, or labelled images. Images without objects
            are left out.
        model: a model or its name.
        prompt: box, point, points3, points5 or road5.
        protocol: clean (means over objects) or official (as InfoSAM's released scripts; means over images).
        zoom: off (the whole image at once) or auto (small objects from nearer); see `Predictor`. None: as the
            model was adapted to in the clean protocol, off in the official one.
        multimask: for a single click score what the plugin shows, the best of three masks as the model judges
            them, in place of the single-mask output.
        objects: what one object is, for paths: auto, image, components, labels or separate.
        limit: use only that many images, chosen by `seed`.
        exclude: an adapter folder: the images that it was trained on or selected by are left out, known by
            their content wherever they lie; `limit` chooses among the others.
        progress: called with (images done, images in all).
        cache: keeps embeddings from one call to the next: the images need not be embedded for every prompt.

    Raises:
        BadInputError: the data or a setting cannot be used, or nothing is left to evaluate.
    """
    settings = Settings(prompt, protocol, seed, zoom or "off", multimask)
    seen = set() if exclude is None else read_adapter_info(Path(exclude)).keys()
    images = read_images(data, objects=objects, limit=None if seen else limit, seed=seed)
    if seen:
        unseen = [image for image in images if image.key not in seen]
        if not unseen:
            raise BadInputError(f"{exclude} has seen all {len(images)} images: evaluate on others")
        images = choose(unseen, limit=limit, seed=seed)
    loaded = load_model(model) if isinstance(model, str) else model
    if zoom is None and protocol == "clean":
        settings = replace(settings, zoom=zoom_of(loaded))
    with memory_errors(loaded.device):
        return evaluate_images(images, loaded, settings, progress=progress, cache=cache)


def adapt(
    data: Data,
    *,
    model: PromptableModel | str = "sam_pocket",
    config: AdaptConfig | None = None,
    out: PathLike | None = None,
    objects: str = "auto",
    limit: int | None = None,
    checkpoint: PathLike | None = None,
    current: PathLike | None = None,
    revision: int | None = None,
    resume: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[Report, None, Adapter]:
    """Adapt a model to labels: a generator of reports that returns the adapter.

    Every run starts from the pre-trained weights, on all labels; images are held out to measure on where
    there are enough. While it trains, the folder holds a checkpoint, from which `resume` continues; closing
    the generator writes one. No second run can write there meanwhile. The best weights are rounded to half
    precision, and so they are scored and saved. Seeds torch's global generator. Processes that torchrun
    starts share one run.

    Args:
        data: a path (folder, CSV, COCO JSON, project), a Project, or labelled images. Images without objects
            are left out.
        model: the pre-trained model or its name.
        config: method and settings; its device is used where `model` is a name.
        out: the adapter's folder. None makes one, in the project if `data` is one, else in the user's data.
        objects: what one object is, for paths: auto, image, components, labels or separate.
        limit: use only that many images, chosen by the seed.
        checkpoint: weights of your own, where `model` is a name.
        current: the adapter in use, for the card to compare with.
        revision: of a project, the labels as they were then (`Project.revision`); None: as they are.
        resume: continue the run that was cut off in `out`.
        cancelled: asked between steps; True ends the run with the best weights so far.

    Yields:
        Started, Preparing, Step and Validated; at the end Finished, or Failed before the error is raised.

    Raises:
        BadInputError: data, model or settings cannot be used.
        InfoSAMError: the run failed (out of memory, loss not finite, download, disk), or another process
            trains in `out`.
    """
    config = config or AdaptConfig()
    with distributed.processes(), ExitStack() as held:
        folder = distributed.agree(Path(out) if out is not None else new_adapter_folder(data))
        try:
            if config.threads is not None:
                torch.set_num_threads(config.threads)
            images = read_images(data, objects=objects, limit=limit, seed=config.seed, revision=revision)
            if distributed.rank() == 0:
                with disk_errors(folder):
                    held.enter_context(hold(folder))
            in_use = None if current is None else Path(current)
            with memory_errors(f"device {config.device!r}"):
                if isinstance(model, str):
                    model = registry.load(model, checkpoint=checkpoint, device=config.device)
                teacher = None if config.teacher is None else _teacher(config.teacher, model, config.distill)
                run = Adaptation(model, images, config, folder, current=in_use, teacher=teacher)
            return (yield from run.run(resume=resume, cancelled=cancelled))
        except InfoSAMError as error:
            if not _in_closing(error):
                yield _failed(error, resumable=has_checkpoint(folder))
            raise


def _teacher(name: str, model: PromptableModel, method: str) -> PromptableModel:
    """The model of this name, to teach `model` by a distillation method; what cannot be is refused before
    anything is downloaded.

    Raises:
        BadInputError: the method asks no teacher, or the two do not see images alike.
    """
    if not uses_teacher(method):
        raise BadInputError(f"the distillation method {method!r} has no teacher: leave out {name!r}")
    if (family := registry.info(name).family) != model.family:
        raise BadInputError(
            f"{name} is of the family {family} and cannot teach {model.name}, of the family {model.family}"
        )
    return registry.load(name, device=str(model.device))


def read_images(
    data: Data, *, objects: str, limit: int | None, seed: int, revision: int | None = None
) -> list[LabelledImage]:
    """The labelled images behind any kind of `data`; `objects` says nothing about a project's or a list's.

    Raises:
        BadInputError: the data cannot be used, hold no objects, or have no revisions where one is asked for.
    """
    if isinstance(data, Project):
        return read_data(data.folder, limit=limit, seed=seed, revision=revision)
    if isinstance(data, str | os.PathLike):
        return read_data(Path(data), objects=objects, limit=limit, seed=seed, revision=revision)
    if revision is not None:
        raise BadInputError("only a project has revisions, and a list of images is none")
    return choose(data, limit=limit, seed=seed)


def new_adapter_folder(data: Data) -> Path:
    """A folder of its own for the next adapter: in the project, or else in the user's data folder."""
    name = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    if isinstance(data, Project):
        return data.adapter_folder / name
    if isinstance(data, str | os.PathLike) and Project.exists(Path(data)):
        return Path(data) / ADAPTER_FOLDER / name
    return default_project_folder().parent / ADAPTER_FOLDER / name


def _in_closing(error: BaseException | None) -> bool:
    """Whether the error came up while the generator was being closed: nobody takes a report any more."""
    while error is not None:
        if isinstance(error, GeneratorExit):
            return True
        error = error.__context__
    return False


def _failed(error: InfoSAMError, *, resumable: bool) -> Failed:
    if isinstance(error, TrainingError):
        return Failed(error.reason, error.advice, resumable)
    return Failed(str(error), "", resumable)
