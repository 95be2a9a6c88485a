"""How the pocket model draws thin lines in a box."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from infosam.models.pocket.build import build_pocket
from infosam.models.pocket.lines import LineExpert, line_maps, ridges
from infosam.models.pocket.model import PocketModel
from infosam.models.pocket.weights import load_pocket
from infosam.training.pretrain_lines import Answers, fit_gate, gate_loss, watched
from infosam.types import PromptBatch
from tests.core.conftest import SIDE, TINY

INDEX = torch.zeros(1, dtype=torch.long)
BOX = torch.tensor([[8.0, 8.0, 56.0, 56.0]])


def picture(value: float, slope: float = 0.0) -> torch.Tensor:
    """A diagonal line two pixels wide on a ground that may rise, (1, 3, S, S)."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    line = ((rows - columns).abs() <= 1).float()
    return (slope * columns + value * line).expand(1, 3, -1, -1)


def on_the_line() -> torch.Tensor:
    return torch.eye(SIDE // 2, dtype=torch.bool)


@pytest.mark.parametrize(("value", "channel"), [(-1.0, 0), (1.0, 1)])
def test_ridges_tell_dark_lines_from_bright_ones_on_any_slope(value: float, channel: int) -> None:
    found = ridges(picture(value, slope=0.05))[0]
    middle = found[:, 4:-4, 4:-4]
    place = on_the_line()[4:-4, 4:-4]
    assert middle[channel][place].min() > 4 * middle[1 - channel][place].max()
    away = ~torch.nn.functional.max_pool2d(place[None].float(), 9, stride=1, padding=4)[0].bool()
    assert middle[:, away].max() < 0.05 * middle[channel][place].min()


def test_flat_pictures_and_slopes_have_no_ridges() -> None:
    assert ridges(picture(0.0)).max() < 1e-5
    assert ridges(picture(0.0, slope=0.1))[:, :, 4:-4, 4:-4].max() < 1e-4


def test_lines_turn_with_the_picture() -> None:
    pixels = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ridges(pixels.rot90(1, (2, 3))), ridges(pixels).rot90(1, (2, 3)))


def test_the_grey_of_the_picture_lies_beside_its_ridges() -> None:
    pixels = picture(-1.0, slope=0.05)
    maps = line_maps(pixels)
    assert torch.equal(maps[:, :2], ridges(pixels))
    torch.testing.assert_close(maps[0, 2], pixels[0, 0].view(SIDE // 2, 2, SIDE // 2, 2).mean(dim=(1, 3)))


@pytest.fixture(scope="module")
def model() -> PocketModel:
    torch.manual_seed(0)
    return build_pocket(TINY).eval().requires_grad_(False)


def expert(model: PocketModel) -> LineExpert:
    module = model.sam.mask_decoder.lines
    assert isinstance(module, LineExpert)
    return module


@pytest.mark.parametrize(("value", "polarity"), [(-1.0, 0), (1.0, 1)])
def test_lines_in_a_box_are_drawn_and_at_first_hardly_believed(
    model: PocketModel, value: float, polarity: int
) -> None:
    found = model.encode(picture(value)).high_res[2]
    with torch.no_grad():
        lines, shares = expert(model)(found, BOX, torch.zeros(1, 1, 32, 32), SIDE)
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[4:28, 4:28] = True
    assert (lines[0][:, ~inside] == -4).all()
    assert lines.abs().max() <= 4
    mask, truth = lines[0, polarity] > 0, on_the_line() & inside
    assert (mask & truth).sum() > 0.8 * truth.sum()
    assert (mask & ~torch.nn.functional.max_pool2d(truth[None].float(), 3, 1, 1)[0].bool()).sum() == 0
    assert shares.shape == (1, 2)
    assert (torch.sigmoid(shares) < 0.02).all()


CROSSING, SEPARATED = slice(7, 9), 14  # where the gate finds them


def evidence(pixels: torch.Tensor, mask: torch.Tensor, box: torch.Tensor = BOX) -> torch.Tensor:
    """What the gate is shown of a picture of SIDE pixels in a box, beside a mask (h, w) of logits: (2, E)."""
    module = LineExpert()
    with watched(module.gate) as calls, torch.no_grad():
        module(line_maps(pixels), box, mask[None, None], SIDE)
    (((shown,), _),) = calls
    return shown[0]


def slowest_crossing(standing: torch.Tensor) -> float:
    """The best mean over all paths from the first to the last column of (h, w), one by one."""
    height, width = standing.shape
    paths = [(row, [float(standing[row, 0])]) for row in range(height)]
    for column in range(1, width):
        paths = [
            (row, [*values, float(standing[row, column])])
            for last, values in paths
            for row in range(max(0, last - 1), min(height, last + 2))
        ]
    return max(sum(values) for _, values in paths) / width


def test_a_crossing_is_the_best_of_all_paths() -> None:
    box = torch.tensor([[4.0, 6.0, 20.0, 20.0]])  # 8 x 7 pixels of the maps
    pixels = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    standing = line_maps(pixels)[0, :2, 2:10, 3:10]
    centred = standing - standing.mean(dim=(1, 2), keepdim=True)
    standing = (centred / (centred.square().mean(dim=(1, 2), keepdim=True).sqrt() + 1e-3)).clamp(-6, 6)
    shown = evidence(pixels, torch.zeros(SIDE // 2, SIDE // 2), box)[:, CROSSING] + 1.5
    for polarity in range(2):
        both = [slowest_crossing(standing[polarity]), slowest_crossing(standing[polarity].T)]
        assert shown[polarity].tolist() == pytest.approx([max(both), min(both)], abs=1e-4)


def test_a_line_crosses_its_box_and_texture_does_not() -> None:
    noise = 0.3 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros(SIDE // 2, SIDE // 2)
    crack, texture = (evidence(pixels, nothing)[0, CROSSING] for pixels in (picture(-1.0) + noise, noise))
    assert crack.min() > texture.max() + 0.5


def test_a_mask_that_parts_bright_from_dark_is_told_from_one_that_does_not() -> None:
    disk = torch.zeros(SIDE, SIDE)
    disk[20:44, 20:44] = 1.0
    pixels = disk.expand(1, 3, -1, -1)
    fitting = 16 * disk[::2, ::2] - 8
    share, beside = (
        float(evidence(pixels, mask)[0, SEPARATED]) / 4 for mask in (fitting, fitting.roll(12, dims=1))
    )
    assert 0.95 < share <= 1
    assert beside < 0.5


class Believed:
    """While it lasts, lines of one polarity are believed in, whatever the picture."""

    def __init__(self, model: PocketModel, polarity: int) -> None:
        self.gate, self.polarity = expert(model).gate, polarity

    def __enter__(self) -> None:
        def believe(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
            sure = torch.full_like(output, -30.0)
            sure[..., self.polarity, :] = 30.0
            return sure

        self.handle = self.gate.register_forward_hook(believe)

    def __exit__(self, *_: object) -> None:
        self.handle.remove()


def test_believed_lines_are_the_mask_and_clicks_still_count(model: PocketModel) -> None:
    embedding = model.encode(picture(-1.0))
    boxed = PromptBatch(INDEX, boxes=BOX)
    clicked = replace(
        boxed, points=torch.tensor([[[31.0, 31.0]]]), labels=torch.zeros(1, 1, dtype=torch.long)
    )
    alone = model.decode(embedding, boxed).logits
    with Believed(model, 0):
        lines, corrected = (model.decode(embedding, prompts).logits for prompts in (boxed, clicked))
    assert torch.equal(lines[:, 1:], alone[:, 1:])  # the candidates stay
    assert 16 <= (lines[0, 0] > 0)[8:24, 8:24].sum() < 3 * 16
    assert (corrected[0, 0] > 0).sum() < (lines[0, 0] > 0).sum()
    assert corrected[0, 0, 15, 15] < lines[0, 0, 15, 15]


def test_clicks_without_a_box_know_nothing_of_lines(model: PocketModel) -> None:
    embedding = model.encode(picture(-1.0))
    click = PromptBatch(
        INDEX, points=torch.tensor([[[31.0, 31.0]]]), labels=torch.ones(1, 1, dtype=torch.long)
    )
    before = model.decode(embedding, click)
    with Believed(model, 0):
        after = model.decode(embedding, click)
    assert torch.equal(before.logits, after.logits)


@pytest.mark.parametrize("box", [(3.0, 3.0, 3.1, 3.1), (0.0, 0.0, 64.0, 64.0), (60.0, 1.0, 64.0, 2.0)])
def test_boxes_of_any_size_are_answered(model: PocketModel, box: tuple[float, ...]) -> None:
    for pixels in (picture(-1.0), picture(0.0)):
        output = model.decode(model.encode(pixels), PromptBatch(INDEX, boxes=torch.tensor([box])))
        assert torch.isfinite(output.logits).all()


def test_the_gate_learns_what_is_better() -> None:
    no, yes = torch.tensor([[-2.0, -2.0]]), torch.tensor([[2.0, -2.0]])
    of_line, of_block = torch.tensor([[0.1, 0.6, 0.0]]), torch.tensor([[0.6, 0.1, 0.0]])
    assert gate_loss(yes, of_line) < gate_loss(no, of_line)
    assert gate_loss(no, of_block) < gate_loss(yes, of_block)
    assert gate_loss(yes, torch.full((1, 3), 0.3)) == 0  # nothing to choose


def test_a_gate_is_fitted_to_evidence_of_any_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(300, 2, 15, generator=generator) * 50 + 200
    is_line = seen[:, :, 3] > 200
    score = torch.cat([torch.full((300, 1), 0.4), 0.8 * is_line], dim=1)
    torch.manual_seed(0)
    gate = LineExpert().gate
    fit_gate(gate, Answers(seen, score))
    chosen = torch.nn.functional.pad(gate(seen).squeeze(-1), (1, 0)).argmax(dim=1)
    right = score.gather(1, chosen[:, None])[:, 0] == score.amax(dim=1)
    assert right.float().mean() > 0.95
    assert not any(parameter.requires_grad for parameter in gate.parameters())


def test_the_shipped_gate_tells_a_crack_from_a_disk() -> None:
    model = load_pocket()
    side = model.image_size
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    noise = 0.1 * torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    crack = -1.5 * ((rows - columns - 12 * torch.sin(rows / 9)).abs() <= 1).float() + noise
    disk = -1.5 * (torch.hypot(rows - 128.0, columns - 128.0) < 60).float() + noise
    box = PromptBatch(INDEX, boxes=torch.tensor([[68.0, 68.0, 188.0, 188.0]]))
    for pixels, is_line in ((crack, True), (disk, False)):
        with watched(model.sam.mask_decoder.lines) as calls:
            model.decode(model.encode(pixels[None]), box)
        ((_, (_, shares)),) = calls
        assert (shares.max() > 0) == is_line
