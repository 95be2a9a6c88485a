"""Draws the two generated domain packs of sample_data/: `leaf_lesions` and `road_net`.

    python benchmarks/make_sample_packs.py [--out sample_data] [--seed 7]

Both are independent of the scenes that sam_pocket was trained on. Each follows a convention that a general
model cannot know and an adapted one can learn: a lesion reaches to the outer edge of its yellow halo, not to
the edge of its dark core; a road net is one object, and rivers and field paths are not part of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.draw import polygon2mask

Image = NDArray[np.float64]  # (H, W, 3) in [0, 1]
Labels = NDArray[np.uint8]  # (H, W), 0 = background
SIZE = 320
COUNT = 16


def noise(rng: np.random.Generator, sigma: float) -> NDArray[np.float64]:
    """(SIZE, SIZE) smooth noise with zero mean and unit deviation, features of about `sigma` pixels."""
    field = ndi.gaussian_filter(rng.standard_normal((SIZE, SIZE)), sigma, mode="wrap")
    return (field - field.mean()) / field.std()


def blend(image: Image, alpha: NDArray[np.float64], colour: NDArray[np.float64] | Image) -> None:
    """Paints `colour` over `image` in place, with opacity alpha (H, W)."""
    image += alpha[..., None] * (colour - image)


def wobbly_disc(
    rng: np.random.Generator, centre: NDArray[np.float64], radius: float, wobble: float
) -> NDArray[np.float64]:
    """(SIZE, SIZE) distance in pixels to an irregular closed outline, negative inside."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    outline = np.full_like(angle, radius)
    for frequency in range(2, 7):
        outline += (
            radius
            * wobble
            / frequency
            * rng.standard_normal()
            * np.cos(frequency * angle + rng.uniform(0, 2 * np.pi))
        )
    distance: NDArray[np.float64] = np.hypot(rows - centre[0], columns - centre[1]) - outline
    return distance


def sigmoid_edge(distance: NDArray[np.float64], softness: float) -> NDArray[np.float64]:
    """Opacity of a shape from its signed distance: 1 inside, 0 outside, `softness` pixels wide."""
    return 1 / (1 + np.exp(np.clip(distance / softness, -30, 30)))


def draw_leaf(rng: np.random.Generator) -> tuple[Image, NDArray[np.bool_]]:
    """A leaf on soil: the picture and where the blade is."""
    soil = np.array([0.42, 0.34, 0.27]) * rng.uniform(0.7, 1.2)
    image = soil + 0.05 * noise(rng, 1.0)[..., None] + 0.06 * noise(rng, 9.0)[..., None]
    t = np.linspace(0, np.pi, 80)
    length, width = rng.uniform(0.46, 0.56) * SIZE, rng.uniform(0.26, 0.36) * SIZE
    side = width * np.sin(t) ** rng.uniform(0.7, 1.0)
    along = -length * np.cos(t)
    across = np.concatenate([side, -side[::-1]])
    along = np.concatenate([along, along[::-1]])
    turn = rng.uniform(0, np.pi)
    axis, normal = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    centre = np.array([SIZE / 2, SIZE / 2]) + rng.uniform(-14, 14, 2)
    blade = polygon2mask((SIZE, SIZE), centre + along[:, None] * axis + across[:, None] * normal)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    u = (rows - centre[0]) * axis[0] + (columns - centre[1]) * axis[1]
    v = (rows - centre[0]) * normal[0] + (columns - centre[1]) * normal[1]
    green = np.array([0.23, 0.45, 0.17]) * rng.uniform(0.8, 1.25) + rng.uniform(-0.04, 0.04, 3)
    surface = green + 0.035 * noise(rng, 2.0)[..., None] + 0.05 * noise(rng, 22.0)[..., None]
    veins = np.exp(-((v / 2.2) ** 2))
    spacing = rng.uniform(24, 34)
    lateral = np.abs((u - np.abs(v) * 0.8 + 4 * noise(rng, 18.0)) % spacing - spacing / 2)
    veins = np.maximum(veins, 0.6 * np.exp(-((lateral / 1.2) ** 2)))
    surface += veins[..., None] * np.array([0.14, 0.15, 0.10])
    alpha = sigmoid_edge(ndi.distance_transform_edt(~blade) - ndi.distance_transform_edt(blade), 0.7)
    blend(image, alpha, surface)
    return image, blade


def leaf_lesions(rng: np.random.Generator) -> tuple[Image, Labels]:
    """A leaf with 3 to 7 lesions; each label covers a lesion's core and its halo."""
    image, blade = draw_leaf(rng)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    room = ndi.distance_transform_edt(blade)
    for _ in range(int(rng.integers(4, 8))):
        radius = rng.uniform(9, 24)
        free = np.argwhere((room > radius * 0.8) & (ndi.distance_transform_edt(labels == 0) > radius + 5))
        if not len(free):
            continue
        centre = free[rng.integers(len(free))].astype(float)
        outer = wobbly_disc(rng, centre, radius, 0.22)
        inner = outer + radius * rng.uniform(0.35, 0.55) + 1.5 * noise(rng, 4.0)
        halo = np.array([0.62, 0.58, 0.20]) * rng.uniform(0.8, 1.1) + 0.03 * noise(rng, 2.0)[..., None]
        core = np.array([0.34, 0.20, 0.10]) * rng.uniform(0.7, 1.3) + 0.05 * noise(rng, 1.5)[..., None]
        blend(image, 0.75 * sigmoid_edge(outer, 1.4) * blade, halo)
        blend(image, 0.95 * sigmoid_edge(inner, 1.0) * blade, core)
        labels[(outer < 0) & blade] = labels.max() + 1
    for _ in range(int(rng.integers(2, 6))):  # glints and dust: bright spots that are no lesion
        centre = rng.uniform(0, SIZE, 2)
        blend(
            image, 0.6 * sigmoid_edge(wobbly_disc(rng, centre, rng.uniform(3, 7), 0.2), 1.5), np.full(3, 0.85)
        )
    return image * (1 + 0.08 * noise(rng, 60.0))[..., None], labels


def smooth_path(
    rng: np.random.Generator, start: NDArray[np.float64], end: NDArray[np.float64], bend: float
) -> NDArray[np.float64]:
    """(400, 2) points from start to end along a gently winding line."""
    t = np.linspace(0, 1, 400)[:, None]
    normal = np.array([[-(end - start)[1], (end - start)[0]]])
    wave = sum(rng.normal(0, bend / k) * np.sin(np.pi * k * t) for k in range(1, 4))
    return start + (end - start) * t + normal * wave


def distance_to(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """(SIZE, SIZE) distance in pixels to the nearest point of a path."""
    off = np.ones((SIZE, SIZE), bool)
    inside = np.round(path).astype(int)
    inside = inside[((inside >= 0) & (inside < SIZE)).all(1)]
    off[inside[:, 0], inside[:, 1]] = False
    distance: NDArray[np.float64] = ndi.distance_transform_edt(off)
    return distance


def border_point(rng: np.random.Generator, edge: int) -> NDArray[np.float64]:
    along = rng.uniform(0.15, 0.85) * SIZE
    return np.array([(-2.0, along), (along, SIZE + 2.0), (SIZE + 2.0, along), (along, -2.0)][edge % 4])


def draw_fields(rng: np.random.Generator) -> Image:
    """Farmland from above: fields with furrows, some with a stream, trees and houses."""
    seeds = rng.uniform(0, SIZE, (int(rng.integers(9, 16)), 2))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    field = np.argmin([np.hypot(rows - r, columns - c) for r, c in seeds], axis=0)
    image = np.zeros((SIZE, SIZE, 3))
    for index in range(len(seeds)):
        green = np.array([0.36, 0.43, 0.24]), np.array([0.58, 0.51, 0.35]), np.array([0.27, 0.37, 0.21])
        colour = green[rng.integers(3)] * rng.uniform(0.8, 1.2)
        angle, period = rng.uniform(0, np.pi), rng.uniform(4, 9)
        furrows = 0.03 * np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / period)
        image[field == index] = (colour + furrows[..., None])[field == index]
    image += 0.03 * noise(rng, 1.0)[..., None] + 0.04 * noise(rng, 12.0)[..., None]
    if rng.random() < 0.7:
        edge = int(rng.integers(4))
        river = distance_to(smooth_path(rng, border_point(rng, edge), border_point(rng, edge + 2), 0.25))
        blend(image, sigmoid_edge(river - rng.uniform(4, 8), 1.0), np.array([0.20, 0.31, 0.37]))
    for _ in range(int(rng.integers(10, 30))):
        tree = wobbly_disc(rng, rng.uniform(0, SIZE, 2), rng.uniform(3, 8), 0.25)
        blend(
            image, sigmoid_edge(tree, 0.8), np.array([0.14, 0.24, 0.11]) + 0.04 * noise(rng, 1.5)[..., None]
        )
    for _ in range(int(rng.integers(4, 12))):
        centre, turn = rng.uniform(10, SIZE - 10, 2), rng.uniform(0, np.pi)
        a = np.abs((rows - centre[0]) * np.sin(turn) + (columns - centre[1]) * np.cos(turn)) - rng.uniform(
            4, 9
        )
        b = np.abs((rows - centre[0]) * np.cos(turn) - (columns - centre[1]) * np.sin(turn)) - rng.uniform(
            3, 6
        )
        roof = (np.array([0.55, 0.31, 0.25]), np.array([0.66, 0.65, 0.63]))[rng.integers(2)]
        blend(image, sigmoid_edge(np.maximum(a, b), 0.5), roof)
    return image


def road_net(rng: np.random.Generator) -> tuple[Image, Labels]:
    """Farmland crossed by a net of roads; one label for the whole net."""
    image = draw_fields(rng)
    edge = int(rng.integers(4))
    main = smooth_path(rng, border_point(rng, edge), border_point(rng, edge + 2), 0.12)
    roads = [(main, rng.uniform(3.4, 4.8))]
    for _ in range(int(rng.integers(2, 5))):
        start = roads[rng.integers(len(roads))][0][rng.integers(80, 320)]
        roads.append(
            (smooth_path(rng, start, border_point(rng, int(rng.integers(4))), 0.10), rng.uniform(2.2, 3.4))
        )
    labels = np.zeros((SIZE, SIZE), np.uint8)
    asphalt = np.array([0.52, 0.51, 0.50]) * rng.uniform(0.75, 1.25) + 0.02 * noise(rng, 1.5)[..., None]
    for path, half_width in reversed(roads):
        distance = distance_to(path)
        blend(image, 0.93 * sigmoid_edge(distance - half_width, 0.6), asphalt)
        labels[distance <= half_width] = 1
    return image * (1 + 0.06 * noise(rng, 70.0))[..., None], labels


def write_pack(folder: Path, draw: Callable[[np.random.Generator], tuple[Image, Labels]], seed: int) -> None:
    """Draws COUNT images with their masks into folder/images and folder/masks."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index in range(COUNT):
        rng = np.random.default_rng([seed, index])
        image, labels = draw(rng)
        image = ndi.gaussian_filter(image, (0.6, 0.6, 0)) + rng.normal(0, 0.012, image.shape)
        pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
        iio.imwrite(folder / "images" / f"{folder.name}_{index:02d}.jpg", pixels, quality=90)
        iio.imwrite(folder / "masks" / f"{folder.name}_{index:02d}.png", labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("sample_data"))
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    write_pack(arguments.out / "leaf_lesions", leaf_lesions, arguments.seed)
    write_pack(arguments.out / "road_net", road_net, arguments.seed + 1)


if __name__ == "__main__":
    main()
