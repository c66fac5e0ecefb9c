"""Random variation of training slices: what differs between scanners, planes and hearts."""

from __future__ import annotations

import numpy as np
from monai.transforms import (
    Compose,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandBiasFieldd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandRotate90d,
    RandScaleIntensityd,
)

_BOTH = ("image", "label")
_BEND_EVERY = 24  # pixels between the nodes of a deformation


def slice_augmentation(
    crop: int,
    *,
    strength: float = 1.0,
    turned: float = 0.2,
    bend: float = 0.0,
    seed: int | None = None,
) -> Compose:
    """Geometric and intensity augmentation of a normalised slice and its mask.

    Rotation, scaling, shear and shifts, so that the network finds the heart by
    its looks and not by its place; now and then quarter turns and mirror
    images; gamma, gain, coil bias, blur and noise.

    Parameters
    ----------
    crop
        Side of the square that comes out, in pixels.
    strength
        1 is rotation by up to 45 degrees and scaling by a third; smaller values
        shrink all in proportion, for networks with less capacity. Shifts are always up to 15 % of the crop, because the
        region around the heart is not found more exactly than that.
    turned
        Share of pictures that are turned by quarters, and of those that are mirrored:
        files do not always tell which way up a heart is.
    bend
        Largest displacement in pixels of a smooth random deformation.
    seed
        Makes the sequence reproducible.
    """
    scale, shift = strength / 3, 0.15 * crop
    steps = Compose(
        [
            Rand2DElasticd(
                keys=_BOTH,
                spacing=(_BEND_EVERY, _BEND_EVERY),
                magnitude_range=(0, bend),
                prob=1.0,
                rotate_range=strength * np.pi / 4,
                scale_range=(scale, scale),
                shear_range=(0.1 * strength, 0.1 * strength),
                translate_range=(shift, shift),
                spatial_size=(crop, crop),
                padding_mode="zeros",
                mode=("bilinear", "nearest"),
            ),
            RandRotate90d(keys=_BOTH, prob=turned),
            RandFlipd(keys=_BOTH, prob=turned, spatial_axis=0),
            RandAdjustContrastd(keys="image", prob=0.5, gamma=(1 - 0.4 * strength, 1 + strength)),
            RandScaleIntensityd(keys="image", prob=0.5, factors=0.4 * strength),
            RandBiasFieldd(keys="image", prob=0.3, coeff_range=(-0.3 * strength, 0.3 * strength)),
            RandGaussianSmoothd(keys="image", prob=0.15, sigma_x=(0.5, 1.2), sigma_y=(0.5, 1.2)),
            RandGaussianNoised(keys="image", prob=0.3, std=0.06 * strength),
        ]
    )
    if seed is not None:
        steps.set_random_state(seed)
    return steps
