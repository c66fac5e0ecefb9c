"""Which processor a model runs on."""

from __future__ import annotations

import torch

from napari_cardioxai.errors import BundleError

DEVICES = ("auto", "cpu", "cuda", "mps")


def available_devices() -> list[str]:
    """Devices that this machine has, the fastest first; always ends with "cpu"."""
    devices = []
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def resolve_device(name: str) -> str:
    """The device that a name stands for; "auto" is the fastest that there is.

    Raises
    ------
    BundleError
        When the machine has no such device.
    """
    present = available_devices()
    if name == "auto":
        return present[0]
    if name not in present:
        raise BundleError(
            f"this machine has no {name!r} device for torch; choose {' or '.join(present)}, or auto."
        )
    return name
