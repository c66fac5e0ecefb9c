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
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from napari_cardioxai.cohorts.augmentation import slice_augmentation
from napari_cardioxai.cohorts.phantom_slices import PhantomSlices
from napari_cardioxai.cohorts.slices import PIXEL_MM, SliceDataset, SlicePair
from napari_cardioxai.errors import BundleError
from napari_cardioxai.networks.segmentation import SEGMENTERS
from napari_cardioxai.training.checkpoints import (
    BesideThenRenamed,
    read_checkpoint,
    stopping_by_interrupt,
)
from napari_cardioxai.training.segmenters.partial_labels import PartialLabelLoss

_REGION_SHOWN = 1.3  # of the crop: what shifts and turns of a training picture can reach


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
        Keyword arguments of that network; the number of classes follows from `structures`.
    structures
        1 for the LV cavity, 3 for LV cavity, myocardium and RV cavity.
    phantoms
        Pictures of drawn hearts per epoch, new ones every time. They alone know
        three structures.
    taught
        Whether the starting weights stay as a teacher of the structures that a
        picture does not know; see `PartialLabelLoss`.
    start_share
        Share of the starting weights in the final ones. Between the two lies a
        network that knows the new pictures and forgot little of what it knew
        of others (Wortsman et al. 2022, eq. 1).
    picture_by_picture
        Of `PartialLabelLoss`.
    pixel_mm
        In-plane spacing that the network works at. Below `cohorts.slices.PIXEL_MM`
        pictures are enlarged, which a network with a coarse stride needs.
    crop
        Side of the training crop in those pixels, a multiple of 16.
    region
        Side of the square around the heart that is looked at later; as the
        crop by default.
    views
        From how many sides it is looked at later; see `SegmenterCard`.
    augmentation, turned, bend
        `strength`, `turned` and `bend` of `slice_augmentation`.
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
    structures: int = 1
    phantoms: int = 0
    taught: bool = False
    start_share: float = 0.0
    picture_by_picture: bool = False
    pixel_mm: float = PIXEL_MM
    crop: int = 160
    region: int | None = None
    views: int = 1
    augmentation: float = 0.6
    turned: float = 0.12
    bend: float = 0.0
    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 2e-3
    decay_rate: float = 0.5
    decay_steps: int = 160
    weight_decay: float = 1e-4
    ema_decay: float = 0.995
    precision: str = "bf16-mixed"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.structures not in (1, 3) or (self.structures == 3 and self.phantoms < 1):
            raise BundleError(
                "a segmenter learns 1 structure, or 3 with phantoms, because the contoured "
                "pictures know the LV cavity only."
            )

    def build(self) -> torch.nn.Module:
        """The untrained network."""
        return SEGMENTERS[self.network](classes=self.structures + 1, **self.network_params)


_HEART: dict[str, Any] = {
    "network": "unet",
    "structures": 3,
    "picture_by_picture": True,
    "crop": 128,
    "region": 160,
    "views": 2,
}
# A stride of 16 needs enlarged pictures; networks of little capacity less augmentation.
_COARSE_STRIDE: dict[str, Any] = {"learning_rate": 1e-3, "augmentation": 0.4, "turned": 0.08}
RECIPES: dict[str, dict[str, Any]] = {
    # Drawn hearts alone, of every look and orientation: where `heart-unet` starts from.
    "phantom-unet": _HEART
    | {
        "phantoms": 640,
        "augmentation": 0.8,
        "turned": 0.5,
        "bend": 8.0,
        "epochs": 28,
        "decay_steps": 380,
    },
    # Real pictures, of which the LV is known, and drawn ones, of which everything is.
    "heart-unet": _HEART
    | {
        "phantoms": 160,
        "taught": True,
        "start_share": 0.3,
        "turned": 0.2,
        "bend": 3.0,
        "epochs": 48,
        "learning_rate": 1.5e-3,
        "decay_steps": 307,
    },
    # The left ventricle alone, from real pictures alone.
    "lv-unet": {
        "augmentation": 0.8,
        "turned": 0.3,
        "bend": 4.0,
        "epochs": 100,
        "decay_steps": 400,
        "ema_decay": 0.998,
    },
    "lv-fcn": _COARSE_STRIDE
    | {
        "network": "lv-fcn",
        "pixel_mm": PIXEL_MM / 2,
        "crop": 224,
        "epochs": 32,
        "decay_steps": 130,
    },
    "alexnet-fcn": _COARSE_STRIDE
    | {
        "network": "alexnet-fcn",
        "pixel_mm": PIXEL_MM / 1.5,
        "crop": 192,
        "epochs": 15,
        "decay_steps": 60,
    },
}
"""Named recipes: what differs from the defaults."""


def recipe_for(name: str, **changes: Any) -> SegmenterRecipe:
    """A recipe by its name in `RECIPES`, with fields changed.

    Raises
    ------
    BundleError
        When there is no such recipe.
    """
    if name not in RECIPES:
        raise BundleError(f"there is no recipe {name!r}; known are {', '.join(sorted(RECIPES))}.")
    return SegmenterRecipe(**{**RECIPES[name], **changes})


class SegmenterModule(lightning.LightningModule):
    """A slice segmenter under training.

    Parameters
    ----------
    recipe
        `SegmenterRecipe` or its fields as a dictionary (as checkpoints keep it).
    teacher
        Network in evaluation mode for `PartialLabelLoss`.
    """

    def __init__(
        self,
        recipe: SegmenterRecipe | dict[str, Any],
        *,
        teacher: torch.nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.recipe = recipe if isinstance(recipe, SegmenterRecipe) else SegmenterRecipe(**recipe)
        self.save_hyperparameters({"recipe": asdict(self.recipe)})
        self.network = self.recipe.build()
        self.loss = PartialLabelLoss(picture_by_picture=self.recipe.picture_by_picture)
        # In a tuple, where neither checkpoints nor the averaging of weights look.
        self._teacher = () if teacher is None else (teacher,)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Dice plus cross-entropy of one batch of crops."""
        image, label, known = batch["image"], batch["label"], batch["known"]
        logits = self.network(image).float()
        loss = self.loss(logits, label, known, taught=self._taught(image))
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["image"]))
        return loss

    @torch.no_grad()
    def _taught(self, image: torch.Tensor) -> torch.Tensor | None:
        for teacher in self._teacher:
            return teacher.to(image.device)(image).float()
        return None

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
    start: Path | None = None,
    device: str = "auto",
    callbacks: Sequence[lightning.Callback] = (),
) -> torch.nn.Module:
    """Train on the given pictures, going on from `run_dir` where a run was interrupted.

    Parameters
    ----------
    recipe, pairs
        How, and on what. Nothing is held out here: what must not be learnt
        from must not be passed. No pictures: the phantoms alone.
    run_dir
        Receives `last.ckpt` after every epoch and `logs/version_N/metrics.csv`.
    start
        Weights (safetensors) of the same network to begin with instead of random ones.
    device
        A Lightning accelerator name.
    callbacks
        Further Lightning callbacks, such as progress of the window.

    Returns
    -------
    The network in evaluation mode on the CPU, with the averaged weights.

    Raises
    ------
    BundleError
        When `run_dir` holds the checkpoint of another recipe, `start` the
        weights of another network, or there is no `start` where the recipe
        keeps something of it.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    data, drawn = _pictures(recipe, pairs)
    loader = DataLoader(
        data,
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=len(data) > recipe.batch_size,
    )
    first = _started(recipe, start) if recipe.taught or recipe.start_share else None
    module = SegmenterModule(recipe, teacher=first if recipe.taught else None)
    if start is not None:
        _begin_with(module.network, start)
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
        plugins=[BesideThenRenamed()],
        callbacks=[
            ModelCheckpoint(run_dir, filename="last", save_top_k=1, enable_version_counter=False),
            EMAWeightAveraging(decay=recipe.ema_decay),
            _Redraw(drawn),
            *callbacks,
        ],
    )
    with stopping_by_interrupt():
        trainer.fit(
            module,
            loader,
            ckpt_path=checkpoint if checkpoint.is_file() else None,
            weights_only=True,
        )
    # The file holds the averaged weights; after a resume the module may hold the last ones.
    kept = SegmenterModule.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    if first is not None:
        _mix_in(kept.network, first.cpu(), recipe.start_share)
    return kept.network.eval()


def _started(recipe: SegmenterRecipe, start: Path | None) -> torch.nn.Module:
    """The network as the training found it."""
    if start is None:
        raise BundleError("this recipe keeps what its starting weights know; say which: --start.")
    network = recipe.build().requires_grad_(False).eval()
    _begin_with(network, start)
    return network


def _begin_with(network: torch.nn.Module, start: Path) -> None:
    try:
        network.load_state_dict(load_file(start))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(
            f"{start} cannot be started from: it does not hold the weights of this recipe's network."
        ) from error


def _mix_in(network: torch.nn.Module, first: torch.nn.Module, share: float) -> None:
    before = first.state_dict()
    mixed = {
        name: torch.lerp(value, before[name], share) if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(mixed)


class _Redraw(lightning.Callback):
    """New phantoms at the start of every epoch."""

    def __init__(self, drawn: Sequence[PhantomSlices]) -> None:
        self.drawn = drawn

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        for phantoms in self.drawn:
            phantoms.draw(trainer.current_epoch)


def _pictures(
    recipe: SegmenterRecipe, pairs: Sequence[SlicePair]
) -> tuple[ConcatDataset, list[PhantomSlices]]:
    """Everything that an epoch shows, and the part of it that is drawn anew."""
    augment = slice_augmentation(
        recipe.crop,
        strength=recipe.augmentation,
        turned=recipe.turned,
        bend=recipe.bend,
        seed=recipe.seed,
    )
    zoom = PIXEL_MM / recipe.pixel_mm
    parts: list[Dataset] = []
    drawn = []
    if pairs:
        region = round(_REGION_SHOWN * recipe.crop / zoom)
        parts.append(
            SliceDataset(
                pairs, zoom=zoom, region=region, structures=recipe.structures, transform=augment
            )
        )
    if recipe.phantoms:
        drawn.append(
            PhantomSlices(
                recipe.phantoms, pixel_mm=recipe.pixel_mm, transform=augment, seed=recipe.seed
            )
        )
    return ConcatDataset([*parts, *drawn]), drawn


def _check_same_training(checkpoint: Path, recipe: SegmenterRecipe) -> None:
    """Only what comes to bear at its end may change when a training goes on."""
    saved = read_checkpoint(checkpoint, needs="hyper_parameters")["hyper_parameters"]
    now = asdict(recipe)
    late = ("epochs", "start_share", "views")
    differing = sorted(k for k in now if k not in late and saved["recipe"].get(k) != now[k])
    if differing:
        raise BundleError(
            f"{checkpoint.parent} holds a training with another {', '.join(differing)}; "
            "choose another folder for this one, or delete that one."
        )
