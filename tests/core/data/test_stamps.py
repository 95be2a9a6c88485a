"""How shapes meet in instance maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from infosam.data.scenes.shapes import Pieces
from infosam.data.scenes.stamps import Stamps, compose

SIZE = 40
HARD = torch.tensor([1e-3])


def disks(centres: list[tuple[float, float]], radii: list[float], objects: list[int]) -> Stamps:
    radius = torch.tensor(radii)

    def depth(which: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        return radius[which, None, None] - torch.hypot(rows, columns)

    count = len(radii)
    scene = torch.zeros(count, dtype=torch.long)
    return Stamps(scene, torch.tensor(objects), torch.tensor(centres, dtype=torch.float32), radius + 4, depth)


def disk(row: float, column: float, radius: float) -> Tensor:
    axis = torch.arange(SIZE, dtype=torch.float32)
    return torch.hypot(axis[:, None] - row, axis[None, :] - column) < radius


@pytest.mark.parametrize("radius", [3.0, 7.0, 15.0, 60.0])
def test_a_shape_of_any_size_covers_exactly_its_pixels(radius: float) -> None:
    layer = compose([disks([(12.3, 25.0)], [radius], [0])], (1, SIZE), HARD)
    assert torch.equal(layer.ids[0] == 0, disk(12.3, 25.0, radius))


def test_of_two_objects_the_later_lies_on_top() -> None:
    layer = compose([disks([(15, 15), (15, 22)], [8, 8], [0, 1])], (1, SIZE), HARD)
    assert torch.equal(layer.ids[0] == 1, disk(15, 22, 8))
    assert torch.equal(layer.ids[0] == 0, disk(15, 15, 8) & ~disk(15, 22, 8))


def test_the_shapes_of_one_object_unite_and_the_deeper_one_says_how_deep() -> None:
    layer = compose([disks([(15, 15)], [8], [0]), disks([(15, 25)], [4], [0])], (1, SIZE), HARD)
    assert torch.equal(layer.ids[0] == 0, disk(15, 15, 8) | disk(15, 25, 4))
    assert float(layer.depth[0, 15, 15]) == 8
    assert float(layer.depth[0, 15, 25]) == 4
    assert float(layer.depth[0, 15, 21]) == pytest.approx(2)


def test_a_part_stays_within_its_whole() -> None:
    whole = compose([disks([(15, 15), (15, 30)], [8, 8], [0, 1])], (1, SIZE), HARD)
    inside = torch.tensor([-1, -1, 0])  # object 2 is a part of object 0
    part = compose([disks([(15, 22)], [6], [2])], (1, SIZE), HARD, (whole.ids, inside))
    assert torch.equal(part.ids[0] == 2, disk(15, 22, 6) & (whole.ids[0] == 0))


def test_soft_edges_reach_beyond_the_mask_by_half_their_width() -> None:
    layer = compose([disks([(20, 20)], [8], [0])], (1, SIZE), torch.tensor([4.0]))
    assert torch.equal(layer.ids[0] == 0, disk(20, 20, 8))
    assert torch.equal(layer.halo[0] == 0, disk(20, 20, 10))


def test_scenes_of_a_batch_do_not_mix() -> None:
    both = disks([(10, 10), (30, 30)], [5, 5], [0, 1])
    stamps = Stamps(torch.tensor([0, 1]), both.object, both.centre, both.reach, both.depth)
    layer = compose([stamps], (2, SIZE), HARD.expand(2))
    assert torch.equal(layer.ids[0] >= 0, disk(10, 10, 5))
    assert torch.equal(layer.ids[1] >= 0, disk(30, 30, 5))


def test_a_piece_of_a_line_is_as_wide_as_it_says_and_has_round_ends() -> None:
    piece = Pieces(half=torch.tensor([[0.0, 5.0]]), width=torch.tensor([4.0]))
    rows, columns = torch.tensor([[[0.0], [1.0], [2.5]]]), torch.tensor([[[0.0, 5.0, 6.0, 8.0]]])
    depth = piece.depth()(torch.tensor([0]), rows, columns)[0]
    assert depth[0].tolist() == [2.0, 2.0, 1.0, -1.0]
    assert float(depth[1, 1]) == 1.0
    assert float(depth[2, 0]) == -0.5
