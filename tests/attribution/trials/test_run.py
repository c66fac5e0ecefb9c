import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_cardioxai.attribution.trials import measure
from napari_cardioxai.attribution.trials.picture import limits, plane_through
from napari_cardioxai.attribution.trials.run import Plan, measured_in, run_trials
from napari_cardioxai.attribution.trials.tasks import SystolicMotion, TrialImage, make_task
from napari_cardioxai.attribution.trials.training import cases_of, images_of
from napari_cardioxai.cli import app
from napari_cardioxai.errors import AttributionError

SMALL = ["--side", "16", "--cases", "2", "--networks", "1", "--most-steps", "4"]
METHODS = ["gradient", "ig", "grad-cam", "xrai"]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A tiny trial by the command."""
    folder = tmp_path_factory.mktemp("trial")
    chosen = [word for name in METHODS for word in ("--method", name)]
    said = CliRunner().invoke(
        app, ["evaluate", "attribution", "-o", str(folder), *SMALL, *chosen, "--json"]
    )
    assert said.exit_code == 0, said.output
    return folder, json.loads(said.stdout)


def test_the_command_measures_every_method_and_control(trial):
    _, result = trial
    assert [row["method"] for row in result["rows"]] == [*METHODS, "random", "centre", "edges"]
    scores = result["rows"][1]["scores"]
    assert {"auprc", "insertion", "infidelity", "completeness_percent"} <= set(scores)
    assert scores["auprc"]["maps"] == 2
    assert scores["randomised"]["maps"] == 1
    assert 0 <= result["accuracy"]["residual-0"] <= 1


def test_the_page_the_table_and_the_picture_are_written(trial):
    folder, _ = trial
    page = (folder / "table.html").read_text("utf-8")
    assert "Integrated gradients" in page
    assert "Control: edges" in page
    assert "data:image/png;base64," in page
    assert (folder / "table.csv").is_file()
    assert (folder / "residual-0" / "example.png").stat().st_size > 10_000


def test_a_second_run_measures_nothing_again(trial, monkeypatch):
    folder, _ = trial
    before = list(measured_in(folder))
    monkeypatch.setattr(
        "napari_cardioxai.attribution.trials.run.maps_of_group",
        lambda *_, **__: pytest.fail("measured twice"),
    )
    plan = Plan("volumes", "residual", networks=1, cases=2, most_steps=4, side=16)
    assert run_trials(plan, make_task("volumes", side=16), folder) == before


def test_other_settings_do_not_mix_into_a_folder(trial):
    folder, _ = trial
    plan = Plan("volumes", "residual", networks=1, cases=2, most_steps=5, side=16)
    with pytest.raises(AttributionError, match="other settings"):
        run_trials(plan, make_task("volumes", side=16), folder)


def test_exact_shares_find_the_structure_and_foretell_the_answer_and_controls_do_not():
    task = make_task("volumes", side=16)
    (one,) = cases_of(task, 1, seed=0)
    planted = TrialImage(one.image, one.truth)
    mask = torch.from_numpy(one.truth).float()

    class InTheMask(torch.nn.Module):
        def forward(self, x):
            total = (x * mask).flatten(1).sum(1)
            return torch.stack([-total, total], 1)

    maps = measure.maps_of_group(task, InTheMask(), [planted], methods=["input-x-gradient"])
    rows = measure.measure_group(task, InTheMask(), [planted], maps, name="mask", seed=0, first=0)
    scores = {row.method: row.scores for row in rows}
    assert scores["input-x-gradient"]["auprc"] == pytest.approx(1, abs=0.05)
    assert scores["input-x-gradient"]["infidelity"] == pytest.approx(0, abs=1e-6)
    for control in ("random", "centre", "edges"):
        assert scores[control]["auprc"] < 0.8
        assert scores[control]["infidelity"] > 0.1


def test_cases_do_not_depend_on_how_many_there_are():
    task = make_task("volumes", side=16)
    few, many = cases_of(task, 1, seed=4), cases_of(task, 3, seed=4)
    torch.testing.assert_close(few[0].image, many[0].image)


def test_classes_come_in_turn():
    _, classes = images_of(make_task("volumes", side=16), 4, stream=(0, 0))
    assert classes.tolist() == [0, 1, 0, 1]


def test_systolic_motion_reads_the_difference_between_systole_and_diastole():
    class Heart(torch.nn.Module):
        latent = 2

        def encode(self, frames):
            return frames.flatten(2)[..., :2], None

    model = SystolicMotion(Heart(), es_frame=9, frames=25)
    latents = torch.zeros(1, 25, 1, 1, 1, 2)
    latents[:, 7:12] = torch.tensor([3.0, -1.0])
    latents[:, [23, 24, 0, 1, 2]] = torch.tensor([1.0, 1.0])
    x = latents.movedim(-1, 1).reshape(1, 2, 25, 1, 1, 1)
    torch.testing.assert_close(model.moved(x), torch.tensor([[2.0, -2.0]]))


def test_the_plane_shown_holds_most_of_the_structure():
    truth = np.zeros((3, 4, 5, 5), bool)
    truth[1, 2, 1:3, 1:4] = True
    truth[2, 0, 0, 0] = True
    assert plane_through(truth) == (1, 2)


def test_colours_of_signed_maps_are_symmetric():
    assert limits(np.array([-1.0, 0.5]), signed=True) == pytest.approx((-1.0, 1.0), abs=0.01)


def test_an_unknown_task_or_method_is_told():
    with pytest.raises(AttributionError, match="there is no task 'brains'"):
        make_task("brains")
    said = CliRunner().invoke(app, ["evaluate", "attribution", "-o", "x", "--method", "guess"])
    assert said.exit_code == 2


def test_xrai_without_what_it_ranks_is_refused():
    task = make_task("volumes", side=16)
    network = task.build["residual"]().eval()
    with pytest.raises(AttributionError, match="ask for ig"):
        measure.maps_of_group(task, network, cases_of(task, 1, seed=0), methods=["xrai"])
