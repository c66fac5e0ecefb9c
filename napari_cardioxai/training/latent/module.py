"""A latent heart under training: its stages, its steps, and what it is watched by."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cardioxai.networks.latent import LatentHeart, channels_last
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.training.evaluation.roc import auc
from napari_cardioxai.training.latent.data import TrainingData, moved
from napari_cardioxai.training.latent.heads import (
    FixedLatents,
    WallMotion,
    encode_subjects,
    fit_heads,
    wall_motion,
)
from napari_cardioxai.training.latent.loss import kl_divergence, known_bce, patch_cross_entropy
from napari_cardioxai.training.latent.perceptual import PerceptualDistance
from napari_cardioxai.training.latent.recipe import LatentRecipe, one_cycle
from napari_cardioxai.training.latent.walls import SECTORS

STRUCTURES = {1: "lv", 2: "myo", 3: "rv"}
_WATCHED_EVERY = 5  # frames: neighbours are too alike to tell more


@dataclass
class StageClock:
    """Where a training is; part of its checkpoint.

    Attributes
    ----------
    stage, epoch
        Number of the stage, and of epochs done in it.
    best, waited
        Best validation loss of the stage, and epochs since.
    """

    stage: int = 0
    epoch: int = 0
    best: float = math.inf
    waited: int = 0

    def advance(self, stages: tuple[tuple[str, int], ...]) -> None:
        """Go on to the stage that the next epoch belongs to; stay at the last one."""
        while self.stage < len(stages) - 1 and self.epoch >= stages[self.stage][1]:
            self.next_stage()

    def next_stage(self) -> None:
        """Begin another stage."""
        self.stage, self.epoch, self.best, self.waited = self.stage + 1, 0, math.inf, 0


class LatentModule(lightning.LightningModule):
    """A latent heart under training.

    Everything random in an epoch comes from the seed and the number of the
    epoch, so that a resumed training ends where an uninterrupted one does.

    Parameters
    ----------
    recipe
        What to do.
    positive_weights
        Negatives over positives of the label and of each concept, shape (1 + K,).
    on_progress
        Told while new classifiers learn on fixed latents.
    """

    positive_weights: Tensor

    def __init__(
        self,
        recipe: LatentRecipe,
        *,
        positive_weights: Tensor,
        on_progress: Progress = silent,
    ) -> None:
        super().__init__()
        self.recipe, self.on_progress = recipe, on_progress
        self.network: LatentHeart = channels_last(recipe.build())
        self.wall = (
            WallMotion(2 * SECTORS * self.network.slices)
            if recipe.wall and recipe.reads == "labels"
            else None
        )
        # In a tuple, where neither checkpoints nor the optimiser look.
        self._perceptual = (PerceptualDistance.of_segmenter(),) if recipe.perceptual else ()
        self.register_buffer("positive_weights", positive_weights, persistent=False)
        self.clock = StageClock()
        self.best_weights: dict[str, Tensor] | None = None
        self._watched: list[dict[str, Tensor]] = []

    # Stages -----------------------------------------------------------------

    @property
    def stage(self) -> str:
        """Name of the stage of the running epoch."""
        return self.recipe.stages[self.clock.stage][0]

    @property
    def terms(self) -> tuple[str, ...]:
        """The classifiers that take part in the running stage."""
        if self.stage == "vae":
            return ()
        return ("primary", "concepts") if self.stage == "concepts" else ("primary",)

    @property
    def new_terms(self) -> tuple[str, ...]:
        """Those of them that no earlier stage had."""
        earlier = {name for name, _ in self.recipe.stages[: self.clock.stage]}
        return tuple(term for term in self.terms if term == self.stage or "primary" not in earlier)

    @property
    def _is_still(self) -> bool:
        """Whether steps change nothing, because the autoencoder stays as it is."""
        is_later = self.clock.stage > 0 and self.recipe.stages[0][0] == "vae"
        return is_later and self.recipe.later_rate == 0

    def _welcome_classifiers(self) -> None:
        """Let classifiers that are new in this stage learn on latents as they are."""
        train: TrainingData = self.trainer.datamodule.train
        targets = None
        if self.wall is not None:
            targets = wall_motion(train.sequences, es_frame=self.recipe.spec.es_frame)
            self.wall.standardise_on(targets)
        is_autoencoder = self.recipe.stages[0][0] == "vae"
        if not (self.recipe.head_epochs and is_autoencoder and self.clock.stage):
            return
        device = self.device
        data = FixedLatents(
            encode_subjects(self.network, train.sequences, on_progress=self.on_progress),
            torch.from_numpy(train.labels).to(device),
            torch.from_numpy(train.concepts).to(device),
            None if targets is None else torch.from_numpy(targets).to(device),
        )
        fit_heads(
            self.network,
            data,
            self.recipe,
            terms=self.new_terms,
            wall=self.wall,
            weights=self.positive_weights if self.recipe.balance else None,
            seed=self._seed(0),
            on_progress=self.on_progress,
        )

    def on_train_epoch_start(self) -> None:
        """Choose the stage; dropout and noise start from the epoch's own seed."""
        self.clock.advance(self.recipe.stages)
        if self.clock.epoch == 0 and self.terms:
            self._welcome_classifiers()
        torch.manual_seed(self._seed(0))

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Set the learning rate by how far the stage has come."""
        rate = self.recipe.learning_rate
        if self.clock.stage and self.recipe.stages[0][0] == "vae":
            rate *= self.recipe.later_rate
        if self.recipe.schedule == "one-cycle":
            batches = max(1, int(self.trainer.num_training_batches))
            length = self.recipe.stages[self.clock.stage][1] * batches
            rate *= one_cycle((self.clock.epoch * batches + batch_idx) / length)
        for group in self.optimizers().param_groups:
            group["lr"] = rate

    def on_train_epoch_end(self) -> None:
        """Count the epoch, keep the best weights of the last stage, end a stage that is done."""
        clock, stages = self.clock, self.recipe.stages
        clock.epoch += 1
        is_last = clock.stage == len(stages) - 1
        value = self.trainer.callback_metrics.get("val_loss")
        if value is not None:
            if float(value) < clock.best:
                clock.best, clock.waited = float(value), 0
                if is_last:
                    self.best_weights = {
                        name: tensor.detach().cpu().clone()
                        for name, tensor in self.network.state_dict().items()
                    }
            else:
                clock.waited += 1
        is_stuck = 0 < self.recipe.patience <= clock.waited
        if is_last and (is_stuck or clock.epoch >= stages[clock.stage][1]):
            self.trainer.should_stop = True
        elif is_stuck:
            clock.next_stage()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add recipe, clock and best weights, in plain types and tensors."""
        checkpoint["latent"] = {
            "recipe": self.recipe.as_json(),
            "clock": asdict(self.clock),
            "best_weights": self.best_weights,
            "finished": bool(self.trainer.should_stop),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Inverse of `on_save_checkpoint`."""
        self.clock = StageClock(**checkpoint["latent"]["clock"])
        self.best_weights = checkpoint["latent"]["best_weights"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay."""
        return torch.optim.AdamW(
            self.parameters(),
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
        )

    # Steps ------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch; its terms go into the log."""
        recipe = self.recipe
        is_last = batch_idx + 1 == int(self.trainer.num_training_batches)
        if self._is_still and not is_last:  # the last step is enough to tell the loss
            return 0.0 * next(self.network.parameters()).sum()
        generator = torch.Generator().manual_seed(self._seed(1 + batch_idx))
        sequences = batch["sequences"]
        if self.stage == "vae" and recipe.frames_per_subject:
            sequences = self._some_frames(sequences, generator)
        x = moved(
            sequences, shift_px=recipe.shift_px, turn_deg=recipe.turn_deg, generator=generator
        )
        mean, log_variance = self.network.encode(x)
        terms: dict[str, Tensor] = {}
        loss = mean.new_zeros(())
        if log_variance is not None:
            terms |= self._evidence(x, mean, log_variance, generator)
            beta = recipe.beta * self._warm_up()
            loss = loss + (terms["reconstruction"] + beta * terms["kl"]) / self._pixels
            if "perceptual" in terms:
                loss = loss + recipe.perceptual * terms["perceptual"]
        weights = self.positive_weights if recipe.balance else None
        if "primary" in self.terms:
            said = self.network.classify(mean)
            logit, features = said["logit"], said["features"]
            assert logit is not None and features is not None
            terms["bce"] = known_bce(
                logit,
                batch["label"],
                positive_weight=None if weights is None else weights[0],
            )
            loss = loss + recipe.gamma * terms["bce"]
            if self.wall is not None:
                targets = wall_motion(
                    batch["sequences"].cpu().numpy(), es_frame=recipe.spec.es_frame
                )
                terms["wall"] = self.wall(features, torch.from_numpy(targets).to(mean.device))
                loss = loss + recipe.wall * terms["wall"]
        if "concepts" in self.terms:
            logits = self.network.classify_concepts(mean)
            assert logits is not None
            terms["concept_bce"] = known_bce(
                logits,
                batch["concepts"],
                positive_weight=None if weights is None else weights[1:],
            )
            loss = loss + recipe.alpha * terms["concept_bce"]
        for name, value in {"loss": loss, **terms}.items():
            self.log(name, value, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(x))
        return loss

    def _evidence(
        self, x: Tensor, mean: Tensor, log_variance: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Reconstruction and KL in nats per frame, perceptual distance; later stages decode some frames only."""
        kl = kl_divergence(mean, log_variance).mean()
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        if self.stage != "vae" and self.recipe.frames_per_subject:
            frames = self._frames(x.shape[1], generator)
            z, x = z[:, frames], x[:, frames]
        return {**self.reconstruction(z, x), "kl": kl}

    def reconstruction(self, z: Tensor, x: Tensor) -> dict[str, Tensor]:
        """Negative log-likelihood of frames given latents in nats per frame; perceptual distance.

        Returns
        -------
        `reconstruction`, and `perceptual` where the recipe asks for it; shape () each.
        """
        network = self.network
        frames = x.flatten(0, 1)
        if network.reads == "images":
            made = network.decode(z).flatten(0, 1).float()
            squares = (made - frames).square().sum() / len(frames)
            terms = {"reconstruction": 0.5 * squares / self.recipe.image_sd**2}
            for distance in self._perceptual:
                pictures = (p.flatten(0, 1).unsqueeze(1) for p in (made, frames))
                terms["perceptual"] = distance.to(made.device)(*pictures)
            return terms
        parts = network.decode_patches(z)
        targets = frames.split([len(part) for part in parts])
        sums = [
            patch_cross_entropy(part, true, classes=network.classes, patch=network.patch)
            for part, true in zip(parts, targets, strict=True)
        ]
        return {"reconstruction": torch.stack(sums).sum() / len(frames)}

    def _logit(self, mean: Tensor) -> Tensor:
        logit = self.network.classify(mean)["logit"]
        assert logit is not None
        return logit

    def _some_frames(self, sequences: Tensor, generator: torch.Generator) -> Tensor:
        """Other frames of each subject, drawn without repetition."""
        count, frames = sequences.shape[:2]
        kept = min(self.recipe.frames_per_subject, frames)
        order = torch.rand((count, frames), generator=generator).argsort(1)[:, :kept]
        return sequences[torch.arange(count)[:, None], order.to(sequences.device)]

    def _frames(self, frames: int, generator: torch.Generator) -> Tensor:
        kept = min(self.recipe.frames_per_subject, frames)
        return torch.randperm(frames, generator=generator)[:kept]

    def _warm_up(self) -> float:
        if self.stage != "vae" or not self.recipe.kl_warmup_epochs:
            return 1.0
        return min(1.0, (self.clock.epoch + 1) / (self.recipe.kl_warmup_epochs + 1))

    def _seed(self, step: int) -> int:
        """A seed for one step of one epoch on one process."""
        parts = (self.recipe.seed, self.current_epoch, step, self.global_rank)
        return int(np.random.SeedSequence(parts).generate_state(1)[0])

    @property
    def _pixels(self) -> int:
        return self.network.slices * self.network.size**2

    # Validation -------------------------------------------------------------

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Collect what the network makes of subjects that it does not learn from."""
        x = batch["sequences"]
        mean, log_variance = self.network.encode(x)
        seen: dict[str, Tensor] = {"label": batch["label"], "concepts": batch["concepts"]}
        if log_variance is not None:
            some = mean[:, ::_WATCHED_EVERY], x[:, ::_WATCHED_EVERY]
            kl = kl_divergence(mean, log_variance).mean()
            terms = self.reconstruction(*some)
            seen["evidence"] = torch.stack([*terms.values(), kl]) * len(x)
            if self.network.reads == "labels":
                made = self.network.decode(some[0]).argmax(3)
                seen["overlap"] = torch.stack(
                    [
                        torch.stack(
                            [
                                ((made == k) & (some[1] == k)).sum(),
                                (made == k).sum() + (some[1] == k).sum(),
                            ]
                        )
                        for k in STRUCTURES
                    ]
                )
        seen["logit"] = self._logit(mean)
        logits = self.network.classify_concepts(mean)
        if logits is not None:
            seen["concept_logits"] = logits
        self._watched.append({k: v.float().cpu() for k, v in seen.items()})

    def on_validation_epoch_end(self) -> None:
        """Figures of the whole validation set; `val_loss` is the loss of the running stage."""
        watched, self._watched = self._watched, []
        count = sum(len(part["label"]) for part in watched)
        recipe, loss = self.recipe, 0.0
        figures: dict[str, float] = {}
        if "evidence" in watched[0]:
            means = (torch.stack([p["evidence"] for p in watched]).sum(0) / count).tolist()
            nll, *perceptual, kl = means
            figures |= {"val_reconstruction": nll, "val_kl": kl}
            loss += (nll + recipe.beta * kl) / self._pixels
            for distance in perceptual:
                figures["val_perceptual"] = distance
                loss += recipe.perceptual * distance
        if "overlap" in watched[0]:
            both = torch.stack([p["overlap"] for p in watched]).sum(0)
            dice = (2 * both[:, 0] / both[:, 1].clamp_min(1)).tolist()
            figures |= dict(zip([f"val_dice_{s}" for s in STRUCTURES.values()], dice, strict=True))
        weights = self.positive_weights.cpu() if recipe.balance else None
        if "primary" in self.terms:
            label = torch.cat([p["label"] for p in watched])
            logit = torch.cat([p["logit"] for p in watched])
            weight = None if weights is None else weights[0]
            figures["val_bce"] = float(known_bce(logit, label, positive_weight=weight))
            figures["val_auc"] = _area(label.numpy(), logit.numpy())
            loss += recipe.gamma * figures["val_bce"]
        if "concepts" in self.terms:
            truth = torch.cat([p["concepts"] for p in watched])
            logits = torch.cat([p["concept_logits"] for p in watched])
            weight = None if weights is None else weights[1:]
            figures["val_concept_bce"] = float(known_bce(logits, truth, positive_weight=weight))
            for k, concept in enumerate(recipe.concepts):
                figures[f"val_auc {concept.name}"] = _area(
                    truth[:, k].numpy(), logits[:, k].numpy()
                )
            loss += recipe.alpha * figures["val_concept_bce"]
        self.log_dict({"val_loss": loss, **figures}, sync_dist=False)


def _area(truth: NDArray, scores: NDArray) -> float:
    """Area under the ROC curve over those whose truth is known; NaN where one class is missing."""
    known = ~np.isnan(truth)
    if len(np.unique(truth[known])) < 2:
        return float("nan")
    return auc(truth[known].astype(int), scores[known]).value
