"""Interrupted trainings: how they stop, and checkpoints read without running what they hold."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from napari_cardioxai.errors import BundleError
from napari_cardioxai.files import replacing


def read_checkpoint(checkpoint: Path, *, needs: str) -> Mapping[str, Any]:
    """What a checkpoint of ours holds, tensors on the CPU.

    Parameters
    ----------
    checkpoint
        File that Lightning wrote.
    needs
        Key that trainings of the kind keep there.

    Raises
    ------
    BundleError
        When the file is damaged, or of another training.
    """
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint make torch raise anything
        raise BundleError(
            f"{checkpoint} is damaged or no checkpoint; delete it to train from the start."
        ) from error
    if not isinstance(saved, Mapping) or needs not in saved or "state_dict" not in saved:
        raise BundleError(
            f"{checkpoint} is of another kind of training; choose another folder for this one."
        )
    return saved


@contextmanager
def stopping_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C through a fit as what it is: Lightning would end the program, deaf to a second."""
    heard_by = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        signal.signal(signal.SIGINT, heard_by)
        raise KeyboardInterrupt from end


class BesideThenRenamed(TorchCheckpointIO):
    """Checkpoints that are whole or not there, whenever the process is killed."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """As Lightning calls it."""
        with replacing(Path(path)) as beside:
            torch.save(checkpoint, beside)
