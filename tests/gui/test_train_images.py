"""Image recipes in the Train dock, by the same controls as all others."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cardioxai.training.jobs.events import TrainingState
from napari_cardioxai.training.jobs.folder import TrainingJob

from .test_train import Train


@pytest.fixture
def train(window, tmp_path, monkeypatch):
    """A dock that knows the real recipes, with folders of its own."""
    from napari_cardioxai.app.training_choices import ChoicesFinder, TrainingChoices
    from napari_cardioxai.app.widgets.train.dock import TrainDock
    from napari_cardioxai.training.jobs.recipes import describe

    monkeypatch.setenv("CARDIOXAI_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CARDIOXAI_MODELS", str(tmp_path / "models"))
    said = describe()

    def find(self) -> None:  # asking a process would only make the test slow
        self.found.emit(TrainingChoices.from_json(said))

    monkeypatch.setattr(ChoicesFinder, "find", find)
    dock = TrainDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, name="Train")
    window.settle()
    yield Train(window, dock)
    dock.training.close()


@pytest.fixture
def pictures(tmp_path):
    """Two classes of pictures: bright above, bright below."""
    rng = np.random.default_rng(0)
    for kind, rows in (("above", slice(2, 8)), ("below", slice(16, 22))):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for k in range(16):
            picture = 0.2 * rng.random((24, 24))
            picture[rows] += 1
            np.save(tmp_path / "pictures" / kind / f"{k}.npy", picture.astype("f4"))
    return tmp_path / "pictures"


def test_a_folder_of_pictures_is_learnt_from_and_watched(train, pictures, tmp_path):
    values = {
        "network": "brain3d",
        "size": [24, 24],
        "epochs": 4,
        "batch_size": 8,
        "learning_rate": 5e-3,
        "network_params": {"channels": [8, 8], "dropout": 0.0},
    }
    train.fill(TrainingJob("tumour-tuned", values, tmp_path / "models" / "bars", pictures, "cpu"))
    assert train.child("train_data").placeholderText() == "Class folders, or manifest"
    assert "a folder of images for each class" in train.child("train_data").toolTip()
    train.press("start")
    train.wait_for(TrainingState.DONE)
    assert (tmp_path / "models" / "bars" / "card.json").is_file()
    caption = train.child("train_preview_caption").text()
    assert caption.startswith("Epoch 4 · ") and "(not learnt from)" in caption
    assert not train.child("train_preview_heat").isHidden()
    assert train.child("train_preview_picture").prefix() == "Picture "
    assert train.child("train_panels").titles[0] == "As the network sees it"
    curves = train.training.view.curves.epochs
    assert {"loss", "val_loss", "accuracy", "val_accuracy"} <= set(curves)
