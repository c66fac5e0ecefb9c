"""The recipe that makes slice segmenters."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from monai.losses import DiceCELoss
from torch.utils.data import DataLoader

from napari_cardioxai.cohorts.augmentation import slice_augmentation
from napari_cardioxai.cohorts.slices import PIXEL_MM, SliceDataset, SlicePair
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.segmentation import SEGMENTERS


@dataclass(frozen=True)
class SegmenterRecipe:
    """Everything that decides what a segmenter training does.

    The learning rate falls as `learning_rate * decay_rate ** (step / decay_steps)`,
    with the three parameters of Liu et al. 2021.

    Attributes
    ----------
    network
        A key of `networks.segmentation.SEGMENTERS`.
    network_params
        Keyword arguments of that network.
    pixel_mm
        In-plane spacing that the network works at. Below `cohorts.slices.PIXEL_MM`
        pictures are enlarged, which a network with a coarse stride needs.
    crop
        Side of the training crop in those pixels, a multiple of 16; also the
        side of the region around the heart that is looked at later.
    augmentation
        `strength` of `slice_augmentation`.
    epochs, batch_size
        Visits of each picture; pictures per step.
    learning_rate, decay_rate, decay_steps
        Of Adam with decoupled weight decay; see above.
    weight_decay
        Decoupled weight decay.
    ema_decay
        Decay per step of the running mean of the weights that is kept in the end.
    precision
        As Lightning names it; "bf16-mixed" is 1.6 times as fast as "32-true" on recent CPUs.
    seed
        Of weights, order and augmentation.
    """

    network: str = "unet"
    network_params: dict[str, Any] = field(default_factory=dict)
    pixel_mm: float = PIXEL_MM
    crop: int = 160
    augmentation: float = 0.6
    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 2e-3
    decay_rate: float = 0.5
    decay_steps: int = 160
    weight_decay: float = 1e-4
    ema_decay: float = 0.995
    precision: str = "bf16-mixed"
    seed: int = 0


_FINE: dict[str, Any] = {
    "pixel_mm": PIXEL_MM / 1.5,
    "crop": 192,
    "learning_rate": 1e-3,
    "augmentation": 0.4,
}
FCN_SETTINGS: dict[str, dict[str, Any]] = {
    "lv-fcn": _FINE | {"epochs": 30, "decay_steps": 120},
    "alexnet-fcn": _FINE | {"epochs": 15, "decay_steps": 60},
}
"""What differs from the defaults, which suit the U-Net; loss curves are flat by then."""


def recipe_for(network: str, **changes: Any) -> SegmenterRecipe:
    """The recipe of a network, with fields changed by name.

    Raises
    ------
    BundleError
        When no network has that name.
    """
    if network not in SEGMENTERS:
        raise BundleError(
            f"there is no network {network!r}; known are {', '.join(sorted(SEGMENTERS))}."
        )
    return SegmenterRecipe(network=network, **{**FCN_SETTINGS.get(network, {}), **changes})


class SegmenterModule(lightning.LightningModule):
    """A slice segmenter under training.

    Parameters
    ----------
    recipe
        `SegmenterRecipe` or its fields as a dictionary (as checkpoints keep it).
    """

    def __init__(self, recipe: SegmenterRecipe | dict[str, Any]) -> None:
        super().__init__()
        self.recipe = recipe if isinstance(recipe, SegmenterRecipe) else SegmenterRecipe(**recipe)
        self.save_hyperparameters({"recipe": asdict(self.recipe)})
        self.network = SEGMENTERS[self.recipe.network](**self.recipe.network_params)
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Dice plus cross-entropy of one batch of crops."""
        loss = self.loss(self.network(batch["image"]).float(), batch["label"])
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["image"]))
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with the exponential decay of the recipe, step by step."""
        recipe = self.recipe
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: recipe.decay_rate ** (step / recipe.decay_steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def train_segmenter(
    recipe: SegmenterRecipe,
    pairs: Sequence[SlicePair],
    *,
    run_dir: Path,
    device: str = "auto",
    workers: int = 0,
    callbacks: Sequence[lightning.Callback] = (),
) -> torch.nn.Module:
    """Train on the given pictures, going on from `run_dir` where a run was interrupted.

    Parameters
    ----------
    recipe, pairs
        How, and on what. Nothing is held out here: what must not be learnt
        from must not be passed.
    run_dir
        Receives `last.ckpt` after every epoch and `logs/version_N/metrics.csv`.
    device
        A Lightning accelerator name.
    workers
        Processes that prepare batches.
    callbacks
        Further Lightning callbacks, such as progress of the window.

    Returns
    -------
    The network in evaluation mode on the CPU, with the averaged weights.

    Raises
    ------
    BundleError
        When `run_dir` holds the checkpoint of another recipe.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    augment = slice_augmentation(recipe.crop, strength=recipe.augmentation, seed=recipe.seed)
    data = SliceDataset(pairs, zoom=PIXEL_MM / recipe.pixel_mm, transform=augment)
    loader = DataLoader(
        data,
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=len(data) > recipe.batch_size,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    module = SegmenterModule(recipe)
    checkpoint = run_dir / "last.ckpt"
    if checkpoint.is_file():
        _check_same_training(checkpoint, recipe)
    trainer = lightning.Trainer(
        accelerator=device,
        precision=recipe.precision,
        devices=1,
        max_epochs=recipe.epochs,
        default_root_dir=run_dir,
        logger=CSVLogger(run_dir, name="logs"),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            ModelCheckpoint(run_dir, filename="last", save_top_k=1, enable_version_counter=False),
            EMAWeightAveraging(decay=recipe.ema_decay),
            *callbacks,
        ],
    )
    trainer.fit(module, loader, ckpt_path=checkpoint if checkpoint.is_file() else None)
    # The file holds the averaged weights; after a resume the module may hold the last ones.
    kept = SegmenterModule.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=False)
    return kept.network.eval()


def _check_same_training(checkpoint: Path, recipe: SegmenterRecipe) -> None:
    """Only the number of epochs may change when a training goes on."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False)["hyper_parameters"]
    now = asdict(recipe)
    differing = sorted(k for k in now if k != "epochs" and saved["recipe"].get(k) != now[k])
    if differing:
        raise BundleError(
            f"{checkpoint.parent} holds a training with another {', '.join(differing)}; "
            "choose another folder for this one, or delete that one."
        )
