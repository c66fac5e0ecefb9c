"""Train a latent heart."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from napari_cardioxai.bundles.devices import resolve_device
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.files import replacing
from napari_cardioxai.networks.latent import AUTOENCODER, LatentHeart
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.checkpoints import (
    BesideThenRenamed,
    read_checkpoint,
    stopping_by_interrupt,
)
from napari_cardioxai.training.latent.data import (
    SequenceBatches,
    TrainingData,
    as_it_is,
    as_tensor,
)
from napari_cardioxai.training.latent.heads import (
    new_classifiers,
    positive_weights,
    take_back_balance,
)
from napari_cardioxai.training.latent.module import LatentModule
from napari_cardioxai.training.latent.recipe import LatentRecipe

CHECKPOINT = "last.ckpt"
METRICS = "metrics.csv"
_VALIDATED_AT_ONCE = 8  # subjects


@dataclass(frozen=True)
class EpochReport:
    """One epoch for whoever watches.

    Attributes
    ----------
    epoch, epochs
        Which one, from 1, of how many at most.
    stage
        "vae", "primary" or "concepts".
    metrics
        As in a row of `metrics.csv`.
    shown, decoded
        A sequence and its reconstruction, (t, s, y, x), of the first subject
        that is validated on, or learnt from; None without a decoder.
    """

    epoch: int
    epochs: int
    stage: str
    metrics: Mapping[str, float]
    shown: NDArray | None
    decoded: NDArray | None


def train_latent(
    recipe: LatentRecipe,
    train: TrainingData,
    val: TrainingData | None = None,
    *,
    run_dir: Path,
    start: Mapping[str, Tensor] | None = None,
    device: str = "auto",
    devices: int | str = 1,
    strategy: str = "auto",
    on_progress: Progress = silent,
    on_epoch: Callable[[EpochReport], None] | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> LatentHeart:
    """Train through all stages, going on from `run_dir` where a run was interrupted.

    With validation subjects a stage ends early after `recipe.patience` epochs
    without progress, and the weights of the best epoch of the last stage are
    given back; without, the last ones.

    Parameters
    ----------
    recipe, train
        How, and on what.
    val
        Subjects to watch and to stop by.
    run_dir
        Receives `last.ckpt` and `metrics.csv` after every epoch.
    start
        Weights of another latent heart whose autoencoder this one starts from.
    device
        "auto", "cpu", "cuda" or "mps".
    devices, strategy
        As Lightning has them; under `torchrun` one process a device.
    on_progress
        Called after every step; it may wait, which pauses the training, or
        raise `Cancelled`, after which a new call goes on from the last epoch.
    on_epoch
        Called after every epoch.
    callbacks
        Further Lightning callbacks.

    Returns
    -------
    The network in evaluation mode on the CPU.

    Raises
    ------
    BundleError
        When `run_dir` holds the checkpoint of another recipe, or `start` is of
        another autoencoder.
    CohortError
        When the data do not fit the recipe.
    """
    for part in (train, val):
        if part is not None:
            _check_data(recipe, part)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    checkpoint = run_dir / CHECKPOINT
    if checkpoint.is_file():
        _check_same_training(checkpoint, recipe)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    weights = positive_weights(train)
    module = LatentModule(recipe, positive_weights=weights, on_progress=on_progress)
    if start is not None:
        start_from(module.network, start)
    watch = val if val is not None else train
    trainer = lightning.Trainer(
        accelerator=resolve_device(device),
        precision=recipe.precision,
        devices=devices,
        strategy="ddp_find_unused_parameters_true"
        if strategy == "auto" and devices != 1
        else strategy,
        max_epochs=recipe.epochs,
        default_root_dir=run_dir,
        logger=False,
        plugins=[BesideThenRenamed()],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            _Report(run_dir, recipe, watch, on_progress=on_progress, on_epoch=on_epoch),
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
            datamodule=_Batches(recipe, train, val),
            ckpt_path=checkpoint if checkpoint.is_file() else None,
            weights_only=True,
        )
    network = module.network
    if module.best_weights is not None:
        network.load_state_dict(module.best_weights)
    network = network.cpu().eval()
    if recipe.refit and recipe.head_epochs:
        return new_classifiers(network, train, recipe, on_progress=on_progress)
    if recipe.balance:
        take_back_balance(network, weights)
    return network


def start_from(network: LatentHeart, weights: Mapping[str, Tensor]) -> None:
    """Give a network the autoencoder of another one; its classifiers stay as they are.

    Raises
    ------
    BundleError
        With the first tensor that does not fit.
    """
    own = network.state_dict()
    shared = [name for name in own if name.split(".")[0] in AUTOENCODER]
    for name in shared:
        found = tuple(weights[name].shape) if name in weights else None
        if found != tuple(own[name].shape):
            raise BundleError(
                f"the model to start from has another autoencoder: {name} is {found}, "
                f"{tuple(own[name].shape)} is needed."
            )
    network.load_state_dict({**own, **{name: weights[name] for name in shared}})


class _Batches(lightning.LightningDataModule):
    """Training subjects in an order that only seed and epoch decide; validation on every process."""

    def __init__(self, recipe: LatentRecipe, train: TrainingData, val: TrainingData | None) -> None:
        super().__init__()
        self.recipe, self.train, self.val = recipe, train, val

    def train_dataloader(self) -> DataLoader:
        """Whole batches; a smaller last one is left out."""
        assert self.trainer is not None
        size = self.recipe.batch_size
        sampler: DistributedSampler = DistributedSampler(
            SequenceBatches(self.train),
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
            seed=self.recipe.seed,
        )
        return DataLoader(
            SequenceBatches(self.train),
            batch_size=size,
            sampler=sampler,
            collate_fn=as_it_is,
            drop_last=len(sampler) > size,
        )

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """All validation subjects in order."""
        if self.val is None:
            return []
        return DataLoader(
            SequenceBatches(self.val), batch_size=_VALIDATED_AT_ONCE, collate_fn=as_it_is
        )


class _Report(lightning.Callback):
    """Progress, `metrics.csv` and the report of each epoch."""

    def __init__(
        self,
        run_dir: Path,
        recipe: LatentRecipe,
        watch: TrainingData,
        *,
        on_progress: Progress,
        on_epoch: Callable[[EpochReport], None] | None,
    ) -> None:
        self.file = run_dir / METRICS
        self.recipe, self.watch = recipe, watch
        self.on_progress, self.on_epoch = on_progress, on_epoch
        self.rows: list[dict[str, float | str]] = []
        self.started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Rows so far, so that the file and the checkpoint tell the same story."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report the step; whoever listens may wait or raise."""
        batches = int(trainer.num_training_batches)
        done = trainer.current_epoch * batches + batch_idx + 1
        self.on_progress(
            done,
            self.recipe.epochs * batches,
            f"epoch {trainer.current_epoch + 1} of {self.recipe.epochs}, {pl_module.stage}",
        )

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Write the row of the epoch and show a reconstruction."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row: dict[str, float | str] = {
            "epoch": trainer.current_epoch + 1,
            "stage": pl_module.stage,
            "seconds": round(time.perf_counter() - self.started, 2),
            "learning_rate": pl_module.optimizers().param_groups[0]["lr"],
            **metrics,
        }
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        columns = list(dict.fromkeys(name for one in self.rows for name in one))
        with (
            replacing(self.file) as beside,
            beside.open("w", newline="", encoding="utf-8") as stream,
        ):
            table = csv.DictWriter(stream, columns)
            table.writeheader()
            table.writerows(self.rows)
        if self.on_epoch is not None:
            shown, decoded = self._preview(pl_module)
            self.on_epoch(
                EpochReport(
                    trainer.current_epoch + 1,
                    self.recipe.epochs,
                    pl_module.stage,
                    metrics,
                    shown,
                    decoded,
                )
            )

    def _preview(self, module: LatentModule) -> tuple[NDArray | None, NDArray | None]:
        network = module.network
        if not network.has_decoder:
            return None, None
        shown = self.watch.rows([0]).sequences
        network.eval()
        with torch.inference_mode():
            mean, _ = network.encode(as_tensor(shown).to(module.device))
            made = network.decode(mean)
        network.train()
        decoded = made.argmax(3).to(torch.uint8) if network.reads == "labels" else made
        return shown[0], decoded[0].cpu().numpy()


def _check_data(recipe: LatentRecipe, data: TrainingData) -> None:
    spec = recipe.spec
    if data.sequences.shape[1:] != spec.shape:
        raise CohortError(
            f"sequences of shape {data.sequences.shape[1:]} do not fit the recipe's {spec.shape}."
        )
    if data.concepts.shape[1] != len(recipe.concepts):
        raise CohortError(
            f"{data.concepts.shape[1]} columns of concepts do not fit the recipe's "
            f"{len(recipe.concepts)}."
        )


def is_unfinished(run_dir: Path) -> bool:
    """Whether a training was interrupted there."""
    checkpoint = run_dir / CHECKPOINT
    if not checkpoint.is_file():
        return False
    return not read_checkpoint(checkpoint, needs="latent")["latent"]["finished"]


def _check_same_training(checkpoint: Path, recipe: LatentRecipe) -> None:
    """Only the numbers of epochs may change when a training goes on."""
    saved = read_checkpoint(checkpoint, needs="latent")["latent"]["recipe"]
    now = recipe.as_json()
    may_change = {"vae_epochs", "primary_epochs", "concept_epochs", "patience"}
    differing = sorted(k for k in now if k not in may_change and saved.get(k) != now[k])
    if differing:
        raise BundleError(
            f"{checkpoint.parent} holds a training with another {', '.join(differing)}; "
            "choose another folder for this one, or delete that one."
        )
