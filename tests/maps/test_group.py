from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.cohorts.manifest import Manifest, read_manifest
from napari_cardioxai.concepts.cohort import ConceptCohort
from napari_cardioxai.errors import CohortError
from napari_cardioxai.maps.group import (
    inside,
    judged_together,
    line_across,
    make_concept,
    mean_heart,
    typical_ruler,
    write_tagged,
)
from napari_cardioxai.maps.subjects import MapSubjects
from napari_cardioxai.scans.geometry import Geometry
from tests.concepts import hearts

COUNT = 60


@pytest.fixture(scope="module")
def known():
    """A model that decides by EF alone, and hearts of which half have a low one."""
    latent = hearts.latents(COUNT, seed=4)
    names = tuple(f"p{k}" for k in range(COUNT))
    cohort = ConceptCohort(
        Manifest(Path("cohort.csv"), pd.DataFrame()),
        names,
        latent,
        hearts.biomarkers(latent),
        np.full((COUNT, 12), np.nan),
        (hearts.RULER,) * COUNT,
        {},
    )
    return hearts.known_classifier(), cohort


def test_points_within_a_line_are_found():
    points = np.array([[0.4, 0.6], [2, 0.5], [0.9, 0.1], [0.1, 0.9]])
    assert inside(points, [[0, 0], [1, 0], [1, 1], [0, 1]]).tolist() == [True, False, True, True]
    assert inside(points, [[0, 0], [1, 0], [1, 1]]).tolist() == [False, False, True, False]
    assert not inside(points, [[0, 0], [1, 1]]).any(), "two corners enclose nothing"


def test_a_group_of_low_ef_is_a_concept_that_the_decision_depends_on(known):
    classifier, cohort = known
    ef = cohort.latent.mean(1)[:, hearts.EF]
    low = [cohort.subjects[k] for k in np.flatnonzero(ef < np.median(ef))]
    made = make_concept(classifier, cohort, " weak ", low)
    assert made.name == "weak"
    vector = made.walk.direction.vector.reshape(hearts.FRAMES, hearts.UNITS)
    assert -vector[:, hearts.EF].sum() / np.sqrt(hearts.FRAMES) > 0.95
    # One standard deviation towards the group lowers EF by one, and the logit is minus EF.
    assert made.tcav.score.value == 1
    assert made.tcav.sensitivity.value == pytest.approx(np.std(ef), rel=0.1)
    assert made.tcav.p_holm < 0.01 and "the decision depends on it" in made.sentence
    walked = made.walk.latents(cohort.latent[:1], [1.0])[0, 0]
    assert walked.mean(0)[hearts.EF] < cohort.latent[0].mean(0)[hearts.EF] - 0.5


def test_a_group_that_the_decision_ignores_is_called_chance(known):
    classifier, cohort = known
    noise = cohort.latent.mean(1)[:, 4]
    rows = np.argsort(noise)
    names = [cohort.subjects[k] for k in rows]
    made = make_concept(classifier, cohort, "noise", names[:20], names[-20:])
    assert made.tcav.p_holm > 0.05 and "no more than by chance" in made.sentence
    assert made.walk.direction.subjects == 40


def test_whoever_tries_many_groups_is_corrected_for_it(known):
    from dataclasses import replace

    classifier, cohort = known
    low = cohort.latent.mean(1)[:, hearts.EF] < 0
    names = [cohort.subjects[k] for k in np.flatnonzero(low)]
    made = make_concept(classifier, cohort, "one", names)
    other = replace(made, tcav=replace(made.tcav, p_permutation=0.03, p_sampling=0.03))
    both = judged_together({"one": made, "two": other})
    assert both["one"].tcav.p_holm == pytest.approx(2 * made.tcav.p)
    assert both["two"].tcav.p_holm == pytest.approx(0.03)


def test_a_concept_needs_a_name_and_ten_subjects(known):
    classifier, cohort = known
    with pytest.raises(CohortError, match="needs a name"):
        make_concept(classifier, cohort, "  ", cohort.subjects[:20])
    with pytest.raises(CohortError, match="3 subjects with the concept"):
        make_concept(classifier, cohort, "few", cohort.subjects[:3])


def test_the_mean_heart_has_the_mean_ejection_fraction(known):
    classifier, cohort = known
    rows = np.array([1, 5, 9])
    heart = mean_heart(classifier, cohort, rows, name="three")
    ef = hearts.ef_percent(cohort.latent[rows].mean(1)[:, hearts.EF].mean())
    assert heart.biomarkers["ef_percent"] == pytest.approx(ef, abs=1.5)
    assert heart.labels.data.shape == (hearts.FRAMES, 3, 80, 80)
    logit = -cohort.latent[rows].mean(1)[:, hearts.EF].mean()
    assert heart.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-3)
    assert heart.sentence.startswith(f"three (3): EF {heart.biomarkers['ef_percent']:.0f} %")
    with pytest.raises(CohortError, match="nobody is in the group"):
        mean_heart(classifier, cohort, [], name="none")


def test_a_mean_heart_has_the_median_clock_and_slice_distance():
    from dataclasses import replace

    slow = replace(
        hearts.RULER,
        geometry=Geometry((8.0, 1.25, 1.25)),
        frame_times_ms=hearts.RULER.frame_times_ms * 1.2,
        cycle_ms=1200.0,
    )
    silent = replace(slow, frame_times_ms=None, cycle_ms=None)
    found = typical_ruler([hearts.RULER, slow, slow, silent])
    assert found.geometry.spacing_mm == (8.0, 1.25, 1.25)
    assert found.cycle_ms == 1200 and found.frame_times_ms[-1] == pytest.approx(24 * 48)
    assert typical_ruler([silent]).frame_times_ms is None


def test_the_line_goes_through_septum_and_lateral_wall():
    data = np.zeros((2, 3, 40, 40), np.uint8)
    data[:, :, 10:30, 14:34] = 2
    data[:, :, 14:26, 18:30] = 1
    data[:, :, 12:28, 4:14] = 3
    index, start, end = line_across(Labels(data, Geometry((8.0, 1.0, 1.0))))
    assert index == 1
    assert start[0] == end[0] == pytest.approx(19.5)
    assert start[1] == pytest.approx(14 - 8), "8 pixels into the right ventricle"
    assert end[1] == pytest.approx(33 + 4), "4 pixels beyond the lateral wall"
    data[data == 3] = 0
    assert line_across(Labels(data, Geometry((8.0, 1.0, 1.0)))) is None


# Tags ---------------------------------------------------------------------------------


@pytest.fixture
def subjects(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.nii").touch()
    (tmp_path / "cohort.csv").write_text("subject,labels,age\na,a.nii,61\nb,b.nii,\nc,c.nii,4.5\n")
    manifest = read_manifest(tmp_path / "cohort.csv")
    return MapSubjects(manifest, ("a", "b"), np.zeros((2, 2), np.float32), {})


def test_a_tagged_copy_says_who_is_in_the_group_and_who_is_not_on_the_map(subjects, tmp_path):
    path = write_tagged(tmp_path / "tagged.csv", subjects, ["b"], column=" stiff ")
    assert path.read_text() == (
        "subject,labels,age,stiff\na,a.nii,61,0\nb,b.nii,,1\nc,c.nii,4.5,\n"
    )
    again = read_manifest(path)
    assert again.binary("stiff", ["a", "b"]).tolist() == [0, 1]


def test_in_another_folder_its_paths_still_lead_to_the_files(subjects, tmp_path):
    path = write_tagged(tmp_path / "new" / "tagged.csv", subjects, [], column="nobody")
    assert read_manifest(path).labels_path("a") == tmp_path / "a.nii"


@pytest.mark.parametrize(
    ("name", "column", "complaint"),
    [
        ("tagged.csv", " ", "a column needs a name"),
        ("tagged.csv", "age", "has a column 'age' already"),
        ("tagged.csv", "subject", "has a column 'subject' already"),
        ("cohort.csv", "stiff", "is the manifest itself"),
    ],
)
def test_a_copy_that_would_destroy_something_is_refused(
    subjects, tmp_path, name, column, complaint
):
    before = (tmp_path / "cohort.csv").read_text()
    with pytest.raises(CohortError, match=complaint):
        write_tagged(tmp_path / name, subjects, ["a"], column=column)
    assert (tmp_path / "cohort.csv").read_text() == before
