"""Steps per second of a training against bare steps, and of the time slider beside a training."""

import importlib.util
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

SUBJECTS = 64
EPOCHS = 8  # of four steps each
ROUNDS = 6
WARM_STEPS = 3


def run() -> dict[str, float]:
    """Both ratios and what they are made of; each pair is measured in turn within one run."""
    return {**loop(), **slider()}


# The loop ---------------------------------------------------------------------------


def loop() -> dict[str, float]:
    """Steps of `train_latent` as a job runs it, and bare ones between them.

    A step of the loop is all that happens from the end of one to the end of the
    next within an epoch: reading, shifting, the step itself, logging, telling
    the window. A bare one is forward, loss, backward and the optimiser's step
    of the same stage on a batch that lies ready.
    """
    import torch

    from napari_cardioxai.training.jobs.callback import JobCallback
    from napari_cardioxai.training.jobs.control import JobControl
    from napari_cardioxai.training.jobs.events import EventLog
    from napari_cardioxai.training.jobs.folder import RunFolder
    from napari_cardioxai.training.jobs.latent import reconstruction
    from napari_cardioxai.training.latent.recipe import CloughRecipe
    from napari_cardioxai.training.latent.training import train_latent

    # The autoencoder's stage; those after it may leave it as it is and have next to no steps.
    recipe = CloughRecipe.tuned(vae_epochs=EPOCHS, primary_epochs=0, concept_epochs=0)
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        job = RunFolder(Path(folder))
        job.previews.mkdir()
        clock = _clock_of(recipe)
        try:
            with JobControl(job) as control:
                telling = JobCallback(job, EventLog(job), control, preview=reconstruction)
                train_latent(
                    recipe,
                    _subjects(recipe),
                    run_dir=job.path,
                    device="cpu",
                    callbacks=[telling, clock],
                )
        finally:
            torch.set_num_threads(threads)
    return {
        "ratio": sum(clock.bare_s) / sum(clock.loop_s),
        "loop_steps_per_s": len(clock.loop_s) / sum(clock.loop_s),
        "bare_steps_per_s": len(clock.bare_s) / sum(clock.bare_s),
    }


def _subjects(recipe):
    """Discs in rings that contract; what is seen does not matter for the speed."""
    from napari_cardioxai.training.latent.data import TrainingData

    rng = np.random.default_rng(0)
    frames, slices, size, _ = recipe.spec.shape
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(yy, xx)
    inner = 13 + 3 * np.cos(2 * np.pi * np.arange(frames) / frames)
    cycle = (radius < inner[:, None, None] + 7).astype(np.uint8) * 2
    cycle[radius < inner[:, None, None]] = 1
    sequences = np.repeat(np.repeat(cycle[:, None], slices, 1)[None], SUBJECTS, 0)
    marks = rng.integers(0, 2, (SUBJECTS, 1 + len(recipe.concepts))).astype(float)
    return TrainingData.of(sequences, labels=marks[:, 0], concepts=marks[:, 1:])


def _clock_of(recipe):
    """A callback that times the loop's steps and takes a bare one after each."""
    import lightning
    import torch

    class Clock(lightning.Callback):
        def __init__(self):
            self.loop_s, self.bare_s, self.steps = [], [], 0
            self.bare = _Bare(recipe)
            self.last = None

        def on_train_epoch_start(self, trainer, pl_module):
            self.last = None  # what happens between epochs is no step

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            now = time.perf_counter()
            taken, self.last = None if self.last is None else now - self.last, None
            state = torch.get_rng_state()
            alone = self.bare.step(trainer, batch, pl_module.stage)
            torch.set_rng_state(state)
            self.steps += 1
            if taken is not None and self.steps > WARM_STEPS:
                self.loop_s.append(taken)
                self.bare_s.append(alone)
            self.last = time.perf_counter()

    return Clock()


class _Bare:
    """Forward, loss, backward, step: the module's own, without all that surrounds it."""

    def __init__(self, recipe) -> None:
        import torch

        from napari_cardioxai.training.latent.module import LatentModule

        still = replace(recipe, shift_px=0.0, turn_deg=0.0)
        columns = 1 + len(recipe.concepts)
        self.module = LatentModule(still, positive_weights=torch.ones(columns))
        self.module.log = lambda *_, **__: None
        self.optimiser = self.module.configure_optimizers()
        self.is_mixed = recipe.precision == "bf16-mixed"
        self.batch = None

    def step(self, trainer, batch, stage) -> float:
        """Seconds of one step."""
        import torch

        self.batch = self.batch or batch
        self.module.trainer = trainer  # it asks for the number of the epoch
        self.module.clock.stage = [name for name, _ in self.module.recipe.stages].index(stage)
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_mixed):
            loss = self.module.training_step(self.batch, 0)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return time.perf_counter() - started


# The window --------------------------------------------------------------------------


def slider() -> dict[str, float]:
    """Frames per second of the time slider while a training runs and while it is paused."""
    from napari_cardioxai.app.desk import desk_of
    from napari_cardioxai.app.window import open_window, process_events, process_until, wait_for_job
    from napari_cardioxai.scans.samples import sample_path
    from napari_cardioxai.training.jobs.events import TrainingState
    from napari_cardioxai.training.jobs.folder import TrainingJob

    play = _play()
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("CARDIOXAI_RUNS")
        os.environ["CARDIOXAI_RUNS"] = str(Path(folder) / "runs")
        viewer = open_window(sample_path())
        wait_for_job(viewer)
        play.labelled(viewer)
        training = desk_of(viewer).training
        viewer.window.add_plugin_dock_widget("napari-cardioxai", "Train")
        values = {"phantoms": 64, "epochs": 10_000, "precision": "32-true"}
        training.start([TrainingJob("phantom-unet", values, Path(folder) / "model", device="cpu")])
        try:
            assert process_until(lambda: training.status.text == "Training.", 600), training.status
            rates = {True: [], False: []}
            for number in range(ROUNDS + 1):
                for is_training, tell, state in (
                    (True, training.go_on, TrainingState.RUNNING),
                    (False, training.pause, TrainingState.PAUSED),
                ):
                    if number or not is_training:
                        tell()
                    reached = process_until(lambda s=state: training.status.state is s, 300)
                    assert reached, training.status
                    process_events(1.0)
                    rate = play.frames_per_second(viewer)
                    if number:  # the first turn warms both
                        rates[is_training].append(rate)
        finally:
            training.close()
            viewer.close()
            os.environ.pop("CARDIOXAI_RUNS")
            if before is not None:
                os.environ["CARDIOXAI_RUNS"] = before
    ratios = [a / b for a, b in zip(rates[True], rates[False], strict=True)]
    return {
        "slider_ratio": statistics.median(ratios),
        "training_fps": statistics.median(rates[True]),
        "idle_fps": statistics.median(rates[False]),
    }


def _play():
    """The neighbouring benchmark, which steps through the same study."""
    spec = importlib.util.spec_from_file_location(
        "bench_play", Path(__file__).with_name("bench_play.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
