"""Concepts kept with a model: what a walk needs, without the cohort that they were found on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from napari_cardioxai.bundles.bundle import CONCEPTS
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.concepts.cloud import LatentCloud
from napari_cardioxai.concepts.directions import Direction
from napari_cardioxai.concepts.estimates import Estimate
from napari_cardioxai.concepts.fidelity import BiomarkerScale
from napari_cardioxai.concepts.named import Concept
from napari_cardioxai.concepts.regional import RegionalModel
from napari_cardioxai.concepts.walk import REGIONAL, Walk
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.files import replacing

BOOK, ARRAYS = CONCEPTS
_VERSION = 1
VARIANCE = "thickening_variance_percent2"


@dataclass(frozen=True)
class ConceptBook:
    """Directions to walk, the cohort's place in the latent, and the table.

    Attributes
    ----------
    model, cohort
        Names of the model and of the manifest.
    way
        How they are walked (`walk.WAYS`).
    directions
        By the name of the concept, in the order of the table.
    cloud, scale
        Where the cohort's hearts lie, and how its biomarkers vary.
    rows
        The table of `cardioxai concepts`, as JSON has it.
    regional
        How walls are read from latents, for the variance of thickening; None
        where it was not found or is walked like the others.
    """

    model: str
    cohort: str
    way: str
    directions: Mapping[str, Direction]
    cloud: LatentCloud
    scale: BiomarkerScale
    rows: tuple[dict[str, Any], ...] = ()
    regional: RegionalModel | None = None

    def walk(self, classifier: LatentClassifier, name: str) -> Walk:
        """The walk along a concept.

        Raises
        ------
        CohortError
            When there is no such concept, with those that there are.
        """
        known = {key.lower(): key for key in self.directions}
        if name.lower() not in known:
            raise CohortError(
                f"{self.model} has no direction of {name!r}; it has {', '.join(self.directions)}."
            )
        direction = self.directions[known[name.lower()]]
        if self.regional is not None and direction.concept.biomarker == VARIANCE:
            return Walk(classifier, direction, REGIONAL, self.cloud, self.regional)
        return Walk(classifier, direction, self.way, self.cloud)

    def with_concept(self, direction: Direction, row: dict[str, Any]) -> ConceptBook:
        """The book with one concept more, or with another direction of one that it has.

        Parameters
        ----------
        direction
            Found in the latents, as those of the book are.
        row
            Of the table, as `ConceptRow.as_json` has it.
        """
        name = direction.concept.name
        others = tuple(one for one in self.rows if one["concept"] != name)
        return replace(self, directions={**self.directions, name: direction}, rows=(*others, row))

    def save(self, folder: Path) -> None:
        """Write the book into a model's folder; `load` is the inverse.

        Raises
        ------
        OutputError
            When the folder cannot be written to.
        """
        arrays: dict[str, NDArray] = dict(self.cloud.as_arrays())
        arrays |= {} if self.regional is None else self.regional.as_arrays()
        arrays |= {"scale.sd": self.scale.sd, "scale.correlation": self.scale.correlation}
        entries = []
        for k, direction in enumerate(self.directions.values()):
            arrays[f"direction.{k}"] = direction.vector.astype(np.float32)
            entry = asdict(direction)
            del entry["vector"]
            entries.append(entry)
        about = {
            "version": _VERSION,
            "model": self.model,
            "cohort": self.cohort,
            "way": self.way,
            "directions": entries,
            "rows": list(self.rows),
        }
        with replacing(folder / ARRAYS) as beside:
            save_file(
                {k: torch.from_numpy(np.array(v, order="C")) for k, v in arrays.items()}, beside
            )
        with replacing(folder / BOOK) as beside:
            beside.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path) -> ConceptBook:
        """Read the book of a model's folder.

        Raises
        ------
        BundleError
            When there is none, or it cannot be read.
        """
        if not (folder / BOOK).is_file() or not (folder / ARRAYS).is_file():
            raise BundleError(
                f"{folder.name} carries no concepts; find them first with "
                f"`cardioxai concepts {folder.name} --cohort MANIFEST --save`."
            )
        try:
            about = json.loads((folder / BOOK).read_text("utf-8"))
            arrays = {name: array.numpy() for name, array in load_file(folder / ARRAYS).items()}
            if about["version"] != _VERSION:
                raise BundleError(
                    f"{folder / BOOK} was written by another version; find the concepts again."
                )
            directions = {}
            for k, entry in enumerate(about["directions"]):
                concept = Concept(**entry.pop("concept"))
                directions[concept.name] = Direction(
                    concept=concept,
                    vector=arrays[f"direction.{k}"].astype(np.float64),
                    holdout=Estimate(**entry.pop("holdout")),
                    **entry,
                )
            return cls(
                about["model"],
                about["cohort"],
                about["way"],
                directions,
                LatentCloud.from_arrays(arrays, where=folder / ARRAYS),
                BiomarkerScale(arrays["scale.sd"], arrays["scale.correlation"]),
                tuple(about["rows"]),
                RegionalModel.from_arrays(arrays, where=folder / ARRAYS),
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise BundleError(
                f"{folder / BOOK} is not a readable book of concepts ({error})."
            ) from error


def has_book(folder: Path) -> bool:
    """Whether a model's folder carries concepts."""
    return (folder / BOOK).is_file() and (folder / ARRAYS).is_file()
