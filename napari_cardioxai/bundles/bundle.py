"""A trained model as a folder: `card.json` says what it is, `weights.safetensors` holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_cardioxai.bundles.card import CARDS, Card
from napari_cardioxai.errors import BundleError
from napari_cardioxai.files import replacing_files_in
from napari_cardioxai.networks.classifiers import CLASSIFIERS
from napari_cardioxai.networks.latent import LATENT_MODELS
from napari_cardioxai.networks.segmentation import SEGMENTERS

CARD = "card.json"
WEIGHTS = "weights.safetensors"
EXTRAS = "extras.safetensors"
CONCEPTS = ("concepts.json", "concepts.safetensors")
"""Directions that `concepts.book` keeps with a model."""
NETWORKS: Mapping[str, Mapping[str, Callable[..., nn.Module]]] = {
    "segmenter": SEGMENTERS,
    "latent-classifier": LATENT_MODELS,
    "image-classifier": CLASSIFIERS,
}
"""Architectures by kind of model and by the name that a card carries."""

_REFUSED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".h5", ".onnx")


def save_bundle(
    folder: Path,
    card: Card,
    weights: Mapping[str, Tensor],
    *,
    extras: Mapping[str, NDArray] | None = None,
) -> None:
    """Write a model folder; of one that is there, nothing that belonged to its weights stays.

    Parameters
    ----------
    folder, card, weights
        Where, what it is, and the state of its network.
    extras
        Further arrays that go with the model, for `extras.safetensors`.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    with replacing_files_in(folder) as beside:
        tensors = {k: v.detach().cpu().contiguous() for k, v in weights.items()}
        save_file(tensors, beside / WEIGHTS)
        if extras is not None:
            arrays = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in extras.items()}
            save_file(arrays, beside / EXTRAS)
        text = json.dumps(card.as_json(), indent=2, ensure_ascii=False)
        (beside / CARD).write_text(text + "\n", "utf-8")
        for name in (EXTRAS, *CONCEPTS):
            if not (beside / name).exists():
                (folder / name).unlink(missing_ok=True)


def load_extras(folder: Path) -> dict[str, NDArray]:
    """Arrays that go with a model; none where there is no `extras.safetensors`.

    Raises
    ------
    BundleError
        When the file is not readable.
    """
    if not (folder / EXTRAS).is_file():
        return {}
    return {name: array.numpy() for name, array in _read_tensors(folder / EXTRAS).items()}


def load_card(folder: Path) -> Card:
    """Read and check `card.json` of a model folder.

    Raises
    ------
    BundleError
        When the path is not a model folder; weights of formats that can run
        code on loading are refused by name.
    """
    if folder.suffix.lower() in _REFUSED:
        raise BundleError(
            f"{folder.name} is refused: {folder.suffix} files can run code when they are opened; "
            f"give a model folder with {CARD} and {WEIGHTS}."
        )
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a model folder; `cardioxai models` lists those known.")
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            other = [p.name for p in folder.iterdir() if p.suffix.lower() in _REFUSED]
            hint = f" ({other[0]} is refused: only safetensors are read)" if other else ""
            raise BundleError(f"{folder} has no {name}{hint}; it is not a complete model folder.")
    try:
        values = json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder / CARD} is not readable JSON ({error}).") from error
    if not isinstance(values, dict):
        raise BundleError(f"{folder / CARD} is not a model card.")
    kind = str(values.get("kind"))
    if kind not in CARDS:
        raise BundleError(
            f"{folder / CARD} is of the kind {kind!r}; known are {', '.join(sorted(CARDS))}."
        )
    card = CARDS[kind].from_json(values, where=folder / CARD)
    if card.network not in NETWORKS[kind]:
        raise BundleError(
            f"{folder / CARD} asks for the network {card.network!r}; "
            f"known are {', '.join(sorted(NETWORKS[kind]))}."
        )
    return card


def load_network(folder: Path) -> tuple[Card, nn.Module]:
    """Build the network of a model folder and fill in its weights.

    Returns
    -------
    The card, and the network on the CPU in evaluation mode.

    Raises
    ------
    BundleError
        When card and weights do not belong together, saying which tensors differ.
    """
    card = load_card(folder)
    weights = _read_tensors(folder / WEIGHTS)
    with torch.device("meta"):  # shapes alone: a card may ask for more than there is memory
        outline = _built(folder, card)
    expected = {k: _form(v) for k, v in outline.state_dict().items()}
    found = {k: _form(v) for k, v in weights.items()}
    if expected != found:
        odd = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
        raise BundleError(
            f"{folder / WEIGHTS} does not fit its card: {len(odd)} tensors differ, "
            f"the first is {odd[0]} (card {expected.get(odd[0], 'none')}, "
            f"file {found.get(odd[0], 'none')})."
        )
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BundleError(
                f"{folder / WEIGHTS} holds numbers that are not finite, such as in {name}; the "
                "training went astray or the file is damaged."
            )
    network = _built(folder, card)
    network.load_state_dict(weights)
    return card, network.eval()


def _built(folder: Path, card: Card) -> nn.Module:
    try:
        return NETWORKS[card.kind][card.network](**card.network_params)
    except Exception as error:  # whoever wrote the network, a card can ask it for nonsense
        why = str(error).partition("\n")[0].rstrip(".")
        raise BundleError(f"{folder / CARD}: {card.network} cannot be built ({why}).") from error


def _form(tensor: Tensor) -> str:
    """Shape and kind of numbers; floats of another precision are converted on loading."""
    kind = "floats" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{tuple(tensor.shape)} {kind}"


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{file} is not a readable safetensors file.") from error


def shipped_folder() -> Path:
    """Where the models that come with the package lie."""
    return Path(__file__).parent / "shipped"


def own_folder() -> Path:
    """Where the user's own models lie: `CARDIOXAI_MODELS`, else a folder in the home directory."""
    return Path(os.environ.get("CARDIOXAI_MODELS", Path.home() / ".cardioxai" / "models"))


def available_bundles() -> dict[str, Path]:
    """Names and folders of every model, shipped ones first; own ones win on equal names."""
    found: dict[str, Path] = {}
    for root in (shipped_folder(), own_folder()):
        for card in sorted(root.glob(f"*/{CARD}")):
            found[card.parent.name] = card.parent
    return found


def available_cards() -> tuple[dict[str, Card], list[str]]:
    """Cards of every model by name, and a sentence for each folder whose card cannot be read."""
    cards, faults = {}, []
    for name, folder in available_bundles().items():
        try:
            cards[name] = load_card(folder)
        except BundleError as error:
            faults.append(str(error))
    return cards, faults


def find_bundle(name: str | Path) -> Path:
    """The folder of a model given by its name or by its path.

    Raises
    ------
    BundleError
        When it is neither, naming what there is.
    """
    known = available_bundles()
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if path.exists():
        return path
    raise BundleError(
        f"there is no model {str(name)!r}; known are {', '.join(known) or 'none'}, "
        "or give the path of a model folder."
    )
