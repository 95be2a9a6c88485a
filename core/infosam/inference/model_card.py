"""The README.md of an adapter folder: a model card for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infosam.inference.adapter_info import AdapterInfo
from infosam.inference.card import BOUNDARY_TOLERANCE
from infosam.types import Scores

_TEMPLATE = """\
# Adapter for {base}

Fine-tuned by napari-infosam on {created} (UTC) from {n_train} labelled images with {n_train_objects} objects:
PEFT method `{peft}`, distillation `{distill}`, run mode `{mode}`.

## Scores on held-out images

{scores}

## How to use it

```python
import infosam

model = infosam.load_model("{base}", adapter="path/to/this/folder")
predictor = infosam.Predictor(model)
```

or choose it in napari under "Annotate & adapt". On the command line, `infosam segment` and `infosam evaluate`
take it as `--model {base} --adapter path/to/this/folder`. {looking}
It fits {base} with the weights
`{base_hash}` and no other.

## Training

{training}

## Data

{data}

The content hashes of all these images are in `adapter.json`: by them, `infosam evaluate --exclude` keeps
images that this adapter has seen out of a test.

## Limits

It was adapted to objects and images like those that it was trained on; the scores above say nothing of
others. Images must reach the model as in training: {normalisation}.
The terms of use of {base} hold for this adapter too.
"""
_MEASURES = {
    "IoU": "iou",
    "Dice": "dice",
    f"boundary F1 ({BOUNDARY_TOLERANCE} px)": "boundary_f1",
}
_NOTHING_MEASURED = (
    "Too few labels to measure: nothing was held out, so it is not known how good this adapter is."
)


def model_card(info: AdapterInfo, n_bytes: int) -> str:
    """The card in Markdown. n_bytes: size of the weights file."""
    train = [image for image in info.images if image.split == "train"]
    return _TEMPLATE.format(
        base=info.base_model,
        base_hash=info.base_hash,
        created=info.created[:16].replace("T", " "),
        n_train=len(train),
        n_train_objects=sum(image.n_objects for image in train),
        peft=info.peft["method"],
        distill=info.training["distill"],
        mode=info.training["mode"],
        scores=_scores(info),
        training=_training(info, n_bytes),
        data=_data(info),
        normalisation=_normalisation(info),
        looking=_looking(info),
    )


def _scores(info: AdapterInfo) -> str:
    card = info.card
    if card is None or not any(scores.n_objects for scores in card.new.values()):
        return (card.note if card is not None else "") or _NOTHING_MEASURED
    columns = {"pre-trained": card.pretrained, "adapter before": card.current, "this adapter": card.new}
    shown = {name: scores for name, scores in columns.items() if scores is not None}
    rows = [
        (f"{measure}, prompt: {prompt}", *(_cell(scores.get(prompt), field) for scores in shown.values()))
        for prompt in card.new
        for measure, field in _MEASURES.items()
    ]
    counted = next(iter(card.new.values()))
    explained = (
        f"Means over {counted.n_objects} objects in {counted.n_images} images that were not trained on, but "
        "chose which step's weights to keep. They hold for the weights in this folder, in half precision."
    )
    if info.training["mode"] == "clean":
        explained += (
            " One click (point) is scored by the best of three masks as the model judges them, as the plugin "
            "shows it and `infosam evaluate --multimask` measures it."
        )
    return "\n\n".join(filter(None, (_table(("", *shown), rows), explained, card.note)))


def _cell(scores: Scores | None, field: str) -> str:
    value = None if scores is None else getattr(scores, field)
    return "too few to measure" if value is None else f"{value:.3f}"


def _training(info: AdapterInfo, n_bytes: int) -> str:
    adds = {f"PEFT: {name}": value for name, value in info.peft.items()}
    sizes = {"weights": f"{n_bytes / 1e6:.1f} MB, half precision"}
    settings = {name: value for name, value in info.training.items() if name != "peft"}
    versions = {f"version of {name}": value for name, value in info.versions.items()}
    return _settings({**adds, **settings, **info.run, **sizes, **versions})


def _data(info: AdapterInfo) -> str:
    rows = [(image.name, str(image.n_objects), image.split) for image in info.images]
    return _table(("image", "objects", "used for"), rows)


def _looking(info: AdapterInfo) -> str:
    if info.object_sizes is None:
        return "It looks at whole images."
    return (
        f"It was trained on objects of about {info.object_sizes.extent:.0f} pixels, looks at them from near, "
        "and expects objects of about that size where it is clicked; "
        '`zoom="off"` (`--zoom off`) shows it whole images.'
    )


def _normalisation(info: AdapterInfo) -> str:
    values = info.normalisation
    low, high = values["percentiles"]
    return (
        f"{values['channels']}, 8-bit images as they are, others from the {low} to the {high} percentile of "
        f"each, at {values['image_size']} x {values['image_size']} pixels"
    )


def _settings(values: Mapping[str, object]) -> str:
    return _table(("setting", "value"), [(name, str(value)) for name, value in values.items()])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
