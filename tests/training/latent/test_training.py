import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.training.latent.data import TrainingData
from napari_cardioxai.training.latent.heads import (
    new_classifiers,
    positive_weights,
    take_back_balance,
)
from napari_cardioxai.training.latent.module import StageClock
from napari_cardioxai.training.latent.recipe import one_cycle, with_settings
from napari_cardioxai.training.latent.training import METRICS, is_unfinished, train_latent
from tests.training.latent_example import SMALL, beating_rings


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A whole training: the network, its folder and what it reported."""
    folder, reports = tmp_path_factory.mktemp("whole"), []
    network = train_latent(
        SMALL,
        beating_rings(16),
        beating_rings(6, seed=1),
        run_dir=folder,
        device="cpu",
        on_epoch=reports.append,
    )
    return network, folder, reports


def rows_of(folder) -> list[dict[str, str]]:
    with (folder / METRICS).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_one_run_goes_through_all_stages_and_its_loss_falls(uninterrupted):
    _, folder, reports = uninterrupted
    stages = [row["stage"] for row in rows_of(folder)]
    assert stages == ["vae"] * 6 + ["primary"] * 2 + ["concepts"] * 3
    assert [report.stage for report in reports] == stages
    reconstruction = [float(row["val_reconstruction"]) for row in rows_of(folder)]
    assert reconstruction[-1] < 0.5 * reconstruction[0]
    assert "val_auc" in reports[-1].metrics and "val_auc large" in reports[-1].metrics
    assert reports[-1].shown.shape == reports[-1].decoded.shape == (25, 3, 80, 80)


def test_what_was_learnt_tells_weak_hearts_from_strong_ones(uninterrupted):
    network, _, _ = uninterrupted
    unseen = beating_rings(30, seed=7)
    with torch.inference_mode():
        mean, _ = network.encode(torch.from_numpy(unseen.sequences))
        said = network.classify(mean)
    right = (said["logit"].numpy() > 0) == (unseen.labels == 1)
    known = ~np.isnan(unseen.concepts[:, 0])
    concept = (said["concepts"][:, 0].numpy() > 0) == (unseen.concepts[:, 0] == 1)
    assert right.mean() >= 0.8
    assert concept[known].mean() >= 0.8


def test_a_training_killed_at_any_moment_loses_at_most_one_epoch_and_ends_the_same(
    uninterrupted, tmp_path
):
    command = [sys.executable, "-m", "tests.training.latent_example", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=environment)
    try:
        written = tmp_path / METRICS
        deadline = time.monotonic() + 240
        while not (written.is_file() and len(rows_of(tmp_path)) >= 4):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    seen = len(rows_of(tmp_path))
    assert is_unfinished(tmp_path)
    reports = []
    network = train_latent(
        SMALL,
        beating_rings(16),
        beating_rings(6, seed=1),
        run_dir=tmp_path,
        device="cpu",
        on_epoch=reports.append,
    )
    assert reports[0].epoch in (seen, seen + 1), "at most the last epoch is done again"
    assert len(rows_of(tmp_path)) == SMALL.epochs
    expected = uninterrupted[0].state_dict()
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5, msg=name)


def test_a_cancelled_training_goes_on_from_its_last_epoch(tmp_path):
    def stop_in_the_third_epoch(done, total, what):
        if what.startswith("epoch 3"):
            raise Cancelled

    short = replace(SMALL, vae_epochs=2, primary_epochs=2, concept_epochs=0)
    data = beating_rings(8)
    with pytest.raises(Cancelled):
        train_latent(
            short, data, run_dir=tmp_path, device="cpu", on_progress=stop_in_the_third_epoch
        )
    reports = []
    train_latent(short, data, run_dir=tmp_path, device="cpu", on_epoch=reports.append)
    assert [report.epoch for report in reports] == [3, 4]
    assert not is_unfinished(tmp_path)


def test_a_folder_of_another_training_is_not_gone_on_with(uninterrupted):
    _, folder, _ = uninterrupted
    with pytest.raises(BundleError, match="another beta"):
        train_latent(replace(SMALL, beta=1.0), beating_rings(8), run_dir=folder, device="cpu")


def test_ctrl_c_comes_out_of_a_training_as_what_it_is_and_is_heard_again(tmp_path):
    heard_by = signal.getsignal(signal.SIGINT)

    def interrupt(done, total, what):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_latent(SMALL, beating_rings(4), run_dir=tmp_path, device="cpu", on_progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is heard_by
    assert is_unfinished(tmp_path)


@pytest.mark.parametrize("content", [b"", b"junk", b"no checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_named_and_not_gone_on_with(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(BundleError, match="is damaged or no checkpoint"):
        is_unfinished(tmp_path)
    torch.save({"state_dict": {}}, tmp_path / "last.ckpt")
    with pytest.raises(BundleError, match="another kind of training"):
        train_latent(SMALL, beating_rings(4), run_dir=tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("channels=0", "channels .* cannot be 0"),
        ("hidden=8,-3", "hidden .* cannot be 8,-3"),
        ("channels=8,99999", "1 to 4096"),
    ],
)
def test_layers_that_cannot_be_built_are_refused_by_the_recipe(setting, said):
    with pytest.raises(BundleError, match=said):
        with_settings(SMALL, [setting])
    assert with_settings(SMALL, ["hidden=8,4"]).hidden == (8, 4)


def test_a_device_that_is_not_there_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(BundleError, match="no 'tpu' device"):
        train_latent(SMALL, beating_rings(4), run_dir=tmp_path, device="tpu")


def test_a_stage_without_progress_ends_early(tmp_path):
    data = beating_rings(8)
    still = replace(
        SMALL,
        learning_rate=1e-7,
        schedule="constant",
        vae_epochs=6,
        primary_epochs=6,
        concept_epochs=0,
        patience=1,
    )
    # Noise as truth: nothing that is learnt makes the validation loss fall for long.
    noise = TrainingData.of(
        np.random.default_rng(0).integers(0, 4, data.sequences[:4].shape, dtype=np.uint8),
        labels=[0, 1, 0, 1],
        concepts=np.zeros((4, 1)),
    )
    train_latent(replace(still, learning_rate=0.05), data, noise, run_dir=tmp_path, device="cpu")
    stages = [row["stage"] for row in rows_of(tmp_path)]
    assert stages.count("vae") < 6 and stages.count("primary") >= 1
    assert not is_unfinished(tmp_path)


def test_data_that_do_not_fit_the_recipe_are_refused(tmp_path):
    data = beating_rings(4)
    with pytest.raises(CohortError, match="columns of concepts"):
        train_latent(replace(SMALL, concepts=()), data, run_dir=tmp_path, device="cpu")
    with pytest.raises(CohortError, match="do not fit the recipe"):
        train_latent(replace(SMALL, frames=50), data, run_dir=tmp_path, device="cpu")


def test_the_clock_passes_through_the_stages_and_stays_at_the_last():
    stages = (("vae", 2), ("primary", 1), ("concepts", 1))
    clock, seen = StageClock(), []
    for _ in range(6):
        clock.advance(stages)
        seen.append(clock.stage)
        clock.epoch += 1
    assert seen == [0, 0, 1, 2, 2, 2]


def test_the_learning_rate_rises_and_falls_to_a_hundredth():
    assert one_cycle(0.0) == pytest.approx(0.01)
    assert one_cycle(0.05) == pytest.approx(1.0)
    assert one_cycle(0.525) == pytest.approx(0.505)
    assert one_cycle(1.0) == pytest.approx(0.01)


def test_balancing_weighs_by_negatives_over_positives_and_is_taken_back_from_the_odds():
    nan = np.nan
    data = TrainingData.of(
        np.zeros((5, 25, 3, 80, 80), np.uint8),
        labels=[1, 0, 0, 0, nan],
        concepts=[[1], [1], [0], [nan], [nan]],
    )
    weights = positive_weights(data)
    torch.testing.assert_close(weights, torch.tensor([3.0, 0.5]))
    torch.manual_seed(0)
    network = SMALL.build().eval()
    z = torch.randn(2, 25, 8)
    with torch.inference_mode():
        before = network.classify(z)
    take_back_balance(network, weights)
    with torch.inference_mode():
        after = network.classify(z)
    torch.testing.assert_close(before["logit"] - after["logit"], weights[0].log().expand(2))
    torch.testing.assert_close(
        (before["concepts"] - after["concepts"])[:, 0], weights[1].log().expand(2)
    )


def test_a_training_may_start_from_the_autoencoder_of_another(tmp_path):
    torch.manual_seed(3)
    other = SMALL.build()
    still = replace(SMALL, learning_rate=1e-7, vae_epochs=1, primary_epochs=0, concept_epochs=0)
    network = train_latent(
        still, beating_rings(4), run_dir=tmp_path, start=other.state_dict(), device="cpu"
    )
    torch.testing.assert_close(network.stem[0].weight, other.stem[0].weight, rtol=0, atol=1e-5)
    wider = replace(SMALL, channels=(8, 16)).build()
    with pytest.raises(BundleError, match="another autoencoder"):
        train_latent(
            still, beating_rings(4), run_dir=tmp_path / "b", start=wider.state_dict(), device="cpu"
        )


def test_classifiers_may_be_taught_anew_when_the_autoencoder_is_done(tmp_path):
    short = replace(SMALL, vae_epochs=1, primary_epochs=1, concept_epochs=0, head_epochs=2)
    data = beating_rings(6)
    went_along = train_latent(short, data, run_dir=tmp_path / "a", device="cpu")
    again = replace(short, refit=True)
    anew = train_latent(again, data, run_dir=tmp_path / "b", device="cpu")
    torch.testing.assert_close(anew.posterior.weight, went_along.posterior.weight)
    expected = new_classifiers(went_along, data, again)
    for name, tensor in anew.state_dict().items():
        torch.testing.assert_close(tensor, expected.state_dict()[name], msg=name)
    assert not torch.equal(anew.concept_layer.weight, went_along.concept_layer.weight)
