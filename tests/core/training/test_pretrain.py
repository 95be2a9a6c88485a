"""Pre-training: it can be cut anywhere, and it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from infosam.models.pocket.build import PocketConfig, build_pocket
from infosam.models.pocket.weights import export_pocket
from infosam.training import pretrain as module
from infosam.training.pretrain import CHECKPOINT, WEIGHTS, PretrainConfig, PretrainScores, Stage, pretrain
from infosam.training.pretrain_lines import fit_lines
from infosam.training.pretrain_loss import low_resolution
from infosam.training.pretrain_state import fresh_state, load_state
from infosam.types import BadInputError, Step

TINY = PocketConfig(
    image_size=64, width=32, depth=2, heads=2, window=4, global_blocks=(1,), out_chans=32, decoder_mlp=32
)
CONFIG = PretrainConfig(
    stages=(Stage(32, 2, 3), Stage(64, 1, 3)),
    architecture=TINY,
    prompts=2,
    warmup=2,
    bf16=False,
    threads=1,
    workers=0,
    score_every=1000,
    save_every=1000,
    device="cpu",
)


@pytest.fixture(autouse=True)
def few_scored_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.held_out_scores
    monkeypatch.setattr(module, "held_out_scores", lambda model, step: real(model, step, 2, 2))


def run(config: PretrainConfig, out: Path, stop_after: int | None = None) -> list[Step | PretrainScores]:
    reports = []
    run = pretrain(config, out=out)
    for report in run:
        reports.append(report)
        if isinstance(report, Step) and report.step == stop_after:
            run.close()
            break
    return reports


def state_of(out: Path) -> tuple[dict[str, torch.Tensor], int]:
    state = load_state(out / CHECKPOINT, TINY, 0.05, torch.device("cpu"))
    moments = {
        f"moment {name}": state.optimizer.state[p]["exp_avg_sq"]
        for name, p in state.parameters().items()
        if p in state.optimizer.state
    }
    model = {f"model {name}": tensor for name, tensor in state.model.state_dict().items()}
    return model | moments | {f"average {n}": t for n, t in state.average.items()}, state.step


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_a_run_that_was_cut_ends_bit_for_bit_like_one_that_was_not(tmp_path: Path, cut: int) -> None:
    run(CONFIG, tmp_path / "whole")
    run(CONFIG, tmp_path / "cut", stop_after=cut)
    assert state_of(tmp_path / "cut")[1] == cut
    reports = run(CONFIG, tmp_path / "cut")
    assert [report.step for report in reports] == [*range(cut + 1, 7), 6]
    whole, pieces = state_of(tmp_path / "whole"), state_of(tmp_path / "cut")
    assert whole[1] == pieces[1] == 6
    assert whole[0].keys() == pieces[0].keys()
    for name, tensor in whole[0].items():
        assert torch.equal(tensor, pieces[0][name]), name


def test_a_finished_run_only_scores_and_time_that_is_over_stops_it(tmp_path: Path) -> None:
    first = list(pretrain(CONFIG, out=tmp_path, minutes=0))
    assert [type(report) for report in first] == [PretrainScores]
    run(CONFIG, tmp_path)
    assert [type(report) for report in run(CONFIG, tmp_path)] == [PretrainScores]


def test_the_weights_are_exported_at_the_architectures_size_whatever_stage_was_reached(
    tmp_path: Path,
) -> None:
    list(pretrain(CONFIG, out=tmp_path, minutes=0))
    state = load_file(tmp_path / WEIGHTS)
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    build_pocket(TINY).network.load_state_dict(state)
    assert state["image_encoder.pos_embed"].shape[1] == 64 // 8


def test_without_resume_it_starts_again(tmp_path: Path) -> None:
    run(CONFIG, tmp_path, stop_after=2)
    reports = pretrain(CONFIG, out=tmp_path, resume=False)
    assert next(reports).step == 1
    reports.close()


def test_shares_of_a_batch_on_two_threads_learn_the_same_thing_each_time(tmp_path: Path) -> None:
    config = replace(CONFIG, shards=2, stages=(Stage(32, 3, 2),))
    run(config, tmp_path / "a")
    run(config, tmp_path / "b")
    first, second = state_of(tmp_path / "a")[0], state_of(tmp_path / "b")[0]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(BadInputError, match=CHECKPOINT):
        next(pretrain(CONFIG, out=tmp_path))
    assert (tmp_path / CHECKPOINT).read_bytes() == b"nothing"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("seed", 7), ("part", "judge"), ("lr", 1e-3), ("stages", (Stage(32, 2, 3), Stage(64, 1, 4)))],
)
def test_a_run_does_not_go_on_with_other_settings(tmp_path: Path, setting: str, value: object) -> None:
    run(CONFIG, tmp_path, stop_after=2)
    with pytest.raises(BadInputError, match=f"belongs to a run with other {setting}: give the same"):
        run(replace(CONFIG, **{setting: value}), tmp_path)
    assert state_of(tmp_path)[1] == 2


def test_a_run_does_not_go_on_with_other_known_weights(tmp_path: Path) -> None:
    known = [tmp_path / f"{seed}.safetensors" for seed in range(2)]
    for seed, path in enumerate(known):
        torch.manual_seed(seed)
        export_pocket(build_pocket(TINY), path)
    list(pretrain(CONFIG, out=tmp_path, minutes=0, known=known[0]))
    for other in (None, known[1]):
        with pytest.raises(BadInputError, match="belongs to a run with other known weights"):
            next(pretrain(CONFIG, out=tmp_path, known=other))
    assert isinstance(next(pretrain(CONFIG, out=tmp_path, minutes=0, known=known[0])), PretrainScores)


def test_a_run_goes_on_elsewhere_and_at_another_pace(tmp_path: Path) -> None:
    run(CONFIG, tmp_path, stop_after=2)
    other = replace(CONFIG, threads=None, save_every=5, score_every=500)
    assert [report.step for report in run(other, tmp_path)] == [3, 4, 5, 6, 6]


def test_the_loss_falls_on_scenes_seen_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infosam.training import pretrain_data

    real = pretrain_data.make_batch
    monkeypatch.setattr(pretrain_data, "make_batch", lambda seed, step, *rest: real(seed, 0, *rest))
    config = replace(CONFIG, stages=(Stage(64, 1, 40),), prompts=4, lr=3e-3, rounds=1)
    losses = [report.losses["loss"] for report in run(config, tmp_path) if isinstance(report, Step)]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("prompts", 3), ("prompts", 0), ("rounds", 0), ("lr", -1.0), ("shards", 0), ("save_every", 0)],
)
def test_bad_settings_quote_themselves(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{setting}.*{value}"):
        replace(CONFIG, **{setting: value})


def test_a_run_without_stages_or_with_an_empty_one_is_refused() -> None:
    with pytest.raises(ValueError, match="stage"):
        replace(CONFIG, stages=())
    with pytest.raises(ValueError, match="batch_size=0"):
        Stage(64, 0, 5)


def test_the_learning_rate_rises_then_falls() -> None:
    config = replace(CONFIG, stages=(Stage(64, 1, 100),), warmup=10, lr=1e-3, final_lr_ratio=0.1)
    rates = [config.learning_rate(step) for step in range(100)]
    assert rates[0] < rates[5] < rates[9]
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4, rel=0.05)


def test_a_run_begins_with_known_weights_where_they_fit(tmp_path: Path) -> None:
    run(CONFIG, tmp_path / "first")
    known = tmp_path / "first" / WEIGHTS
    narrower = replace(CONFIG.architecture, image_size=32, decoder_mlp=16)
    torch.manual_seed(1)
    state = fresh_state(narrower, 0.05, torch.device("cpu"), known)
    weights = load_file(known)
    ours = state.model.network.state_dict()
    name = "image_encoder.blocks.0.mlp.lin1.weight"
    assert torch.equal(ours[name], weights[name].float())
    assert ours["image_encoder.pos_embed"].shape[1] == 4  # carried over to the smaller input
    other = "mask_decoder.transformer.layers.0.mlp.lin1.weight"
    assert ours[other].shape != weights[other].shape
    assert torch.equal(state.average[f"sam.{name}"], weights[name].float())


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(BadInputError, match="holds no weights to begin with"):
        list(pretrain(CONFIG, out=tmp_path / "run", known=broken))


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "weights.safetensors"
    save_file({"conv.weight": torch.zeros(3)}, other)
    with pytest.raises(BadInputError, match="holds no weights of this model"):
        list(pretrain(CONFIG, out=tmp_path / "run", known=other))
    with pytest.raises(BadInputError, match="holds no weights to begin with"):
        list(pretrain(CONFIG, out=tmp_path / "run", known=tmp_path / "missing"))


def test_a_line_a_pixel_wide_is_not_lost_at_low_resolution() -> None:
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[0, :, 5] = True
    masks[1, 4:20, 5:20] = True
    line, block = low_resolution(masks, (16, 16))
    assert line.sum() == 16
    assert line[:, 2].eq(1).all()
    assert block.sum() == 16 * 15 / 4
    assert block[5, 2] == 0.5  # a pixel that the block covers by half


def test_the_decoder_learns_on_masks_as_it_makes_them_and_the_judge_on_masks_as_they_are_shown() -> None:
    state = fresh_state(TINY, 0.05, torch.device("cpu"))
    for part, as_decoded in (("all", True), ("judge", False)):
        state.choose(part)
        assert state.model.as_decoded is as_decoded
    assert not build_pocket(TINY).as_decoded


def test_the_judge_learns_and_leaves_every_mask_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    known = build_pocket(TINY)
    export_pocket(known, tmp_path / "known.safetensors")
    before = load_file(tmp_path / "known.safetensors")
    config = replace(CONFIG, stages=(Stage(64, 2, 12),), lr=1e-2, part="judge", average_decay=0.0)
    steps = list(pretrain(config, out=tmp_path, known=tmp_path / "known.safetensors"))
    after = load_file(tmp_path / WEIGHTS)
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    judges = {name for name in after if ".judge." in name}
    assert moved
    assert moved <= judges
    assert any(name.endswith("decide.5.weight") for name in moved)
    heads = [report.losses["iou_head"] for report in steps if isinstance(report, Step)]
    assert min(heads[6:]) < max(heads[:6])


def test_the_gate_of_lines_learns_and_leaves_everything_else_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    export_pocket(build_pocket(TINY), tmp_path / "known.safetensors")
    before = load_file(tmp_path / "known.safetensors")
    config = replace(CONFIG, stages=(Stage(64, 2, 3),))
    run = fit_lines(config, out=tmp_path / "new", known=tmp_path / "known.safetensors")
    assert list(run) == [(1, 3), (2, 3), (3, 3)]
    after = load_file(tmp_path / "new" / WEIGHTS)
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(".lines.gate." in name for name in moved)
