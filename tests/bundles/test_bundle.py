import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_cardioxai.bundles import DEFAULT_SEGMENTER
from napari_cardioxai.bundles.bundle import (
    CARD,
    CONCEPTS,
    EXTRAS,
    WEIGHTS,
    available_bundles,
    available_cards,
    find_bundle,
    load_card,
    load_network,
    save_bundle,
)
from napari_cardioxai.bundles.card import SegmenterCard
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.segmentation import SEGMENTERS


def a_card(**changes) -> SegmenterCard:
    values = {
        "name": "small",
        "title": "a small network",
        "kind": "segmenter",
        "network": "unet",
        "network_params": {"classes": 2, "channels": [4, 8], "residual_units": 1},
        "structures": {1: 1},
        "pixel_mm": 1.37,
        "region": 160,
        "data": "none",
        "licence": "CC0 1.0",
        "split": "none",
        "results": {},
        "command": "cardioxai train segmenter",
    }
    return SegmenterCard(**{**values, **changes})


@pytest.fixture
def bundle(tmp_path):
    card = a_card()
    torch.manual_seed(0)
    network = SEGMENTERS["unet"](**card.network_params)
    save_bundle(tmp_path / "small", card, network.state_dict())
    return tmp_path / "small"


def test_a_saved_bundle_gives_the_same_outputs_when_loaded(bundle):
    torch.manual_seed(0)
    original = SEGMENTERS["unet"](**a_card().network_params).eval()
    card, loaded = load_network(bundle)
    x = torch.randn(1, 1, 32, 32)
    assert card == a_card()
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), original(x))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl", ".h5", ".onnx"])
def test_formats_that_can_run_code_are_refused_by_name(tmp_path, suffix):
    file = tmp_path / f"model{suffix}"
    file.write_bytes(b"")
    with pytest.raises(BundleError, match="refused"):
        load_card(file)


def test_a_folder_with_pickled_weights_says_that_only_safetensors_are_read(bundle):
    (bundle / WEIGHTS).rename(bundle / "weights.pth")
    with pytest.raises(BundleError, match=r"weights\.pth is refused"):
        load_card(bundle)


def test_weights_of_another_network_are_told_from_the_card(bundle):
    values = json.loads((bundle / CARD).read_text())
    values["network_params"]["channels"] = [4, 16]
    (bundle / CARD).write_text(json.dumps(values))
    with pytest.raises(BundleError, match="does not fit its card"):
        load_network(bundle)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda v: v.pop("licence"), "lacks licence"),
        (lambda v: v.update(colour="red"), "does not know: colour"),
        (lambda v: v.update(network="resnet9000"), "resnet9000"),
        (lambda v: v.update(structures=[1]), "structures"),
    ],
)
def test_a_wrong_card_is_refused_with_what_is_wrong(bundle, change, complaint):
    values = json.loads((bundle / CARD).read_text())
    change(values)
    (bundle / CARD).write_text(json.dumps(values))
    with pytest.raises(BundleError, match=complaint):
        load_card(bundle)


def test_damaged_weights_are_refused(bundle):
    weights = (bundle / WEIGHTS).read_bytes()
    (bundle / WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(BundleError, match="not a readable safetensors file"):
        load_network(bundle)


def test_own_models_are_found_by_name_and_unknown_ones_named(bundle, monkeypatch):
    monkeypatch.setenv("CARDIOXAI_MODELS", str(bundle.parent))
    assert available_bundles()["small"] == bundle
    assert find_bundle("small") == bundle
    with pytest.raises(BundleError, match="small"):
        find_bundle("large")


def test_a_broken_folder_is_told_and_hides_no_other_model(tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIOXAI_MODELS", str(tmp_path))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{")
    (tmp_path / "broken" / "weights.safetensors").write_bytes(b"")
    cards, faults = available_cards()
    assert "broken" not in cards and DEFAULT_SEGMENTER in cards
    assert len(faults) == 1 and "broken" in faults[0]


@pytest.mark.parametrize(
    "change",
    [
        {"network": ["unet"]},
        {"network_params": [1]},
        {"limits": None},
        {"limits": 5},
        {"name": None},
        {"results": None},
        {"network_params": {"classes": 2, "channels": "wide"}},
    ],
)
def test_a_card_of_the_wrong_form_is_refused_and_says_which_file(bundle, change):
    values = json.loads((bundle / CARD).read_text()) | change
    (bundle / CARD).write_text(json.dumps(values))
    with pytest.raises(BundleError, match=CARD):
        load_network(bundle)


def test_a_card_that_asks_for_more_than_there_is_memory_is_held_against_its_weights(bundle):
    values = json.loads((bundle / CARD).read_text())
    values["network_params"]["channels"] = [4, 10**8]
    (bundle / CARD).write_text(json.dumps(values))
    with pytest.raises(BundleError, match="does not fit its card"):
        load_network(bundle)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.int(), "does not fit its card.*floats.*int32"),
        (lambda t: t * torch.nan, "not finite"),
    ],
)
def test_weights_that_are_no_weights_are_refused(bundle, change, complaint):
    tensors = load_file(bundle / WEIGHTS)
    first = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    save_file({**tensors, first: change(tensors[first])}, bundle / WEIGHTS)
    with pytest.raises(BundleError, match=complaint):
        load_network(bundle)


def test_what_belonged_to_the_weights_of_a_replaced_model_goes_with_them(bundle):
    network = load_network(bundle)[1]
    for name in (EXTRAS, *CONCEPTS, "notes.txt"):
        (bundle / name).write_bytes(b"of the former model")
    save_bundle(bundle, a_card(title="new"), network.state_dict())
    assert {path.name for path in bundle.iterdir()} == {CARD, WEIGHTS, "notes.txt"}
    assert load_card(bundle).title == "new"


def test_a_model_that_cannot_be_written_leaves_the_former_one_whole(bundle):
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(TypeError):
        save_bundle(bundle, a_card(results={"a": {1, 2}}), {"w": torch.zeros(1)})
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
