"""Names, facts, building and loading of models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from infosam.models import registry
from infosam.models.catalogue import CATALOGUE
from infosam.models.download import sha256_of
from infosam.models.pocket.build import build_pocket
from infosam.models.sam2.build import build_sam2
from infosam.types import BadInputError, InfoSAMError

OFFICIAL = {
    "sam_vit_b": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    "sam2.1_hiera_base_plus": "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
}


def test_all_models_are_known_the_shipped_one_first() -> None:
    assert registry.names() == [
        "sam_pocket",
        "sam_vit_b",
        "sam_vit_l",
        "sam_vit_h",
        "sam2.1_hiera_tiny",
        "sam2.1_hiera_small",
        "sam2.1_hiera_base_plus",
        "sam2.1_hiera_large",
    ]


def test_infos_tell_where_a_model_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFOSAM_CACHE", str(tmp_path))
    (tmp_path / "sam_vit_b_01ec64.pth").touch()
    infos = {info.name: info for info in registry.infos()}
    assert {name: infos[name].sha256 for name in OFFICIAL} == OFFICIAL
    assert infos["sam_vit_b"].on_disk
    assert not infos["sam_vit_l"].on_disk
    assert infos["sam_pocket"].on_disk
    assert infos["sam_pocket"].url is None
    assert all(info.licence for info in infos.values())


def test_listing_models_imports_no_torch() -> None:
    code = (
        "import sys; from infosam.models import registry; registry.infos(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="'sam_vit_b' is registered already"):
        registry.register(CATALOGUE[1])


@pytest.mark.parametrize("call", [registry.build, registry.load])
def test_an_unknown_name_lists_the_known_ones(call: object) -> None:
    with pytest.raises(BadInputError, match=r"'sam_vit_x'.*sam_pocket.*sam2\.1_hiera_large"):
        call("sam_vit_x")  # type: ignore[operator]


def test_built_models_are_frozen() -> None:
    model = registry.build("sam_pocket")
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    info = registry.infos()[0]
    assert sum(parameter.numel() for parameter in model.parameters()) == info.parameters


def test_a_checkpoint_of_ones_own_is_loaded_and_its_hash_recorded(tmp_path: Path) -> None:
    state = build_pocket().network.state_dict()
    torch.save(state, tmp_path / "own.pt")
    save_file(state, tmp_path / "own.safetensors")
    pickled = registry.load("sam_pocket", checkpoint=tmp_path / "own.pt", device="cpu")
    safe = registry.load("sam_pocket", checkpoint=str(tmp_path / "own.safetensors"), device="cpu")
    for key, value in state.items():
        assert torch.equal(pickled.network.state_dict()[key], value)
        assert torch.equal(safe.network.state_dict()[key], value)
    assert pickled.sha256 == sha256_of(tmp_path / "own.pt")
    assert safe.fingerprint != pickled.fingerprint


def test_a_state_dict_of_our_own_model_is_a_checkpoint_too(tmp_path: Path) -> None:
    model = registry.build("sam_pocket")
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    loaded = registry.load("sam_pocket", checkpoint=tmp_path / "model.safetensors", device="cpu")
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_the_shipped_model_is_loaded_frozen_and_on_disk() -> None:
    model = registry.load("sam_pocket", device="cpu")
    assert model.name == "sam_pocket"
    assert model.sha256 is not None
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert 0 < registry.infos()[0].bytes < 12_000_000


def test_fingerprints_tell_models_and_adapters_apart() -> None:
    first, second = build_pocket(), build_pocket()
    assert first.fingerprint != second.fingerprint  # both random: nothing says that they are equal
    first.sha256 = second.sha256 = "ab" * 32
    assert first.fingerprint == second.fingerprint
    first.adapter_id = "yesterday"
    assert first.fingerprint != second.fingerprint


def test_without_network_the_official_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFOSAM_CACHE", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # nothing listens there
    with pytest.raises(InfoSAMError) as caught:
        registry.load("sam_vit_b", device="cpu")
    for part in ("segment_anything/sam_vit_b_01ec64.pth", OFFICIAL["sam_vit_b"], str(tmp_path)):
        assert part in str(caught.value)


def test_a_wrong_file_in_the_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFOSAM_CACHE", str(tmp_path))
    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"half of it")
    with pytest.raises(InfoSAMError, match=f"is truncated .10 of about 375,000,000.*{OFFICIAL['sam_vit_b']}"):
        registry.load("sam_vit_b", device="cpu")


class _Fake:
    """Pickles to something else than tensors."""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(b"<html>moved</html>", "truncated", id="html"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_corrupt_file_is_one_clear_error(tmp_path: Path, content: bytes, reason: str, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=rf"bad{suffix} \({len(content)} bytes\).*{reason}"):
        registry.load("sam_pocket", checkpoint=path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_one_clear_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    state = build_pocket().network.state_dict()
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInputError, match=r"cut.*truncated"):
        registry.load("sam_pocket", checkpoint=path)


def test_a_pickle_that_holds_more_than_tensors_is_not_opened(tmp_path: Path) -> None:
    torch.save({"model": _Fake()}, tmp_path / "unsafe.pth")
    with pytest.raises(BadInputError, match="more than tensors"):
        registry.load("sam_pocket", checkpoint=tmp_path / "unsafe.pth")


def test_tensors_without_names_are_no_checkpoint(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(BadInputError, match="no checkpoint"):
        registry.load("sam_pocket", checkpoint=tmp_path / "list.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no checkpoint file .*nowhere\.pth"):
        registry.load("sam_pocket", checkpoint=tmp_path / "nowhere.pth")


def test_a_file_of_another_family_is_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"model": build_sam2("sam2.1_hiera_tiny", "tiny").network.state_dict()}, path)
    with pytest.raises(BadInputError, match=r"not fit sam2\.1_hiera_small.*like SAM 2\.1 Hiera tiny"):
        registry.load("sam2.1_hiera_small", checkpoint=path)
    with pytest.raises(BadInputError, match=r"not fit sam_pocket.*like SAM 2\.1 Hiera tiny"):
        registry.load("sam_pocket", checkpoint=path)


@pytest.mark.parametrize(("width", "known"), [(768, "SAM ViT-B"), (1024, "SAM ViT-L"), (1280, "SAM ViT-H")])
def test_sam_sizes_are_told_apart(tmp_path: Path, width: int, known: str) -> None:
    """A handful of tensors is enough to see what a file was meant for."""
    path = tmp_path / "sam.pth"
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, width)}, path)
    with pytest.raises(BadInputError, match=f"looks like {known}"):
        registry.load("sam2.1_hiera_tiny", checkpoint=path)


def test_one_tensor_of_another_shape_is_quoted(tmp_path: Path) -> None:
    state = build_pocket().network.state_dict()
    state["mask_decoder.iou_token.weight"] = torch.zeros(2, 3)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(BadInputError, match=r"1 of another shape \(mask_decoder\.iou_token.* \(2, 3\)"):
        registry.load("sam_pocket", checkpoint=tmp_path / "odd.pth")
