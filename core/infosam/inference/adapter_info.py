"""What is known of an adapter beside its weights: `adapter.json`."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from infosam.data.intensity import PERCENTILES
from infosam.data.labelled import LabelledImage
from infosam.models.base import PromptableModel
from infosam.peft import config_of, config_to_dict, trainable_state
from infosam.reporting import plain
from infosam.types import AdaptConfig, BadInputError, Card, InfoSAMError, ObjectSizes, Scores

INFO_NAME = "adapter.json"
FORMAT = 2
_PACKAGES = ("napari-infosam", "torch", "segment-anything", "sam2", "safetensors")


@dataclass(frozen=True)
class ImageUse:
    """A labelled image that a run has seen. key: content hash of its pixels, see `LabelledImage`."""

    key: str
    name: str
    n_objects: int
    split: Literal["train", "validation"]


@dataclass(frozen=True)
class AdapterInfo:
    """Where an adapter comes from, and how good it is.

    base_model, base_hash: the model that it adapts, see `base_hash`. peft: see `peft.config_to_dict`.
    training: the `AdaptConfig`. run: how the run ended (status, steps, seconds, ...). normalisation: how raw
    pixels became the model's input. images: all that were trained on or held out. card: None if nothing was
    measured. versions: of the software. created: UTC, ISO 8601. object_sizes: see `PromptableModel`.
    weights_sha256: of the weights file; `save_adapter` fills it in.
    """

    base_model: str
    base_hash: str
    peft: Mapping[str, Any]
    training: Mapping[str, Any]
    run: Mapping[str, Any]
    normalisation: Mapping[str, Any]
    images: tuple[ImageUse, ...]
    card: Card | None
    versions: Mapping[str, str]
    created: str
    object_sizes: ObjectSizes | None
    weights_sha256: str = ""

    @classmethod
    def of(
        cls,
        student: PromptableModel,
        config: AdaptConfig,
        *,
        train: Sequence[LabelledImage],
        validation: Sequence[LabelledImage] = (),
        card: Card | None = None,
        run: Mapping[str, Any] | None = None,
    ) -> AdapterInfo:
        """What is to be said of a student that was trained on `train` and measured on `validation`.

        run: JSON values on how the run ended.
        """
        return cls(
            base_model=student.name,
            base_hash=base_hash(student),
            peft=config_to_dict(config_of(student)),
            training=asdict(config),
            run=dict(run or {}),
            normalisation=_normalisation(student, config),
            images=_uses(train, "train") + _uses(validation, "validation"),
            card=card,
            versions={"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            object_sizes=student.object_sizes,
        )

    def keys(self, split: Literal["train", "validation"] | None = None) -> set[str]:
        """The content hashes of the images that were seen, or of those in one split."""
        return {image.key for image in self.images if split in (None, image.split)}

    def to_json(self) -> str:
        """The content of `adapter.json`; numbers that are not finite become null."""
        return json.dumps({"format": FORMAT, **plain(asdict(self))}, indent=2, allow_nan=False) + "\n"


def read_adapter_info(folder: str | Path) -> AdapterInfo:
    """Read the `adapter.json` of an adapter folder.

    Raises:
        BadInputError: the folder holds no adapter, or a damaged one.
        InfoSAMError: the adapter was written by another version of this library, in another format.
    """
    path = Path(folder) / INFO_NAME
    if not path.is_file():
        raise BadInputError(f"{folder} is no adapter: it holds no {INFO_NAME}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = int(data["format"])
        if found > FORMAT:
            raise InfoSAMError(
                f"the adapter {folder} has format {found}, and this version of infosam reads {FORMAT}: "
                "update infosam"
            )
        if found < FORMAT:
            raise InfoSAMError(
                f"the adapter {folder} was written by an earlier version of infosam, in format {found}: "
                "train it again"
            )
        return _from_json(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInputError(
            f"{path} is damaged ({type(error).__name__}: {error}): train the adapter again, or take a copy"
        ) from error


def base_hash(student: PromptableModel) -> str:
    """What the weights under an adapter are: "file:" and the SHA-256 of their checkpoint, if they have one.

    Otherwise "tensors:" and the SHA-256 of all tensors that the adapter does not replace.
    """
    return f"file:{student.sha256}" if student.sha256 else f"tensors:{frozen_hash(student)}"


def frozen_hash(student: PromptableModel) -> str:
    """SHA-256 of the values of all tensors that an adapter file of this student leaves as they are."""
    replaced = trainable_state(student).keys()
    digest = hashlib.sha256()
    for name, tensor in student.state_dict().items():
        if name not in replaced:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _normalisation(student: PromptableModel, config: AdaptConfig) -> dict[str, Any]:
    return {
        "mode": config.mode,
        "image_size": student.image_size,
        "channels": "BGR" if config.mode == "official" else "RGB",
        "percentiles": list(PERCENTILES),
    }


def _uses(images: Sequence[LabelledImage], split: Literal["train", "validation"]) -> tuple[ImageUse, ...]:
    return tuple(ImageUse(image.key, image.name, len(image.objects()), split) for image in images)


def _from_json(data: Any) -> AdapterInfo:
    texts = {name: data[name] for name in ("base_model", "base_hash", "created", "weights_sha256")}
    tables = {name: data[name] for name in ("peft", "training", "run", "normalisation", "versions")}
    for names, kind in ((texts, str), (tables, dict)):
        wrong = [name for name, value in names.items() if not isinstance(value, kind)]
        if wrong:
            raise TypeError(f"{wrong[0]} must be a {kind.__name__}")
    images = tuple(ImageUse(**image) for image in data["images"])
    sizes = data["object_sizes"]
    return AdapterInfo(
        **texts,
        **tables,
        images=images,
        card=_card(data["card"]),
        object_sizes=None if sizes is None else ObjectSizes(**sizes),
    )


def _card(data: Any) -> Card | None:
    if data is None:
        return None
    return Card(
        pretrained=_scores(data["pretrained"]),
        new=_scores(data["new"]),
        current=None if data["current"] is None else _scores(data["current"]),
        note=data["note"],
    )


def _scores(data: Any) -> dict[str, Scores]:
    return {prompt: Scores(**scores) for prompt, scores in data.items()}
