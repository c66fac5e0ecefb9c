"""Folders of images to a manifest with an honest split, in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cardioxai.cohorts.hold_out import hold_out, hold_out_run
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

RANDOM_SPLIT, RUN_SPLIT = "split_random", "split_run"
SPLITS = {
    SPLIT: "near-duplicates together",
    RUN_SPLIT: "unbroken runs of file numbers",
    RANDOM_SPLIT: "at random",
}
"""Columns of the manifest, and how each keeps pictures apart."""
GROUP = "group"

Choose = Callable[[NDArray[np.int64], float], NDArray[np.bool_]]
"""Takes images and a share, tells which of them are held out."""


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
    test, test_run, test_random
        Held-out images by class: near-duplicates together, runs of file
        numbers, at random.
    straddling_run, straddling_random
        Images of those test sets that are nearly in their training set; of the
        first there are none.
    failed
        Every image that cannot be read, and the reason; they are not in the manifest.
    is_surmised
        Whether the threshold is a fixed likeness, for want of pictures of different classes.
    """

    images: Mapping[str, int]
    threshold: float
    links: int
    groups: int
    largest_group: int
    alone: int
    mixed_groups: int
    test: Mapping[str, int]
    test_run: Mapping[str, int]
    test_random: Mapping[str, int]
    straddling_run: int
    straddling_random: int
    failed: Mapping[str, str]
    is_surmised: bool = False

    def as_json(self) -> dict[str, Any]:
        """Every attribute under its own name, in types that JSON has."""
        return asdict(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the threshold could not be derived from, and each image that was left out."""
        surmised = (
            f"Pictures of different classes are too few to tell what strangers have in common, so "
            f"those alike by {self.threshold:.2f} or more were linked; look at them, or choose "
            "--threshold."
        )
        left_out = (f"{subject}: {reason}" for subject, reason in self.failed.items())
        return (*([surmised] if self.is_surmised else []), *left_out)

    def as_rows(self) -> list[tuple[str, str, str]]:
        """Name, value and unit of what is printed."""
        return [
            *((f"Images {name}", str(count), "") for name, count in self.images.items()),
            ("Likeness from which on images are linked", f"{self.threshold:.3f}", ""),
            ("Linked pairs", str(self.links), ""),
            ("Groups", str(self.groups), ""),
            ("Images linked to none", str(self.alone), ""),
            ("Largest group", str(self.largest_group), "images"),
            ("Groups of several classes", str(self.mixed_groups), ""),
            *((f"Held out {name}", str(count), "") for name, count in self.test.items()),
            (
                "Nearly in training when held out in runs",
                str(self.straddling_run),
                f"of {sum(self.test_run.values())}",
            ),
            (
                "Nearly in training when held out at random",
                str(self.straddling_random),
                f"of {sum(self.test_random.values())}",
            ),
        ]


def split_pictures(
    folder: Path,
    manifest: Path,
    *,
    share: float = 0.2,
    val: float = 0.1,
    seed: int = 0,
    threshold: float | None = None,
    on_progress: Progress = silent,
) -> PictureSplits:
    """Write a manifest of class folders with the columns of `SPLITS` and `group`.

    Parameters
    ----------
    folder
        As for `pictures.find_pictures`.
    manifest
        CSV file to write.
    share, seed
        As for `hold_out.hold_out`, of every split. File numbers are taken in
        their natural order within a class.
    val
        Part of all images that is set aside in the same manner for choosing
        and calibrating; 0: none.
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
    if not 0 <= val <= 0.5:
        raise CohortError(f"{val:g} cannot be set aside for validation; choose up to 0.5.")
    if not 0 < share < 1 or not share + val < 1:
        raise CohortError(f"{share:g} cannot be held out beside {val:g} for validation.")
    if threshold is not None and not 0 < threshold <= 1:
        raise CohortError(f"a likeness lies between 0 and 1, not at {threshold:g}.")
    found = find_pictures(folder)
    images = load_images(found, found.subjects, THUMBNAIL, on_progress=on_progress)
    labels, names = class_indices(found, images.subjects)
    likeness = find_near_duplicates(
        images.data, labels, threshold=threshold, on_progress=on_progress
    )
    kinds = np.array(names)[labels]
    group = likeness.group
    ways: dict[str, Choose] = {
        SPLIT: lambda rows, part: hold_out(kinds[rows], share=part, groups=group[rows], seed=seed),
        RUN_SPLIT: lambda rows, part: hold_out_run(kinds[rows], rows, share=part, seed=seed),
        RANDOM_SPLIT: lambda rows, part: hold_out(kinds[rows], share=part, seed=seed),
    }
    parts = {name: _dealt(way, len(kinds), test=share, val=val) for name, way in ways.items()}
    readable = type(found)(found.path, found.table.loc[images.subjects])
    columns = {name: part.tolist() for name, part in parts.items()}
    write_manifest(manifest, readable, {**columns, GROUP: group.tolist()})
    is_test = {name: part == "test" for name, part in parts.items()}

    def counted(which: NDArray[np.bool_]) -> dict[str, int]:
        return {name: int((kinds[which] == name).sum()) for name in names}

    return PictureSplits(
        images=counted(np.ones(len(kinds), bool)),
        threshold=likeness.threshold,
        links=len(likeness.links),
        groups=len(likeness.sizes),
        largest_group=int(likeness.sizes.max()),
        alone=int((likeness.sizes == 1).sum()),
        mixed_groups=likeness.mixed(kinds),
        test=counted(is_test[SPLIT]),
        test_run=counted(is_test[RUN_SPLIT]),
        test_random=counted(is_test[RANDOM_SPLIT]),
        straddling_run=likeness.straddling(is_test[RUN_SPLIT]),
        straddling_random=likeness.straddling(is_test[RANDOM_SPLIT]),
        failed=images.failed,
        is_surmised=threshold is None and likeness.is_surmised,
    )


def _dealt(choose: Choose, images: int, *, test: float, val: float) -> NDArray[np.str_]:
    """ "train", "val" or "test" of each image; validation comes from what the test left."""
    parts = np.full(images, "train")
    parts[choose(np.arange(images), test)] = "test"
    if val:
        rest = np.flatnonzero(parts == "train")
        parts[rest[choose(rest, val / (1 - test))]] = "val"
    return parts
