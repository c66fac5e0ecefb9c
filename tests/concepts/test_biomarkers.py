import numpy as np
import pytest

from napari_cardioxai.anatomy.measurements import measure
from napari_cardioxai.cohorts.normalisation import NormalisationSpec, normalise_labels
from napari_cardioxai.concepts.biomarkers import BIOMARKERS, Ruler, measure_cycle, measure_labels
from napari_cardioxai.errors import CohortError
from tests.cohorts.cines import a_cine
from tests.concepts import hearts

# Pixels, frames and end-systole of the network's own: nothing is interpolated.
THREE_SLICES = {"frames": 25, "slices": 5, "es": 9, "spacing_mm": (11.0, 1.25, 1.25)}


def sequence_of(labels):
    cine = normalise_labels(labels, NormalisationSpec())
    return cine.data, Ruler.of(labels, cine.transform)


@pytest.mark.parametrize("base_first", [True, False])
def test_a_sequence_is_measured_as_the_scan_that_it_was_made_of(base_first):
    labels = a_cine(**THREE_SLICES, base_first=base_first)
    on_scan, on_sequence = measure(labels), measure_cycle(*sequence_of(labels))
    del on_sequence["rv_ef_percent"]  # the square around the left ventricle cuts the right one
    for key, found in on_sequence.items():
        expected = getattr(on_scan, key)
        assert (np.isnan(found) and expected is None) or found == pytest.approx(expected, rel=1e-6)


def test_slices_that_were_skipped_count_for_the_distance_between_those_taken():
    labels = a_cine(frames=25, slices=14, es=9, spacing_mm=(6.0, 1.25, 1.25))
    _, ruler = sequence_of(labels)
    assert ruler.geometry.spacing_mm == pytest.approx((12.0, 1.25, 1.25))


def test_frames_lie_where_the_warping_took_them_from():
    labels = a_cine(frames=25, slices=5, es=15, spacing_mm=(11.0, 1.25, 1.25))
    _, ruler = sequence_of(labels)
    assert ruler.frame_times_ms[0] == 0
    assert ruler.frame_times_ms[9] == pytest.approx(15 * 40)
    assert (np.diff(ruler.frame_times_ms) > 0).all()
    assert ruler.cycle_ms == 1000


def test_the_fast_measurement_finds_what_the_whole_one_finds():
    labels = a_cine(frames=25, slices=5, es=9)
    expected = measure(labels)
    for key, found in measure_labels(labels).items():
        value = getattr(expected, key)
        assert np.isnan(found) if value is None else found == pytest.approx(value)


def test_an_empty_heart_has_no_number_and_a_heart_without_a_right_ventricle_has_most():
    empty = np.zeros((25, 3, 80, 80), np.uint8)
    assert all(np.isnan(value) for value in measure_cycle(empty, hearts.RULER).values())
    found = measure_cycle(hearts.known_cycle(0.0, 0.0), hearts.RULER)
    assert np.isnan(found["rv_ef_percent"]) and np.isnan(found["wall_ed_max_mm"])
    assert found["ef_percent"] == pytest.approx(60, abs=1.5)
    assert set(found) == set(BIOMARKERS)


def test_without_a_pixel_size_there_is_no_ruler():
    labels = a_cine(**THREE_SLICES)
    cine = normalise_labels(labels, NormalisationSpec())
    object.__setattr__(labels.geometry, "spacing_mm", None)
    with pytest.raises(CohortError, match="pixel size is unknown"):
        Ruler.of(labels, cine.transform)
