"""Layers, readers and writers; none of these needs a window."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from napari.layers import Layer
from npe2 import PluginManifest

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.app import layers, readers, writers
from napari_cardioxai.app.layer_styles import LABELS_STYLE, ScanStyle
from napari_cardioxai.errors import LabelError
from napari_cardioxai.scans.geometry import Geometry
from napari_cardioxai.scans.scan import Kind, Provenance, Scan

from .conftest import cavity_labels, write_study

# Machado, Oliveira and Fernandes 2009, severity 1.0, linear RGB.
DICHROMATS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def make_scan(**changes) -> Scan:
    affine = np.array([[0, 0, 8, 1], [2, 0, 0, 2], [0, -2, 0, 3], [0, 0, 0, 1.0]])
    fields = {
        "data": np.arange(3 * 4 * 5 * 6, dtype=np.int16).reshape(3, 4, 5, 6),
        "geometry": Geometry((8.0, 2.0, 2.0), affine),
        "provenance": Provenance(Path("/data/Doe^Jane/1.dcm"), (Path("/data/Doe^Jane/1.dcm"),)),
        "kind": Kind.SHORT_AXIS,
        "name": "SAX",
        "frame_times_ms": np.array([10.0, 50.0, 90.0]),
        "cycle_ms": 800.0,
    }
    return Scan(**{**fields, **changes})


def test_scan_comes_back_from_its_layer_but_for_where_it_came_from():
    scan = make_scan()
    layer = Layer.create(*layers.scan_to_layer(scan))
    data, attributes, kind = layer.as_layer_data_tuple()
    back = layers.layer_to_scan(data, attributes)
    assert kind == "image"
    np.testing.assert_array_equal(back.data, scan.data)
    np.testing.assert_array_equal(back.geometry.affine, scan.geometry.affine)
    assert back.geometry.spacing_mm == scan.geometry.spacing_mm
    np.testing.assert_array_equal(back.frame_times_ms, scan.frame_times_ms)
    assert (back.name, back.kind, back.cycle_ms) == ("SAX", Kind.SHORT_AXIS, 800.0)


def test_layers_carry_no_patient_identity():
    _, attributes, _ = layers.scan_to_layer(make_scan())
    assert "Doe" not in repr(attributes)


def test_layer_starts_at_the_first_trigger_time():
    layer = Layer.create(*layers.scan_to_layer(make_scan()))
    assert layer.data_to_world((2, 1, 0, 0)) == pytest.approx((90.0, 8.0, 0.0, 0.0))


def test_unknown_time_and_size_are_steps_not_ms_and_mm():
    scan = make_scan(frame_times_ms=None, geometry=Geometry(None))
    _, attributes, _ = layers.scan_to_layer(scan)
    assert attributes["scale"] == (1.0, 1.0, 1.0, 1.0)
    assert attributes["units"] == ("pixel",) * 4


def test_window_of_the_file_sets_the_contrast():
    assert ScanStyle().contrast_limits(make_scan(window=(5.0, 60.0))) == (5.0, 60.0)


def test_flat_image_has_contrast_limits_that_differ():
    low, high = ScanStyle().contrast_limits(make_scan(data=np.full((1, 1, 4, 4), 7)))
    assert low < high


def test_labels_come_back_from_their_layer():
    scan = make_scan()
    data = (scan.data % 4).astype(np.uint8)
    labels = Labels(data, scan.geometry, scan.frame_times_ms, 800.0)
    layer = Layer.create(*layers.labels_to_layer(labels))
    got = layers.layer_to_labels(*layer.as_layer_data_tuple()[:2])
    np.testing.assert_array_equal(got.data, data)
    assert got.data.dtype == np.uint8
    np.testing.assert_array_equal(got.geometry.affine, scan.geometry.affine)


def test_volume_drawn_by_the_user_becomes_one_frame():
    got = layers.layer_to_labels(np.ones((4, 5, 6), np.int64), {"name": "mine"})
    assert got.data.shape == (1, 4, 5, 6)
    assert got.geometry.spacing_mm is None


def test_label_beyond_a_byte_is_refused_by_name():
    with pytest.raises(LabelError, match="'mine' holds the value 300"):
        layers.layer_to_labels(np.full((4, 5), 300), {"name": "mine"})


@pytest.mark.parametrize("vision", ["all colours", *DICHROMATS])
def test_structures_are_told_apart_with_every_kind_of_colour_vision(vision):
    from skimage.color import deltaE_ciede2000, rgb2lab

    rgb = np.array(
        [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in LABELS_STYLE.colours.values()]
    )
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(DICHROMATS.get(vision, np.eye(3))).T, 0, 1)
    encoded = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(encoded)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert deltaE_ciede2000(lab[a], lab[b]) > 15  # 2 is just noticeable


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "IM0001.dcm"])
def test_reader_takes_known_endings(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert readers.get_reader(str(tmp_path / name)) is not None


def test_reader_knows_dicom_without_an_extension_by_its_magic(tmp_path):
    (tmp_path / "yes").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "no").write_bytes(bytes(140))
    assert readers.get_reader(str(tmp_path / "yes")) is not None
    assert readers.get_reader(str(tmp_path / "no")) is None


def test_reader_takes_a_folder_with_scans_below_and_no_other(tmp_path):
    (tmp_path / "study" / "series").mkdir(parents=True)
    (tmp_path / "study" / "series" / "a").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    assert readers.get_reader(str(tmp_path / "study")) is not None
    assert readers.get_reader(str(tmp_path / "texts")) is None


@pytest.mark.parametrize("path", ["/no/such/file", "", [], ["/no/such/file"], "\0"])
def test_reader_never_raises(path):
    assert readers.get_reader(path) is None


def test_reader_gives_a_cine_with_time_first(tmp_path):
    path = write_study(tmp_path / "cine.nii.gz")
    ((data, attributes, kind),) = readers.get_reader(str(path))(str(path))
    assert kind == "image"
    assert data.shape == (6, 4, 48, 48)
    assert attributes["scale"] == pytest.approx((50.0, 8.0, 2.0, 2.0))


def test_written_image_lies_where_the_read_one_did(tmp_path):
    path = write_study(tmp_path / "cine.nii.gz")
    ((data, attributes, _),) = readers.get_reader(str(path))(str(path))
    (written,) = writers.write_image_layer(str(tmp_path / "out.nii.gz"), data, attributes)
    before, after = nibabel.load(path), nibabel.load(written)
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())


def test_written_labels_lie_on_the_scan(tmp_path):
    path = write_study(tmp_path / "cine.nii.gz")
    ((_, attributes, _),) = readers.get_reader(str(path))(str(path))
    labels = cavity_labels()
    (written,) = writers.write_labels_layer(str(tmp_path / "l.nii.gz"), labels, attributes)
    image = nibabel.load(written)
    np.testing.assert_allclose(image.affine, nibabel.load(path).affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(3, 2, 1, 0), labels)


def test_manifest_is_valid_and_every_command_is_there():
    from importlib import import_module

    manifest = PluginManifest.from_distribution("napari-cardioxai")
    manifest.validate_imports()
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("name", ["IM0001", "0a" * 20, "x"])
def test_napari_offers_our_reader_for_names_without_a_dot_and_not_for_pictures(name):
    from npe2 import PluginManager

    manager = PluginManager()
    manager.register(PluginManifest.from_distribution("napari-cardioxai"))
    assert [r.plugin_name for r in manager.iter_compatible_readers(name)] == ["napari-cardioxai"]
    assert not list(manager.iter_compatible_readers(f"{name}.tif"))


def test_modules_of_the_manifest_load_no_heavy_library():
    program = (
        "import sys, importlib, npe2\n"
        "m = npe2.PluginManifest.from_distribution('napari-cardioxai')\n"
        "[importlib.import_module(c.python_name.split(':')[0]) for c in m.contributions.commands]\n"
        "print([n for n in ('torch', 'captum', 'sklearn', 'monai', 'lightning') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
