import numpy as np
import pytest

from napari_cardioxai.cohorts.brains import find_brains
from napari_cardioxai.cohorts.image_input import InputSpec
from napari_cardioxai.cohorts.pictures import class_indices, load_images
from napari_cardioxai.errors import CohortError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.nifti import write_nifti
from tests.shared_data import shared_data

TABLE = """participant_id\tage\tgender\tgroup
sub-1\t20\tf\tcontrol
sub-2\t30\tm\tdepr
sub-3\t40\tf\tcontrol
sub-4\t50\tm\tdepr
sub-5\t60\tn/a\tdepr
sub-6\t70\tf\tcontrol
sub-7\t80\tm\tcontrol
"""


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "participants.tsv").write_text(TABLE)
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    for number in (1, 2, 3, 4, 5, 6):
        place = tmp_path / f"sub-{number}" / "anat" if number == 6 else tmp_path
        volume = np.full((1, 8, 9, 10), 10 * number, np.int16)
        volume[0, 2:5] += 50
        write_nifti(place / f"sub-{number}_T1w.nii.gz", volume, Geometry((2, 2, 2), affine))
    return tmp_path


def test_volumes_get_the_class_that_the_table_says(dataset):
    manifest = find_brains(dataset, label="gender")
    assert manifest.subjects == [
        "sub-1",
        "sub-2",
        "sub-3",
        "sub-4",
        "sub-6",
    ]  # 5 is n/a, 7 has none
    labels, names = class_indices(manifest, manifest.subjects)
    assert names == ("f", "m") and labels.tolist() == [0, 1, 0, 1, 0]
    assert manifest.numbers("age", ["sub-6"]) == [70]
    assert manifest.scan_path("sub-6") == dataset / "sub-6" / "anat" / "sub-6_T1w.nii.gz"


def test_many_numbers_become_halves(dataset):
    manifest = find_brains(dataset, label="age")
    assert manifest.table["class"].tolist() == ["age up to 45"] * 3 + ["age above 45"] * 3


def test_volumes_are_brought_to_one_input(dataset):
    manifest = find_brains(dataset, label="gender")
    images = load_images(manifest, manifest.subjects, InputSpec((8, 8, 8), spacing_mm=2.0))
    assert images.data.shape == (5, 8, 8, 8) and not images.failed


def test_tables_that_do_not_serve_are_said(dataset, tmp_path_factory):
    with pytest.raises(CohortError, match="no column 'sex'; it has age, gender, group"):
        find_brains(dataset, label="sex")
    with pytest.raises(CohortError, match="cannot be read as a table of participants"):
        find_brains(tmp_path_factory.mktemp("empty"), label="sex")
    (dataset / "participants.tsv").write_text("participant_id\tgender\nsub-1\tf\nsub-2\tf\n")
    with pytest.raises(CohortError, match="2 volumes with a value of 'gender' and 1 classes"):
        find_brains(dataset, label="gender")


def test_real_volumes_have_sex_age_and_group():
    folder = shared_data("t1w-ds002748-2mm")
    manifest = find_brains(folder, label="gender")
    assert len(manifest.subjects) == 22
    assert set(manifest.table["class"]) == {"f", "m"}
    assert set(find_brains(folder, label="group").table["class"]) == {"control", "depr"}
