import json
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from napari_cardioxai.anatomy.label_files import write_labels
from napari_cardioxai.bundles.bundle import load_network
from napari_cardioxai.bundles.latent import LatentClassifier
from napari_cardioxai.bundles.segmenter import Segmenter
from napari_cardioxai.errors import TrainingError
from napari_cardioxai.training.jobs.__main__ import main, run_job
from napari_cardioxai.training.jobs.events import Curves, EventTail, TrainingState, read_run
from napari_cardioxai.training.jobs.fields import FieldSpec
from napari_cardioxai.training.jobs.folder import Look, Order, RunFolder, TrainingJob
from napari_cardioxai.training.jobs.heat import layer_heat
from napari_cardioxai.training.jobs.previews import read_preview
from napari_cardioxai.training.jobs.search import keep_model, search_jobs, write_runs

from ...cohorts.cines import a_cine
from ..discs import disc_job, write_discs

JOBS = [sys.executable, "-m", "napari_cardioxai.training.jobs"]


@pytest.fixture
def pictures(tmp_path):
    return write_discs(tmp_path / "data")


@pytest.fixture
def run(tmp_path, pictures):
    folder = RunFolder(tmp_path / "runs" / "discs")
    folder.write_job(disc_job(tmp_path, data=pictures))
    return folder


def events(run):
    return EventTail(run.events).new()


def states(run):
    return [e["state"] for e in events(run) if e["event"] == "state"]


def epochs(run):
    return [e["position"] for e in events(run) if e["event"] == "epoch"]


def wait_until(condition, longest_s=120.0):
    deadline = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def with_changes(run, **changes):
    job = run.read_job()
    run.write_job(type(job)(**{**vars(job), "values": {**job.values, **changes}}))


def test_a_job_ends_in_a_model_that_finds_what_it_learnt(run):
    with_changes(run, epochs=12)
    state, text = run_job(run.path)
    assert (state, text) == (TrainingState.DONE, "The model discs is ready.")
    card, network = load_network(run.read_job().output)
    yy, xx = np.mgrid[:80, :80]
    disc = (yy - 40) ** 2 + (xx - 40) ** 2 <= 121
    found = Segmenter(card, network, "cpu", []).label((60 + 120.0 * disc)[None, None])[0, 0] == 1
    assert 2 * (found & disc).sum() / (found.sum() + disc.sum()) > 0.8
    assert card.results["kept_apart"]["patients"] == 1
    assert card.results["kept_apart"]["lv_dice_mean"] > 0.5
    assert "every patient but SC-N-0" in card.split
    record = read_run(run.path)
    assert (record.state, record.epoch) == (TrainingState.DONE, 12)
    assert {"loss", "dice_kept_apart"} <= record.values.keys()
    assert not run.is_alive

    curves = Curves()
    for event in events(run):
        curves.add(event)
    positions, losses = curves.epochs["loss"]
    assert positions == list(range(1, 13))
    assert losses[-1] < losses[0]


def test_curves_know_where_a_stage_began_also_after_going_back():
    curves = Curves()
    for position, stage in ((0.5, "vae"), (1.2, "vae"), (2.1, "primary"), (2.9, "primary")):
        curves.add({"event": "step", "position": position, "values": {"loss": 1}, "stage": stage})
    assert curves.stages == [(0, "vae"), (2, "primary")]
    curves.add({"event": "begin", "position": 1.0, "epochs": 3})
    assert curves.stages == [(0, "vae")]
    curves.add({"event": "step", "position": 1.4, "values": {"loss": 1}})
    assert curves.stages == [(0, "vae")], "a recipe without stages says none"


def test_every_epoch_leaves_a_picture_of_all_layers(run):
    run.set_look(Look(picture=2, heat="gradient"))
    run_job(run.path)
    kept = sorted(run.previews.glob("epoch-*.npz"))
    assert [file.stem for file in kept] == [f"epoch-{k:05}" for k in range(1, 5)]
    shown = read_preview(run.previews / "latest.npz")
    assert (shown.picture, shown.pictures, shown.position) == (2, 4, 4.0)
    network = load_network(run.read_job().output)[1]
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    heats = [panel.heat for panel in shown.panels if panel.heat is not None]
    assert len(heats) == len(layers)
    assert all(heat.shape == (64, 64) and heat.max() == 255 for heat in heats)
    given, made = shown.panels[:2]
    assert set(np.unique(given.labels)) == {0, 1} and made.labels.shape == (64, 64)


def test_pause_waits_and_continue_goes_on(run):
    with_changes(run, epochs=400)
    counted = []

    def person():
        wait_until(lambda: epochs(run))
        run.tell(Order.PAUSE)
        wait_until(lambda: states(run)[-1] == "paused")
        before = len(events(run))
        time.sleep(0.5)
        counted.append(len(events(run)) - before)
        done = len(epochs(run))
        run.tell(Order.RUN)
        wait_until(lambda: len(epochs(run)) > done)
        run.tell(Order.CANCEL)

    helper = threading.Thread(target=person)
    helper.start()
    state, text = run_job(run.path)
    helper.join()
    assert counted == [0], "nothing happens while it is paused"
    assert state is TrainingState.CANCELLED
    assert text == f"Cancelled after epoch {len(epochs(run))}; Resume goes on from there."
    assert states(run)[-3:] == ["paused", "running", "cancelled"]
    assert not run.read_job().output.exists()

    done = len(epochs(run))
    with_changes(run, epochs=done + 2)
    assert run_job(run.path)[0] is TrainingState.DONE
    assert epochs(run) == list(range(1, done + 3)), "no epoch is done twice"


def test_a_folder_without_pictures_fails_in_one_sentence(run, tmp_path):
    job = run.read_job()
    run.write_job(type(job)(**{**vars(job), "data": tmp_path / "nowhere"}))
    state, text = run_job(run.path)
    assert state is TrainingState.FAILED
    assert (
        text
        == f"{tmp_path / 'nowhere'} has no images/*.png; give the folder of Sunnybrook pictures."
    )
    assert read_run(run.path).text == text


def test_a_value_out_of_range_fails_in_one_sentence(run):
    with_changes(run, epochs=0)
    assert run_job(run.path) == (
        TrainingState.FAILED,
        "Epochs cannot be 0; give a whole number, 1 to 10000.",
    )


def test_a_fault_of_ours_is_one_sentence_and_its_details_are_printed(run, monkeypatch, capsys):
    def fail(name, context, values):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("napari_cardioxai.training.jobs.segmenter._train", fail)
    state, text = run_job(run.path)
    assert state is TrainingState.FAILED
    assert text.startswith("ZeroDivisionError: a fault. output.txt in ")
    assert "Traceback" in capsys.readouterr().err


def test_two_processes_do_not_train_the_same_run(run):
    run.beat()
    with pytest.raises(TrainingError, match="another process"):
        run_job(run.path)


def test_a_killed_job_loses_at_most_one_epoch(run):
    with_changes(run, epochs=2000)
    process = subprocess.Popen(
        [*JOBS, str(run.path / "job.json"), "--attached"], stdin=subprocess.PIPE
    )
    wait_until(lambda: len(epochs(run)) >= 3)
    process.kill()
    process.wait()
    record, done = read_run(run.path), len(epochs(run))
    assert record.state is TrainingState.FAILED
    assert record.text == (
        "The training stopped unexpectedly; the last checkpoint is kept and Resume goes on from it."
    )
    with_changes(run, epochs=done + 1)
    resumed = subprocess.Popen([*JOBS, str(run.path), "--attached"], stdin=subprocess.PIPE)
    assert resumed.wait(300) == 0, "also while somebody still holds its standard input"
    assert states(run)[-1] == "done"
    begun = [e["position"] for e in events(run) if e["event"] == "begin"][-1]
    assert done - 1 <= begun <= done
    assert epochs(run)[-1] == done + 1


def test_a_job_whose_window_is_gone_stops_by_itself(run):
    with_changes(run, epochs=2000)
    process = subprocess.Popen([*JOBS, str(run.path), "--attached"], stdin=subprocess.PIPE)
    wait_until(lambda: epochs(run))
    process.stdin.close()
    assert process.wait(60) == 3
    assert states(run)[-1] == "cancelled"
    assert not run.is_alive


def test_a_latent_job_shows_input_against_reconstruction_and_ends_in_a_classifier(tmp_path):
    rows = ["subject,labels,split,label,large"]
    for k in range(6):
        cine = a_cine(frames=24, slices=7, shape=(96, 96), centre_mm=(66.0, 66.0 + k))
        write_labels(tmp_path / f"{k}.nii.gz", cine)
        rows.append(f"s{k},{k}.nii.gz,{'val' if k > 3 else 'train'},{k % 2},{k % 2}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    small = {"latent": 8, "channels": [8, 12], "frame_units": 4, "batch_size": 2}
    epochs = {"vae_epochs": 1, "primary_epochs": 0, "concept_epochs": 1}
    values = {**small, **epochs, "precision": "32-true", "concept_columns": "large"}
    job = TrainingJob(
        "clough", values, tmp_path / "models" / "rings", tmp_path / "manifest.csv", device="cpu"
    )
    run = RunFolder(tmp_path / "runs" / "rings")
    run.write_job(job)
    run.set_look(Look(picture=1))
    state, text = run_job(run.path)
    assert state is TrainingState.DONE, text
    shown = read_preview(run.previews / "latest.npz")
    assert (shown.kind, shown.picture, shown.pictures, shown.position) == ("latent", 1, 2, 2.0)
    assert shown.caption.startswith("s5: Dice of the structures 0.")
    given, made = shown.panels[0:4], shown.panels[4:8]
    assert len(shown.panels) == 3 * 2 * 4, "slices, given and decoded, frames"
    assert all(set(np.unique(p.labels)) == {0, 1, 2, 3} for p in given)
    assert all(p.title.startswith("decoded") and p.labels.shape == (80, 80) for p in made)
    stages = [e["stage"] for e in events(run) if e["event"] == "step"]
    assert (stages[0], stages[-1]) == ("vae", "concepts")
    assert [c.name for c in LatentClassifier.load(job.output, device="cpu").card.concepts] == [
        "large"
    ]


def test_recipes_are_described_in_plain_types(capsys):
    assert main(["--recipes"]) == 0
    said = json.loads(capsys.readouterr().out)
    recipes = {recipe["name"]: recipe for recipe in said["recipes"]}
    assert {"heart-unet", "lv-fcn", "clough", "crt"} <= recipes.keys()
    assert not recipes["heart-unet"]["needs_data"] and recipes["lv-fcn"]["needs_data"]
    assert "heart-unet" in [model["name"] for model in said["models"]]
    assert {"auto", "cpu"} <= set(said["devices"])


def test_a_field_takes_what_is_within_its_limits_and_says_what_it_takes():
    rate = FieldSpec("learning_rate", "Learning rate", "number", 0.1, low=1e-7, high=1)
    share = FieldSpec("kept", "Kept apart", "whole", 20, unit="%", low=0, high=50)
    widths = FieldSpec("channels", "Widths", "wholes", [8, 12], optional=True)
    seed = FieldSpec("seed", "Seed", "whole", 0, low=0, high=2**31 - 1)
    assert (rate.parse("1e-3"), share.parse(" 50 "), widths.parse("8,16")) == (0.001, 50, [8, 16])
    assert widths.parse("") is None
    assert replace(widths, optional=False, default=[]).parse("") == []
    assert rate.parse_several("0.1, 0.2, 0.1") == [0.1, 0.2]
    assert [f.range_text for f in (rate, share, widths, seed)] == ["1e-07–1", "0–50 %", "", "≥ 0"]
    for spec, text, complaint in (
        (rate, "2", "Learning rate cannot be 2; give a number, 1e-07 to 1."),
        (rate, "nan", "Learning rate cannot be nan; give a number, 1e-07 to 1."),
        (share, "2.5", "Kept apart cannot be '2.5'; give a whole number, 0 to 50 %."),
        (share, "", "Kept apart is missing; give a whole number, 0 to 50 %."),
    ):
        with pytest.raises(TrainingError) as found:
            spec.parse(text)
        assert str(found.value) == complaint


def test_a_search_numbers_its_runs_and_one_of_its_models_can_be_kept(tmp_path, pictures):
    job = disc_job(tmp_path, data=pictures)
    jobs = search_jobs(job, {"learning_rate": [0.1, 0.2], "batch_size": [2, 4, 8, 16, 32]})
    runs = write_runs(jobs, tmp_path / "runs")
    assert [run.name for run in runs[::9]] == ["discs-01", "discs-10"]
    last = runs[-1].read_job()
    assert (last.values["learning_rate"], last.values["batch_size"]) == (0.2, 32)
    assert last.output == runs[-1].path / "model"
    with pytest.raises(TrainingError, match="discs-01 already"):
        write_runs(jobs, tmp_path / "runs")

    with pytest.raises(TrainingError, match="no finished model"):
        keep_model(runs[3], tmp_path / "models" / "best")
    model = runs[3].path / "model"
    model.mkdir()
    (model / "card.json").write_text('{"name": "model", "kind": "segmenter"}')
    (model / "weights.safetensors").write_bytes(b"weights")
    keep_model(runs[3], tmp_path / "models" / "best")
    kept = json.loads((tmp_path / "models" / "best" / "card.json").read_text())
    assert kept == {"name": "best", "kind": "segmenter"}
    with pytest.raises(TrainingError, match="already"):
        keep_model(runs[3], tmp_path / "models" / "best")


class TwoLayers(nn.Sequential):
    """Convolutions whose answers are known: twice the input, then minus three times that."""

    def __init__(self):
        super().__init__(nn.Conv2d(1, 1, 1, bias=False), nn.Dropout(0.5), nn.Conv2d(1, 2, 1))
        with torch.no_grad():
            self[0].weight.fill_(2.0)
            self[2].weight.copy_(torch.tensor([0.0, -3.0]).reshape(2, 1, 1, 1))
            self[2].bias.copy_(torch.tensor([0.0, 9.0]))


def test_heat_of_a_layer_is_its_mean_absolute_activation():
    network = TwoLayers().train()
    image = torch.tensor([[0.0, 1.0], [2.0, 4.0]])[None, None]
    logits, (first, last) = layer_heat(network, image)
    np.testing.assert_allclose(first.heat, [[0, 2], [4, 8]])
    np.testing.assert_allclose(last.heat, [[4.5, 1.5], [1.5, 7.5]])  # of 0 and 9 - 6 x
    np.testing.assert_allclose(logits[0, 1], [[9, 3], [-3, -15]])
    assert (first.name, last.name, last.shape) == ("0", "2", (2, 2, 2))
    assert network.training and network[1].training


def test_heat_with_gradient_counts_what_speaks_for_the_structure():
    network = TwoLayers()
    image = torch.tensor([[0.0, 1.0], [2.0, 4.0]])[None, None]
    _, (first, last) = layer_heat(network, image, by="gradient")
    # The structure wins in the upper row only: d(evidence)/d(first) = -3 there, 0 below.
    np.testing.assert_allclose(first.heat, [[0, 6], [0, 0]])
    np.testing.assert_allclose(last.heat, [[4.5, 1.5], [0, 0]])
    assert all(p.grad is None for p in network.parameters())
