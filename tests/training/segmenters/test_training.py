from dataclasses import replace

import numpy as np
import pytest
import torch
from imageio.v3 import imwrite
from lightning.pytorch import Callback
from safetensors.torch import load_file, save_file

from napari_cardioxai.bundles.bundle import load_network
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.cohorts.slices import sunnybrook_pairs
from napari_cardioxai.errors import BundleError, CohortError
from napari_cardioxai.training.segmenters.bundle import make_segmenter_bundle
from napari_cardioxai.training.segmenters.cross_validation import cross_validate
from napari_cardioxai.training.segmenters.training import SegmenterRecipe, train_segmenter

SMALL = SegmenterRecipe(
    network_params={"channels": [8, 16, 32], "residual_units": 1, "dropout": 0.0},
    crop=64,
    epochs=16,
    batch_size=4,
    learning_rate=1e-2,
    ema_decay=0.8,
)


@pytest.fixture
def pictures(tmp_path):
    """Bright discs on a darker textured ground: 4 patients, 6 pictures each."""
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:96, :96]
    for sub in ("images", "lv_masks"):
        (tmp_path / "data" / sub).mkdir(parents=True)
    for patient in range(4):
        for number in range(6):
            y, x, r = rng.uniform(40, 56), rng.uniform(40, 56), rng.uniform(9, 16)
            mask = (yy - y) ** 2 + (xx - x) ** 2 <= r**2
            image = rng.normal(60, 15, mask.shape) + 120 * mask
            name = f"SC-N-{patient:02}-IM-0001-{1 + 20 * number:04}.png"
            imwrite(tmp_path / "data" / "images" / name, image.clip(0, 255).astype(np.uint8))
            imwrite(tmp_path / "data" / "lv_masks" / name, (255 * mask).astype(np.uint8))
    return tmp_path / "data"


def test_cross_validation_learns_discs_and_judges_each_patient_once(pictures, tmp_path):
    result = cross_validate(
        SMALL,
        sunnybrook_pairs(pictures),
        run_dir=tmp_path / "cv",
        folds=2,
        doubtful=["SC-N-02"],
        device="cpu",
    )
    assert result["without_doubtful"]["patients"]["count"] == 3
    assert result["patients"]["count"] == 4
    assert result["patients"]["dice_mean"] > 0.85
    assert (tmp_path / "cv" / "evaluation.json").is_file()
    rows = (tmp_path / "cv" / "pictures.csv").read_text().splitlines()
    assert len(rows) == 1 + 24


def test_an_interrupted_training_goes_on_where_it_stopped(pictures, tmp_path):
    class Stop(Callback):
        def on_train_epoch_end(self, trainer, module):
            if trainer.current_epoch == 2:
                raise KeyboardInterrupt

    pairs = sunnybrook_pairs(pictures)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train_segmenter(SMALL, pairs, run_dir=tmp_path / "run", device="cpu", callbacks=[Stop()])
    assert (tmp_path / "run" / "last.ckpt").is_file()
    epochs = []

    class Count(Callback):
        def on_train_epoch_start(self, trainer, module):
            epochs.append(trainer.current_epoch)

    train_segmenter(SMALL, pairs, run_dir=tmp_path / "run", device="cpu", callbacks=[Count()])
    assert epochs[0] in (2, 3), "at most one epoch is done again"
    assert epochs[-1] == SMALL.epochs - 1


def test_a_folder_of_another_training_is_not_gone_on_with(pictures, tmp_path):
    pairs = sunnybrook_pairs(pictures)
    train_segmenter(replace(SMALL, epochs=1), pairs, run_dir=tmp_path / "run", device="cpu")
    with pytest.raises(BundleError, match="another crop, seed"):
        train_segmenter(
            replace(SMALL, crop=48, seed=1), pairs, run_dir=tmp_path / "run", device="cpu"
        )


def test_a_damaged_checkpoint_is_refused_with_what_to_do(pictures, tmp_path):
    run = tmp_path / "run"
    train_segmenter(replace(SMALL, epochs=1), sunnybrook_pairs(pictures), run_dir=run, device="cpu")
    checkpoint = run / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:2000])
    with pytest.raises(BundleError, match="damaged or no checkpoint; delete it"):
        train_segmenter(SMALL, sunnybrook_pairs(pictures), run_dir=run, device="cpu")
    assert sorted(p.name for p in run.iterdir()) == ["last.ckpt", "logs"]


def test_the_bundle_of_a_training_labels_what_it_learnt(pictures, tmp_path):
    folder = tmp_path / "models" / "disc"
    card = make_segmenter_bundle(
        SMALL,
        pictures,
        folder,
        exclude=["SC-N-03"],
        evaluation=None,
        run_dir=tmp_path / "run",
        device="cpu",
        command="cardioxai train segmenter",
    )
    assert "3 patients" in card.data and "SC-N-03" in card.split
    loaded, network = load_network(folder)
    assert loaded.recipe["epochs"] == SMALL.epochs
    yy, xx = np.mgrid[:96, :96]
    disc = (yy - 48) ** 2 + (xx - 48) ** 2 <= 144
    labels = Segmenter(loaded, network, "cpu", []).label((60 + 120.0 * disc)[None, None])
    assert 2 * (labels[0, 0] & disc).sum() / (labels.sum() + disc.sum()) > 0.85
    assert not any(
        p.isnan().any() for p in network.state_dict().values() if torch.is_floating_point(p)
    )


def test_excluding_an_unknown_patient_is_refused(pictures, tmp_path):
    with pytest.raises(CohortError, match="SC-N-99"):
        make_segmenter_bundle(
            SMALL,
            pictures,
            tmp_path / "b",
            exclude=["SC-N-99"],
            evaluation=None,
            run_dir=tmp_path / "r",
            device="cpu",
            command="",
        )


def test_a_taught_training_asks_for_the_weights_that_teach(pictures, tmp_path):
    with pytest.raises(BundleError, match="--start"):
        train_segmenter(
            replace(SMALL, taught=True),
            sunnybrook_pairs(pictures),
            run_dir=tmp_path / "run",
            device="cpu",
        )


def test_the_final_weights_lie_between_those_at_the_start_and_the_trained_ones(pictures, tmp_path):
    pairs = sunnybrook_pairs(pictures)[:8]
    short = replace(SMALL, epochs=1)
    start = tmp_path / "start.safetensors"
    save_file(
        train_segmenter(short, pairs, run_dir=tmp_path / "0", device="cpu").state_dict(), start
    )
    ends = [
        train_segmenter(
            replace(short, seed=1, start_share=share),
            pairs,
            run_dir=tmp_path / "1",
            start=start,
            device="cpu",
        ).state_dict()
        for share in (0.0, 0.25)
    ]
    before = load_file(start)
    for name, trained in ends[0].items():
        torch.testing.assert_close(ends[1][name], 0.75 * trained + 0.25 * before[name])
