"""A trained model as a folder: `card.json` says what it is, `weights.safetensors` holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_cardioxai.errors import BundleError
from napari_cardioxai.files import replacing
from napari_cardioxai.networks.segmentation import SEGMENTERS

CARD = "card.json"
WEIGHTS = "weights.safetensors"
_REFUSED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".h5", ".onnx")


@dataclass(frozen=True)
class Card:
    """What a reader must know before trusting a model.

    Attributes
    ----------
    name, title
        Key in lists and on the command line; a line for people.
    kind
        What it does; "segmenter" labels slices.
    network, network_params
        Architecture (a key of the networks room) and its arguments.
    structures
        Output channel to structure label (1 LV cavity, 2 myocardium, 3 RV
        cavity); channel 0 is background.
    pixel_mm, region
        In-plane spacing that the network works at, and the side in such
        pixels of the square around the heart that it is shown.
    data, licence, split
        What it was trained on, under which licence, and what was kept apart.
    results
        Measured figures, each with its unit or scale in the name.
    command
        The command that made it.
    versions
        Versions of the libraries that it was made with.
    limits
        What it does not know, in sentences.
    """

    name: str
    title: str
    kind: str
    network: str
    network_params: dict[str, Any]
    structures: dict[int, int]
    pixel_mm: float
    region: int
    data: str
    licence: str
    split: str
    results: dict[str, Any]
    command: str
    recipe: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain types for `card.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, where: Path) -> Card:
        """Check the fields of a `card.json`.

        Raises
        ------
        BundleError
            When fields are missing, unknown, or name an unknown architecture.
        """
        known = {f.name for f in fields(cls)}
        required = known - {"recipe", "versions", "limits"}
        if missing := sorted(required - values.keys()):
            raise BundleError(
                f"{where} lacks {', '.join(missing)}; it is not a complete model card."
            )
        if unknown := sorted(values.keys() - known):
            raise BundleError(
                f"{where} has fields that this version does not know: {', '.join(unknown)}."
            )
        if values["network"] not in SEGMENTERS:
            raise BundleError(
                f"{where} asks for the network {values['network']!r}; "
                f"known are {', '.join(sorted(SEGMENTERS))}."
            )
        try:
            structures = {int(k): int(v) for k, v in values["structures"].items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise BundleError(f"{where}: structures must map channels to labels.") from error
        return cls(
            **{**values, "structures": structures, "limits": tuple(values.get("limits", ()))}
        )


def save_bundle(folder: Path, card: Card, weights: Mapping[str, Tensor]) -> None:
    """Write a model folder; an existing one is replaced file by file."""
    with replacing(folder / WEIGHTS) as beside:
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, beside)
    with replacing(folder / CARD) as beside:
        beside.write_text(json.dumps(card.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")


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
    return Card.from_json(values, where=folder / CARD)


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
    try:
        weights = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{folder / WEIGHTS} is not a readable safetensors file.") from error
    try:
        network = SEGMENTERS[card.network](**card.network_params)
    except TypeError as error:
        raise BundleError(f"{folder / CARD}: {card.network} cannot be built ({error}).") from error
    expected = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in weights.items()}
    if expected != found:
        odd = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
        raise BundleError(
            f"{folder / WEIGHTS} does not fit its card: {len(odd)} tensors differ, "
            f"the first is {odd[0]} (card {expected.get(odd[0])}, file {found.get(odd[0])})."
        )
    network.load_state_dict(weights)
    return card, network.eval()


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
