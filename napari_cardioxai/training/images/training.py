"""Train a classifier of pictures or volumes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.errors import BundleError, TrainingError
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.checkpoints import (
    BesideThenRenamed,
    read_checkpoint,
    stopping_by_interrupt,
)
from napari_cardioxai.training.images.augmentation import moved, toned
from napari_cardioxai.training.images.recipe import ImageRecipe
from napari_cardioxai.training.images.region import RegionTask

CHECKPOINT = "last.ckpt"
_RISING = 0.1  # of all steps, of the one-cycle schedule
_STEPS_APART = 1_000_003  # seeds of steps, so that those of two trainings do not meet


@dataclass(frozen=True)
class LabelledImages:
    """Inputs and their classes.

    Attributes
    ----------
    images
        As `cohorts.pictures.load_images` makes them, shape (n, *size).
    labels
        Index of the class, shape (n,).
    regions
        Share of each pixel that a region of interest takes, shape (n, *size);
        None where the recipe asks for none.
    """

    images: NDArray
    labels: NDArray[np.int64]
    regions: NDArray | None = None


class ImageModule(lightning.LightningModule):
    """An image classifier under training.

    Parameters
    ----------
    recipe, network
        How, and what.
    class_weights
        Of the loss, shape (classes,).
    on_progress
        Called after every step; may raise `Cancelled`.
    """

    def __init__(
        self,
        recipe: ImageRecipe,
        network: nn.Module,
        *,
        class_weights: Tensor,
        on_progress: Progress = silent,
    ) -> None:
        super().__init__()
        self.recipe, self.network, self.on_progress = recipe, network, on_progress
        self.loss = nn.CrossEntropyLoss(class_weights, label_smoothing=recipe.label_smoothing)
        self.best: dict[str, Tensor] | None = None
        self.best_score = -1.0
        self._hits: list[Tensor] = []
        self.region: RegionTask | None = None
        if recipe.region_weight:
            self.region = RegionTask(network, self.inputs(torch.zeros(1, *recipe.size)))

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of one batch, and how wrong the region is where one is asked for."""
        images, labels = batch[:2]
        generator = torch.Generator().manual_seed(
            self.recipe.seed * _STEPS_APART + self.global_step
        )
        inputs = self.inputs(images)
        if self.region is None:
            inputs = toned(moved(inputs, self.recipe, generator), self.recipe, generator)
            logits = self.network(inputs).float()
            loss = self.loss(logits, labels)
        else:
            together = torch.cat([inputs, batch[2].float().unsqueeze(1)], 1)
            together = moved(together, self.recipe, generator)
            inputs, region = together[:, :-1], together[:, -1:]
            with self.region.watching() as seen:
                logits = self.network(toned(inputs, self.recipe, generator))
            wrong = self.region.loss(seen[0], region)
            self.log("region_error", wrong, on_step=False, on_epoch=True, batch_size=len(labels))
            loss = self.loss(logits.float(), labels) + self.recipe.region_weight * wrong
        hits = (logits.detach().argmax(1) == labels).float().mean()
        for name, value in (("loss", loss), ("accuracy", hits)):
            self.log(name, value, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Report the step."""
        done, total = self.global_step, int(self.trainer.estimated_stepping_batches)
        epoch = f"epoch {self.current_epoch + 1} of {self.recipe.epochs}"
        self.on_progress(done, total, epoch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Truth and decision of one batch."""
        images, labels = batch
        logits = self.network(self.inputs(images)).float()
        self.log("val_loss", self.loss(logits, labels), batch_size=len(labels))
        self._hits.append(torch.stack([labels, logits.argmax(1)]).cpu())

    def on_validation_epoch_end(self) -> None:
        """Keep the weights of the best epoch."""
        labels, said = torch.cat(self._hits, 1)
        self._hits.clear()
        score = float(
            torch.stack([(said == k)[labels == k].float().mean() for k in labels.unique()]).mean()
        )
        self.log("val_balanced_accuracy", score)
        self.log("val_accuracy", float((labels == said).float().mean()))
        if self.recipe.keep_best and score > self.best_score:
            self.best_score = score
            self.best = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The best epoch goes along, so that an interrupted training does not forget it."""
        checkpoint["recipe"] = self.recipe.as_json()
        checkpoint["best"], checkpoint["best_score"] = self.best, self.best_score

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Inverse of `on_save_checkpoint`."""
        self.best, self.best_score = checkpoint["best"], checkpoint["best_score"]

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe."""
        recipe = self.recipe
        weights = [*self.network.parameters()]
        if self.region is not None:
            weights += self.region.parameters()
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(
                weights,
                recipe.learning_rate,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
            )
        else:
            optimizer = torch.optim.AdamW(
                weights, recipe.learning_rate, weight_decay=recipe.weight_decay
            )
        if recipe.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            recipe.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=_RISING,
            cycle_momentum=False,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def inputs(self, images: Tensor) -> Tensor:
        """What the network takes: (b, *size) to (b, channels, *size), float32."""
        shape = (len(images), self.recipe.channels, *images.shape[1:])
        return images.float().unsqueeze(1).expand(shape)


def train_image_classifier(
    recipe: ImageRecipe,
    train: LabelledImages,
    val: LabelledImages | None = None,
    *,
    classes: int,
    run_dir: Path,
    start: Callable[[nn.Module], object] | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
    callbacks: Sequence[lightning.Callback] = (),
) -> nn.Module:
    """Train on the given images, going on from `run_dir` where a run was interrupted.

    Parameters
    ----------
    recipe, train
        How, and on what.
    val
        Images to watch by, and to choose the epoch by where the recipe says so.
    classes
        How many there are, also where some have no training image.
    run_dir
        Receives `last.ckpt` after every epoch and `logs/version_N/metrics.csv`.
    start
        Fills the untrained network, such as with published weights.
    device
        A Lightning accelerator name.
    on_progress
        Called after every step; may raise `Cancelled`, after which a new call
        goes on from the last epoch.
    callbacks
        Further Lightning callbacks.

    Returns
    -------
    The network in evaluation mode on the CPU.

    Raises
    ------
    BundleError
        When `run_dir` holds the checkpoint of another recipe.
    TrainingError
        When the images do not fit the recipe.
    """
    for part in (train, val):
        if part is not None:
            _check_images(recipe, part, classes)
    _check_regions(recipe, train)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    checkpoint = run_dir / CHECKPOINT
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    network = recipe.build(classes)
    if checkpoint.is_file():
        _check_same_training(checkpoint, recipe, network)
    if start is not None and not checkpoint.is_file():
        start(network)
    if len(recipe.size) == 2:  # the same numbers in the order that convolutions are quickest in
        _ordered(network, torch.channels_last)
    module = ImageModule(
        recipe,
        network,
        class_weights=class_weights(train.labels, classes, balanced=recipe.class_weights),
        on_progress=on_progress,
    )
    trainer = lightning.Trainer(
        accelerator=resolve_device(device),
        precision=recipe.precision,
        devices=1,
        max_epochs=recipe.epochs,
        default_root_dir=run_dir,
        logger=CSVLogger(run_dir, name="logs"),
        plugins=[BesideThenRenamed()],
        log_every_n_steps=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            ModelCheckpoint(
                run_dir,
                filename=checkpoint.stem,
                save_top_k=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
            *callbacks,
        ],
    )
    with stopping_by_interrupt():
        trainer.fit(
            module,
            _loader(train, recipe, shuffled=True),
            None if val is None else _loader(val, recipe, shuffled=False),
            ckpt_path=checkpoint if checkpoint.is_file() else None,
            weights_only=True,
        )
    if module.best is not None:
        network.load_state_dict(module.best)
    return _ordered(network.cpu(), torch.contiguous_format).eval()


def _ordered(network: nn.Module, order: torch.memory_format) -> nn.Module:
    """The network itself, its weights in another order of memory."""
    for weights in network.parameters():
        if weights.dim() == 4:
            weights.data = weights.data.contiguous(memory_format=order)
    return network


def class_weights(labels: NDArray[np.int64], classes: int, *, balanced: bool) -> Tensor:
    """Weights with a mean of 1 over the images; ones without balancing or for absent classes."""
    counts = np.bincount(labels, minlength=classes)
    if not balanced:
        return torch.ones(classes)
    present = counts > 0
    weights = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def _loader(part: LabelledImages, recipe: ImageRecipe, *, shuffled: bool) -> DataLoader:
    """Batches, in training in an order that only seed and epoch decide.

    A last one of a single image is left out there, which batch norms cannot bear.
    """
    tensors = [torch.from_numpy(np.ascontiguousarray(part.images)), torch.from_numpy(part.labels)]
    if part.regions is not None:
        tensors.append(torch.from_numpy(np.ascontiguousarray(part.regions)))
    data = TensorDataset(*tensors)
    size = recipe.batch_size
    if not shuffled:
        return DataLoader(data, batch_size=size)
    # Lightning tells it the epoch; a plain shuffle would start anew after an interruption.
    order: DistributedSampler = DistributedSampler(data, num_replicas=1, rank=0, seed=recipe.seed)
    one_left = len(data) > size and len(data) % size == 1
    return DataLoader(data, batch_size=size, sampler=order, drop_last=one_left)


def _check_images(recipe: ImageRecipe, part: LabelledImages, classes: int) -> None:
    if part.images.shape[1:] != recipe.size:
        raise TrainingError(
            f"images of {part.images.shape[1:]} pixels do not fit the recipe's {recipe.size}."
        )
    if not len(part.labels) or len(part.labels) != len(part.images):
        raise TrainingError(
            f"{len(part.images)} images with {len(part.labels)} labels cannot be learnt from."
        )
    if part.labels.min() < 0 or part.labels.max() >= classes:
        raise TrainingError(f"labels must lie between 0 and {classes - 1}.")


def _check_regions(recipe: ImageRecipe, part: LabelledImages) -> None:
    given = None if part.regions is None else part.regions.shape
    if recipe.region_weight and given != part.images.shape:
        raise TrainingError(
            "the recipe asks where a region lies, and the images come without; give a manifest "
            "with label maps, or set region_weight to 0."
        )


def _check_same_training(checkpoint: Path, recipe: ImageRecipe, network: nn.Module) -> None:
    """Nothing may change when a training goes on; the schedule needs even the epochs."""
    saved = read_checkpoint(checkpoint, needs="recipe")
    before, now = saved["recipe"], recipe.as_json()
    differing = sorted(k for k in now if before.get(k) != now[k])
    if differing:
        raise BundleError(
            f"{checkpoint.parent} holds a training with another {', '.join(differing)}; "
            "choose another folder for this one, or delete that one."
        )
    kept = {k: v.shape for k, v in saved["state_dict"].items()}
    if any(kept.get(f"network.{k}") != v.shape for k, v in network.state_dict().items()):
        raise BundleError(
            f"{checkpoint.parent} holds a training with another number of classes; choose another "
            "folder for this one, or delete that one."
        )
