"""Every sample opens as an image that prompts can be given on."""

import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest

from infosam.types import BadInputError
from napari_infosam import samples
from napari_infosam.geometry import shown_image

MANIFEST = PluginManifest.from_distribution("napari-infosam")
KEYS = [sample.key for sample in MANIFEST.contributions.sample_data or ()]


@pytest.mark.parametrize("key", KEYS)
def test_a_sample_opens_as_an_image(key: str) -> None:
    viewer = ViewerModel()
    for data, options, kind in getattr(samples, key)():
        assert kind == "image"
        layer = viewer.add_image(data, **options)
        shown = shown_image(layer, viewer.dims)
        assert shown.name.startswith(key)
        assert min(shown.shape) > 100


def test_the_packs_have_a_mask_for_every_image() -> None:
    for pack in ("leaf_lesions", "road_net"):
        folder = samples.sample_folder(pack)
        images = {path.stem for path in (folder / "images").iterdir()}
        assert images == {path.stem for path in (folder / "masks").iterdir()}
        assert len(images) > 10


def test_an_unknown_pack_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="leaf_lesions, road_net"):
        samples.sample_folder("moon_craters")
