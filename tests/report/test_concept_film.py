import numpy as np
import pytest
from PIL import Image, ImageColor

from napari_cardioxai.errors import OutputError
from napari_cardioxai.progress import Cancelled
from napari_cardioxai.report import concept_film
from napari_cardioxai.report.concept_film import FilmKind, Shot, shots_of, write_film
from napari_cardioxai.report.style import LV_COLOUR
from tests.concepts.moved_heart import moved_heart


@pytest.fixture(scope="module")
def heart():
    return moved_heart()


def a_shot(caption="still"):
    decoded = np.zeros((3, 20, 20), np.uint8)
    decoded[:, 5:15, 5:15] = 1
    redrawn = np.zeros_like(decoded)
    redrawn[:, 2:18, 2:18] = 2
    return Shot(decoded, redrawn, caption)


def test_a_gif_holds_every_picture_for_as_long_as_asked(tmp_path):
    write_film(tmp_path / "a.gif", [a_shot(str(k)) for k in range(4)], seconds=0.05)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.info["duration"], film.info["loop"]) == (4, 50, 0)
        picture = np.asarray(film.convert("RGB")).astype(int)
    lv = np.abs(picture - ImageColor.getrgb(LV_COLOUR)[:3]).max(-1) < 24
    assert lv.sum() == 3 * 100 * 9, "ten pixels square in three slices, each three pixels wide"
    outline = (picture > 240).all(-1)
    assert outline.sum() == 3 * (4 * 16 * 3 - 1), "the redrawn heart's border, a corner only once"


def test_mp4_says_what_to_install_where_it_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(concept_film, "mp4_is_possible", lambda: False)
    with pytest.raises(OutputError, match="pip install imageio-ffmpeg"):
        write_film(tmp_path / "a.mp4", [a_shot()], seconds=0.05)
    with pytest.raises(OutputError, match=r"written as \.gif or \.mp4"):
        write_film(tmp_path / "a.avi", [a_shot()], seconds=0.05)
    assert not list(tmp_path.iterdir())


def test_an_mp4_holds_every_picture(tmp_path):
    import imageio.v3 as iio

    write_film(tmp_path / "a.mp4", [a_shot(str(k)) for k in range(6)], seconds=0.04)
    assert len(iio.imread(tmp_path / "a.mp4")) == 6


def test_a_cancelled_film_leaves_the_last_one(tmp_path):
    path = tmp_path / "a.gif"
    write_film(path, [a_shot()], seconds=0.1)
    before = path.read_bytes()

    def stop(done, total, what):
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_film(path, [a_shot(), a_shot()], seconds=0.1, on_progress=stop)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_shots_are_the_heart_where_it_stands_or_on_its_way(heart):
    stands = {"low EF": 1.0}
    asked = {"concept": "low EF", "reach": (-2.0, 2.0), "phase": 0}
    latent = heart.at(stands)
    beat, step_s = shots_of(heart, stands, latent, kind=FilmKind.BEAT, **asked)
    assert np.array_equal([shot.decoded for shot in beat], heart.cycle(latent))
    assert np.array_equal([shot.redrawn for shot in beat], heart.reconstruction)
    assert step_s == pytest.approx(0.9 / 25) and beat[0].caption == "low EF +1.00 SD"

    swept, _ = shots_of(heart, {}, heart.latent, kind=FilmKind.ALPHA, **asked)
    areas = [np.count_nonzero(shot.decoded == 1) for shot in swept]
    quarter = len(swept) // 4
    assert areas[0] == areas[2 * quarter] == np.count_nonzero(heart.reconstruction[0] == 1)
    ends = [heart.cycle(heart.at({"low EF": alpha}))[0] for alpha in (2.0, -2.0)]
    assert [areas[quarter], areas[3 * quarter]] == [np.count_nonzero(one == 1) for one in ends]

    both, _ = shots_of(heart, {}, heart.latent, kind=FilmKind.BOTH, **asked)
    assert len(both) == 4 * 25, "four beats of 0.9 s in a sweep of four seconds"
    assert np.array_equal(both[26].redrawn, heart.reconstruction[1])
    other, _ = shots_of(heart, {}, latent, kind=FilmKind.BEAT, **asked)
    assert other[0].caption == "counterfactual"
