"""A heart moved along a concept as a film: GIF, or MP4 where a writer is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from napari_cardioxai.concepts.sweep import to_and_fro
from napari_cardioxai.errors import OutputError
from napari_cardioxai.files import replacing
from napari_cardioxai.progress import Progress, silent
from napari_cardioxai.report.style import STRUCTURE_COLOURS

if TYPE_CHECKING:  # torch comes with it
    from napari_cardioxai.concepts.heart import ConceptHeart

GIF, MP4 = ".gif", ".mp4"
WRITERS = ("imageio_ffmpeg", "av")
"""Modules that let imageio write MP4; one is enough."""
_ZOOM = 3
_BAND = 22  # pixels of a line of text
_GAP = 6
_BACK, _INK, _OUTLINE = "#11161c", "#e8edf2", "#ffffff"
_SLOWEST_S, _FASTEST_S = 1.0, 0.02
_SWEEP_SHOTS, _SWEEP_S = 48, 4.0
_UNKNOWN_CYCLE_MS = 1000.0


class FilmKind(StrEnum):
    """What moves in a film."""

    BEAT = "the heart beating, as it stands"
    ALPHA = "the concept, at this phase"
    BOTH = "the concept while the heart beats"


@dataclass(frozen=True)
class Shot:
    """One picture of the film.

    Attributes
    ----------
    decoded, redrawn
        The moved heart and its reconstruction, shape (3, y, x).
    caption
        What is seen.
    """

    decoded: NDArray[np.uint8]
    redrawn: NDArray[np.uint8]
    caption: str


def shots_of(
    heart: ConceptHeart,
    alphas: Mapping[str, float],
    latent: NDArray[np.float32],
    *,
    kind: FilmKind,
    concept: str,
    reach: tuple[float, float],
    phase: int,
    on_progress: Progress = silent,
) -> tuple[list[Shot], float]:
    """Draw what a film needs.

    Parameters
    ----------
    heart
        Whose.
    alphas, latent
        Where it stands, in standard deviations along each concept and as a latent (T, latent).
    kind
        What moves.
    concept, reach
        The one that is swept, and its ends.
    phase
        Frame of the scan at which `FilmKind.ALPHA` stands still.
    on_progress
        Called per picture; may raise `Cancelled`.

    Returns
    -------
    The shots, and the seconds from one to the next.
    """
    frames = len(heart.reconstruction)
    cycle_s = (heart.ruler.cycle_ms or _UNKNOWN_CYCLE_MS) / 1000
    if kind is FilmKind.BEAT:
        cycle = heart.cycle(latent, on_progress=on_progress)
        told = _caption(alphas) if np.array_equal(latent, heart.at(alphas)) else "counterfactual"
        pairs = zip(cycle, heart.reconstruction, strict=True)
        return [Shot(moved, still, told) for moved, still in pairs], cycle_s / frames
    beats = max(1, round(_SWEEP_S / cycle_s))
    count = _SWEEP_SHOTS if kind is FilmKind.ALPHA else beats * frames
    still = round(float(heart.cine.transform.sequence_frames[phase])) % frames
    shots = []
    for k in range(count):
        on_progress(k, count, "decoding")
        there = {**alphas, concept: to_and_fro(k / count, *reach)}
        t = still if kind is FilmKind.ALPHA else k % frames
        moved = heart.classifier.decode(heart.at(there)[None, t : t + 1])[0, 0]
        shots.append(Shot(moved, heart.reconstruction[t], _caption(there)))
    return shots, (_SWEEP_S / count if kind is FilmKind.ALPHA else cycle_s / frames)


def _caption(alphas: Mapping[str, float]) -> str:
    moved = [f"{name} {alpha:+.2f} SD" for name, alpha in alphas.items() if abs(alpha) >= 0.005]
    return ", ".join(moved) or "redrawn, nothing changed"


def mp4_is_possible() -> bool:
    """Whether MP4 can be written here."""
    return any(find_spec(name) is not None for name in WRITERS)


def write_film(
    path: Path, shots: Sequence[Shot], *, seconds: float, on_progress: Progress = silent
) -> None:
    """Write a film that begins again at its end.

    Parameters
    ----------
    path
        Ends in .gif or .mp4.
    shots
        In order; at least one.
    seconds
        From one to the next.
    on_progress
        Called per picture; may raise `Cancelled`.

    Raises
    ------
    OutputError
        When the ending is another, MP4 cannot be written here, or the folder not be written to.
    """
    ending = path.suffix.lower()
    if ending not in (GIF, MP4):
        raise OutputError(f"{path.name}: films are written as {GIF} or {MP4}.")
    if ending == MP4 and not mp4_is_possible():
        raise OutputError(
            "MP4 needs a writer that is not installed: `pip install imageio-ffmpeg`, or save a GIF."
        )
    step = float(np.clip(seconds, _FASTEST_S, _SLOWEST_S))
    with replacing(path) as beside:
        pictures = _drawn(shots, on_progress)
        if ending == GIF:
            first, *rest = [picture.quantize(64) for picture in pictures]
            first.save(
                beside, save_all=True, append_images=rest, duration=round(1000 * step), loop=0
            )
        else:
            _write_mp4(beside, pictures, 1 / step)


def _write_mp4(path: Path, pictures: Iterator[Image.Image], per_second: float) -> None:
    import imageio.v3 as iio

    plugin = "FFMPEG" if find_spec(WRITERS[0]) is not None else "pyav"
    # Players want even sides.
    frames = [_even(np.asarray(picture)) for picture in pictures]
    extra = {"codec": "libx264"} if plugin == "pyav" else {"macro_block_size": 1}
    iio.imwrite(path, np.stack(frames), plugin=plugin, fps=per_second, **extra)


def _even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    high, wide = picture.shape[:2]
    return np.pad(picture, ((0, high % 2), (0, wide % 2), (0, 0)), mode="edge")


def _drawn(shots: Sequence[Shot], on_progress: Progress) -> Iterator[Image.Image]:
    font = ImageFont.load_default(13)
    for done, shot in enumerate(shots):
        on_progress(done, len(shots), "drawing")
        yield picture_of(shot, font)


def picture_of(shot: Shot, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """Three slices side by side, base to apex: the moved heart filled, the redrawn as an outline.

    Parameters
    ----------
    shot
        What to draw.
    font
        Of the caption.
    """
    slices, high, wide = shot.decoded.shape
    width = slices * wide * _ZOOM + (slices + 1) * _GAP
    picture = Image.new("RGB", (width, high * _ZOOM + 2 * _GAP + _BAND), _BACK)
    for z in range(slices):
        place = _GAP + z * (wide * _ZOOM + _GAP), _GAP + _BAND
        picture.paste(Image.fromarray(_coloured(shot.decoded[z], shot.redrawn[z])), place)
    ImageDraw.Draw(picture).text((_GAP, _GAP), shot.caption, _INK, font=font)
    return picture


def _coloured(decoded: NDArray[np.uint8], redrawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Filled structures with the outlines of others, enlarged, shape (y, x, 3)."""
    table = np.array(
        [ImageColor.getrgb(STRUCTURE_COLOURS.get(v, "#000000"))[:3] for v in range(4)], np.uint8
    )
    filled = _enlarged(table[decoded])
    large = _enlarged(redrawn)
    border = np.zeros(large.shape, bool)
    border[1:] |= large[1:] != large[:-1]
    border[:, 1:] |= large[:, 1:] != large[:, :-1]
    filled[border] = ImageColor.getrgb(_OUTLINE)[:3]
    return filled


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture.repeat(_ZOOM, 0).repeat(_ZOOM, 1)
