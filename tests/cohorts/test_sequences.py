import os
from dataclasses import replace

import numpy as np
import pytest

from napari_cardioxai.anatomy.label_files import read_labels, write_labels
from napari_cardioxai.cohorts import sequences
from napari_cardioxai.cohorts.manifest import read_manifest
from napari_cardioxai.cohorts.normalisation import (
    NormalisationSpec,
    normalise_labels,
    normalise_pictures,
)
from napari_cardioxai.cohorts.sequences import load_sequences, why_unfit
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.scans.nifti import write_nifti
from tests.cohorts.cines import LV, RV, a_cine

SPEC = NormalisationSpec(frames=12, size=32, pixel_mm=3.0)


def small(**changes):
    return a_cine(
        frames=10,
        slices=changes.pop("slices", 5),
        shape=(40, 36),
        spacing_mm=(8.0, 3.0, 3.0),
        centre_mm=(60.0, 54.0),
        **changes,
    )


@pytest.fixture
def manifest(tmp_path):
    """Five subjects: two fine, one of two slices, one unreadable, one without labels."""
    for name, labels in (("a", small()), ("b", small(slices=4)), ("d", small(septum_deg=150))):
        write_labels(tmp_path / f"{name}.nii.gz", labels)
    (tmp_path / "c.nii.gz").write_bytes(b"no image")
    (tmp_path / "e").mkdir()
    path = tmp_path / "cohort.csv"
    rows = [f"{name},{name}.nii.gz," for name in "abcd"]
    path.write_text("\n".join(["subject,labels,scan", *rows, "e,,e", ""]))
    return read_manifest(path)


def test_every_subject_is_kept_or_listed_with_the_reason(manifest):
    found = load_sequences(manifest, manifest.subjects, SPEC)
    assert found.subjects == ["a", "d"]
    assert found.data.shape == (2, *SPEC.shape) and found.data.dtype == np.uint8
    for data, subject in zip(found.data, found.subjects, strict=True):
        labels = read_labels(manifest.labels_path(subject))
        np.testing.assert_array_equal(data, normalise_labels(labels, SPEC).data)
    assert set(found.failed) == {"b", "c", "e"}
    assert "2 slices hold LV cavity" in found.failed["b"]
    assert "c.nii.gz" in found.failed["c"]
    assert "no labels" in found.failed["e"]


def test_subjects_come_in_the_order_asked_for(manifest):
    forward = load_sequences(manifest, ["a", "d"], SPEC)
    backward = load_sequences(manifest, ["d", "b", "a"], SPEC)
    assert backward.subjects == ["d", "a"]
    np.testing.assert_array_equal(backward.data, forward.data[::-1])


def test_the_cache_is_mapped_and_read_instead_of_the_labels(manifest, tmp_path, monkeypatch):
    first = load_sequences(manifest, manifest.subjects, SPEC, cache=tmp_path / "cache")
    assert isinstance(first.data, np.memmap) and not first.data.flags.writeable
    plain = load_sequences(manifest, manifest.subjects, SPEC)
    np.testing.assert_array_equal(first.data, plain.data)

    def must_not(*_, **__):
        raise AssertionError("labels were read")

    monkeypatch.setattr(sequences, "read_labels", must_not)
    again = load_sequences(manifest, manifest.subjects, SPEC, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.data, plain.data)
    assert (again.subjects, again.failed) == (plain.subjects, plain.failed)
    with pytest.raises(AssertionError):
        other = replace(SPEC, slices="basal")
        load_sequences(manifest, manifest.subjects, other, cache=tmp_path / "cache")


def test_a_changed_label_file_makes_the_cache_stale(manifest, tmp_path):
    before = load_sequences(manifest, ["a", "b"], SPEC, cache=tmp_path / "cache")
    assert before.subjects == ["a"]
    write_labels(manifest.labels_path("b"), small(septum_deg=60))
    after = load_sequences(manifest, ["a", "b"], SPEC, cache=tmp_path / "cache")
    assert after.subjects == ["a", "b"] and not after.failed
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1  # what was stale is gone
    os.utime(manifest.labels_path("a"), ns=(1, 1))
    again = load_sequences(manifest, ["a", "b"], SPEC, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.data, after.data)


def test_a_broken_cache_is_made_again(manifest, tmp_path):
    whole = np.array(load_sequences(manifest, ["a", "d"], SPEC, cache=tmp_path / "cache").data)
    (file,) = (tmp_path / "cache").glob("*.npy")
    file.write_bytes(file.read_bytes()[:500])
    again = load_sequences(manifest, ["a", "d"], SPEC, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.data, whole)


def test_a_cohort_of_which_nothing_is_left_is_empty_and_not_an_error(manifest, tmp_path):
    for _ in range(2):
        found = load_sequences(manifest, ["b", "c"], SPEC, cache=tmp_path / "cache")
        assert found.data.shape == (0, *SPEC.shape) and len(found.failed) == 2


def test_a_cancelled_load_leaves_nothing_behind(manifest, tmp_path):

    def stop(done, total, what):
        assert (total, what) == (5, "sequences")
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        load_sequences(
            manifest, manifest.subjects, SPEC, cache=tmp_path / "cache", on_progress=stop
        )
    assert not list((tmp_path / "cache").iterdir())


def test_processes_give_the_same(manifest):
    many = [manifest.subjects[k % 5] for k in range(11)]
    found = load_sequences(manifest, many, SPEC, workers=2)
    alone = load_sequences(manifest, many, SPEC, workers=1)
    np.testing.assert_array_equal(found.data, alone.data)
    assert (found.subjects, found.failed) == (alone.subjects, alone.failed)


def test_swapped_values_and_curves_that_do_not_close_are_unfit():
    cine = small()
    assert why_unfit(cine) is None
    swapped = cine.data.copy()
    swapped[cine.data == LV], swapped[cine.data == RV] = RV, LV
    assert "encloses" in why_unfit(replace(cine, data=swapped))
    open_ended = why_unfit(replace(cine, data=cine.data[:6], frame_times_ms=None, cycle_ms=None))
    assert open_ended is None  # too few frames to be judged; normalising refuses them
    ended = small(es=9)
    assert "last frame differs from the first" in why_unfit(ended)


def test_intensities_of_the_scans_are_read_where_the_labels_lie(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        labels = small()
        write_labels(tmp_path / f"{name}.nii.gz", labels)
        picture = rng.integers(0, 900, labels.data.shape).astype(np.int16)
        write_nifti(tmp_path / f"{name}-scan.nii.gz", picture, labels.geometry)
    path = tmp_path / "cohort.csv"
    path.write_text("subject,labels,scan\na,a.nii.gz,a-scan.nii.gz\nb,b.nii.gz,\n")
    manifest = read_manifest(path)
    for _ in range(2):  # made, then from the cache
        found = load_sequences(manifest, ["a", "b"], SPEC, reads="images", cache=tmp_path / "cache")
        assert found.subjects == ["a"] and found.data.dtype == np.float16
        assert "names no scan" in found.failed["b"]
        scan = sequences.load_scan(tmp_path / "a-scan.nii.gz").data
        expected = normalise_pictures(scan, read_labels(tmp_path / "a.nii.gz"), SPEC).data
        np.testing.assert_allclose(found.data[0], expected, atol=5e-3)
    assert load_sequences(manifest, ["a"], SPEC, cache=tmp_path / "cache").data.dtype == np.uint8
