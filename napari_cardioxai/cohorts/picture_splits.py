"""Folders of images to a manifest with an honest split, in one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cardioxai.cohorts.hold_out import hold_out
from napari_cardioxai.cohorts.manifest import SPLIT
from napari_cardioxai.cohorts.near_duplicates import THUMBNAIL, find_near_duplicates
from napari_cardioxai.cohorts.pictures import (
    class_indices,
    find_pictures,
    load_images,
    write_manifest,
)
from napari_cardioxai.errors import CohortError
from napari_cardioxai.progress import Progress, silent

RANDOM_SPLIT = "split_random"
GROUP = "group"


@dataclass(frozen=True)
class PictureSplits:
    """What was found in folders of images and how it was divided.

    Attributes
    ----------
    images
        How many, by class.
    threshold
        Likeness from which on two images are linked.
    links, groups, largest_group, alone
        Linked pairs; groups of images, those of one included; images in the
        largest; images that are linked to none.
    mixed_groups
        Groups with more than one class.
    test, test_random
        Held-out images by class, near-duplicates together and at random.
    straddling_random
        Images of the random test set that are nearly in its training set.
    failed
        Every image that cannot be read, and the reason; they are not in the manifest.
    """

    images: Mapping[str, int]
    threshold: float
    links: int
    groups: int
    largest_group: int
    alone: int
    mixed_groups: int
    test: Mapping[str, int]
    test_random: Mapping[str, int]
    straddling_random: int
    failed: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name, in types that JSON has."""
        return asdict(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each image that was left out."""
        return tuple(f"{subject}: {reason}" for subject, reason in self.failed.items())

    def as_rows(self) -> list[tuple[str, str, str]]:
        """Name, value and unit of what is printed."""
        of = sum(self.test_random.values())
        return [
            *((f"Images {name}", str(count), "") for name, count in self.images.items()),
            ("Likeness from which on images are linked", f"{self.threshold:.3f}", ""),
            ("Linked pairs", str(self.links), ""),
            ("Groups", str(self.groups), ""),
            ("Images linked to none", str(self.alone), ""),
            ("Largest group", str(self.largest_group), "images"),
            ("Groups of several classes", str(self.mixed_groups), ""),
            *((f"Held out {name}", str(count), "") for name, count in self.test.items()),
            ("Nearly in training when held out at random", str(self.straddling_random), f"of {of}"),
        ]


def split_pictures(
    folder: Path,
    manifest: Path,
    *,
    share: float = 0.2,
    seed: int = 0,
    threshold: float | None = None,
    on_progress: Progress = silent,
) -> PictureSplits:
    """Write a manifest of class folders with columns `split`, `split_random` and `group`.

    Parameters
    ----------
    folder
        As for `pictures.find_pictures`.
    manifest
        CSV file to write.
    share, seed
        As for `hold_out.hold_out`, of both splits.
    threshold
        As for `near_duplicates.find_near_duplicates`.

    Raises
    ------
    CohortError
        When images cannot be found, compared or divided.
    OutputError
        When the manifest cannot be written.
    Cancelled
        From within `on_progress`; nothing is written then.
    """
    if manifest.suffix.lower() != ".csv":
        raise CohortError(f"{manifest.name} must end in .csv; a manifest is written there.")
    found = find_pictures(folder)
    images = load_images(found, found.subjects, THUMBNAIL, on_progress=on_progress)
    labels, names = class_indices(found, images.subjects)
    likeness = find_near_duplicates(
        images.data, labels, threshold=threshold, on_progress=on_progress
    )
    kinds = np.array(names)[labels]
    together = hold_out(kinds, share=share, groups=likeness.group, seed=seed)
    random = hold_out(kinds, share=share, seed=seed)
    readable = type(found)(found.path, found.table.loc[images.subjects])
    columns = {
        SPLIT: np.where(together, "test", "train").tolist(),
        RANDOM_SPLIT: np.where(random, "test", "train").tolist(),
        GROUP: likeness.group.tolist(),
    }
    write_manifest(manifest, readable, columns)

    def counted(which: np.ndarray) -> dict[str, int]:
        return {name: int((kinds[which] == name).sum()) for name in names}

    return PictureSplits(
        images=counted(np.ones(len(kinds), bool)),
        threshold=likeness.threshold,
        links=len(likeness.links),
        groups=len(likeness.sizes),
        largest_group=int(likeness.sizes.max()),
        alone=int((likeness.sizes == 1).sum()),
        mixed_groups=likeness.mixed(kinds),
        test=counted(together),
        test_random=counted(random),
        straddling_random=likeness.straddling(random),
        failed=images.failed,
    )
