"""`infosam relation-maps`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infosam.cli.console import print_json, stderr
from infosam.cli.options import (
    AsJson,
    Checkpoint,
    Data,
    Device,
    Limit,
    Model,
    Objects,
    OtherSettings,
    Peft,
    Seed,
    Steps,
    Threads,
    check_choice,
    check_model,
    check_objects,
    config_of,
)
from infosam.cli.progress import AdaptProgress
from infosam.cli.stop import StopRequests
from infosam.politeness import polite_threads
from infosam.types import AdaptConfig

_DEFAULT = AdaptConfig()


def relation_maps(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the maps, and of the adapter.")],
    model: Model = "sam_pocket",
    peft: Peft = _DEFAULT.peft,
    steps: Steps = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Steps between two maps; a quarter of them unless given.")
    ] = None,
    objects_shown: Annotated[int, typer.Option(min=1, help="How many objects are watched.")] = 3,
    others: OtherSettings = None,
    seed: Seed = _DEFAULT.seed,
    objects: Objects = "auto",
    limit: Limit = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Adapt by InfoSAM to all of the data, and show how its relations change as the model learns."""
    check_objects(objects)
    check_model(model)
    threads = threads or polite_threads()
    config = config_of(
        peft=peft,
        distill="infosam",
        teacher=None,
        zoom="off",
        steps=steps,
        val_fraction=0.0,
        seed=seed,
        device=device,
        threads=threads,
        others=others,
    )

    import torch

    import infosam
    from infosam.api import load_model, read_images
    from infosam.benchmark.canvas import save
    from infosam.benchmark.relation_figure import draw_relations
    from infosam.benchmark.relation_maps import RelationWatch
    from infosam.training.adaptation import Adaptation

    check_choice("peft", peft, infosam.peft.methods())
    stop = StopRequests()
    stop.listen_to_signals()
    torch.set_num_threads(threads)
    images = read_images(data, objects=objects, limit=limit, seed=seed)
    loaded = load_model(model, checkpoint=checkpoint, device=device)
    watch = RelationWatch(Adaptation(loaded, images, config, out), objects_shown)
    with AdaptProgress(stderr) as progress:
        for report in watch.run(every=every, cancelled=lambda: stop.cancelled() or stop.leaving()):
            progress.show(report)
    maps = watch.maps()
    figure, numbers = out / "relation_maps.png", out / "relation_maps.npz"
    maps.save(numbers)
    save(draw_relations(maps, f"{model}, {peft}: relations while it learns"), figure)
    if as_json:
        print_json({"figure": str(figure), "numbers": str(numbers), "steps": maps.steps})
    else:
        typer.echo(f"{figure}: {len(maps.subjects)} objects at the steps {', '.join(map(str, maps.steps))}")
