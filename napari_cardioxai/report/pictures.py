"""One slice at one moment: the image, its outlines and where they lie in the patient."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import imageio.v3 as imageio
import numpy as np
from skimage.measure import find_contours
from skimage.transform import resize

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES, Labels
from napari_cardioxai.report.style import POINTER_COLOUR, STRUCTURE_COLOURS
from napari_cardioxai.scans.scan import Scan

MARGIN_MM = 20.0
MARGIN_PIXELS = 14  # where the pixel size is unknown
LONGEST_SIDE = 300  # pixels of the printed picture: sharp at a third of an A4 page
JPEG_QUALITY = 88
LETTERS = 15  # letters a picture is high


@dataclass(frozen=True)
class Frame:
    """What all pictures of a report share.

    Attributes
    ----------
    rows, columns
        The part of the slice that is shown.
    pixel
        Height and width of a pixel, in mm where known, otherwise (1, 1).
    limits
        Intensities shown as black and white.
    letters
        Patient directions at the (top, bottom, left, right) edges, or None.
    """

    rows: slice
    columns: slice
    pixel: tuple[float, float]
    limits: tuple[float, float]
    letters: tuple[str, str, str, str] | None


def frame_around(labels: Labels, images: np.ndarray) -> Frame:
    """Frame that holds every label of every slice and moment with some surroundings.

    Parameters
    ----------
    labels
        Decide the part that is shown; without any label it is the whole slice.
    images
        The volumes that will be shown, shape (n, z, y, x): they set the grey scale.
    """
    spacing = labels.geometry.spacing_mm
    pixel = (1.0, 1.0) if spacing is None else (spacing[1], spacing[2])
    margins = [MARGIN_PIXELS if spacing is None else round(MARGIN_MM / size) for size in pixel]
    used = np.asarray(labels.data.any(axis=(0, 1)))
    spans = []
    for axis, margin in enumerate(margins):
        inside = np.flatnonzero(used.any(axis=1 - axis))
        first, last = (inside[0], inside[-1]) if inside.size else (0, used.shape[axis] - 1)
        spans.append([max(0, first - margin), min(used.shape[axis], last + 1 + margin)])
    rows, columns = _squared(spans, pixel=pixel, shape=used.shape)
    shown = images[..., rows, columns]
    low, high = (float(value) for value in np.percentile(shown, (0.5, 98.0)))
    letters = labels.geometry.orientation_letters()
    edges = None if letters is None else (*letters[1], *letters[2])
    return Frame(rows, columns, pixel, (low, high if high > low else low + 1.0), edges)


def picture_svg(
    image: np.ndarray,
    labels: np.ndarray,
    frame: Frame,
    *,
    corner: str,
    title: str,
    circle: tuple[float, float, float] | None = None,
    enlarged: float = 1.0,
) -> str:
    """One slice with its outlines as a self-contained `<svg>` element.

    Parameters
    ----------
    image
        Intensities, shape (y, x).
    labels
        Values 0 to 3, shape (y, x).
    frame
        What is shown and how.
    corner
        Short text in the top left corner, such as ED.
    title
        What the picture shows, for readers who cannot see it.
    circle
        Row, column and radius, in pixels of the slice, of a circle that points
        at something small.
    enlarged
        How much larger than usual it is printed: texts and lines are then a
        smaller part of it, and it is sharper.

    Notes
    -----
    Outlines follow the labels' own pixels; they are not smoothed.
    """
    dy, dx = frame.pixel
    height, width = (
        image[frame.rows, frame.columns].shape[0] * dy,
        image[frame.rows, frame.columns].shape[1] * dx,
    )
    parts = [
        f'<svg viewBox="0 0 {width:.2f} {height:.2f}" role="img" aria-label="{title}">',
        f'<image width="{width:.2f}" height="{height:.2f}" preserveAspectRatio="none" href="',
        f'data:image/jpeg;base64,{_jpeg(image, frame, round(LONGEST_SIDE * enlarged))}"/>',
    ]
    size = max(height, width) / LETTERS / enlarged
    thickness = max(height, width) / 110 / enlarged
    shown = labels[frame.rows, frame.columns]
    # The cavity goes on top of the myocardium's inner edge, which it shares.
    for value in (3, 2, 1):
        path = _outline(shown == value, frame.pixel)
        if path:
            parts.append(
                f'<path d="{path}" fill="none" stroke="{STRUCTURE_COLOURS[value]}"'
                f' stroke-linejoin="round" stroke-width="{thickness:.2f}"/>'
            )
    if circle is not None:
        parts.append(_circle(circle, frame, width=0.8 * thickness))
    parts.extend(_edge_letters(frame, height, width, size))
    parts.append(_text(corner, 0.3 * size, size, anchor="start", size=size, bold=True))
    return "".join([*parts, "</svg>"])


def structure_key(labels: Labels, *, with_circle: bool = False) -> str:
    """Which colour is which of the structures that are labelled, as HTML."""
    marks = [
        (STRUCTURE_COLOURS[value], "solid", name)
        for value, name in STRUCTURE_NAMES.items()
        if (labels.data == value).any()
    ]
    if with_circle:
        marks.append((POINTER_COLOUR, "dashed", "what the finding is about"))
    return key_of_lines(marks)


def key_of_lines(marks: Iterable[tuple[str, str, str]]) -> str:
    """HTML that names lines by colour and style of their border."""
    lines = "".join(
        f'<span><i style="border-top: 3px {style} {colour}"></i>{name}</span>'
        for colour, style, name in marks
    )
    return f'<div class="key">{lines}</div>'


def slice_caption(scan: Scan, z: int) -> str:
    """Number of a slice, and its distance from the first one along the normal where known."""
    number = f"Slice {z + 1}"
    geometry = scan.geometry
    if geometry.spacing_mm is None:
        return number
    positions = geometry.slice_positions_mm
    offset = z * geometry.spacing_mm[0] if positions is None else abs(positions[z] - positions[0])
    return f"{number}, {offset:.0f} mm"


def frame_caption(scan: Scan, frame: int) -> str:
    """Number of a frame among all, and its time where known."""
    text = f"frame {frame + 1} of {scan.data.shape[0]}"
    if scan.frame_times_ms is not None:
        text += f" at {scan.frame_times_ms[frame]:.0f} ms"
    return text


def _squared(
    spans: list[list[int]], *, pixel: tuple[float, float], shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """Grow the shorter side until the part is square in mm, as far as the slice reaches."""
    side = max((stop - start) * size for (start, stop), size in zip(spans, pixel, strict=True))
    grown = []
    for (start, stop), size, length in zip(spans, pixel, shape, strict=True):
        wanted = min(length, round(side / size))
        first = min(max(0, (start + stop - wanted) // 2), length - wanted)
        grown.append(slice(int(first), int(first + wanted)))
    return grown[0], grown[1]


def _jpeg(image: np.ndarray, frame: Frame, longest: int) -> str:
    """The shown part with square pixels, so many of them along the longer side, base64."""
    low, high = frame.limits
    shown = (np.asarray(image[frame.rows, frame.columns], float) - low) / (high - low)
    sides = np.array(shown.shape) * frame.pixel
    size = np.maximum(1, np.round(sides * longest / sides.max())).astype(int)
    enlarged = resize(np.clip(shown, 0, 1), tuple(size), order=3, mode="edge", anti_aliasing=False)
    grey = np.round(255 * np.clip(enlarged, 0, 1)).astype(np.uint8)
    encoded = imageio.imwrite("<bytes>", grey, extension=".jpg", quality=JPEG_QUALITY)
    return base64.b64encode(encoded).decode("ascii")


def _outline(mask: np.ndarray, pixel: tuple[float, float]) -> str:
    """SVG path around a mask; index i of a pixel is its centre, half a pixel from the edge."""
    pieces = []
    for contour in find_contours(np.pad(mask, 1).astype(float), 0.5):
        points = (contour - 0.5) * pixel  # -1 for the padding, +0.5 to the pixel's centre
        pieces.append("M" + "L".join(f"{x:.2f} {y:.2f}" for y, x in points) + "Z")
    return "".join(pieces)


def _circle(circle: tuple[float, float, float], frame: Frame, *, width: float) -> str:
    """Bright and dashed on a dark rim, so that it is none of the outlines."""
    row, column, radius = circle
    dy, dx = frame.pixel
    y, x = (row + 0.5 - frame.rows.start) * dy, (column + 0.5 - frame.columns.start) * dx
    shape = f'<ellipse cx="{x:.2f}" cy="{y:.2f}" rx="{radius * dx:.2f}" ry="{radius * dy:.2f}"'
    return (
        f'{shape} fill="none" stroke="#000" stroke-width="{1.6 * width:.2f}"/>'
        f'{shape} fill="none" stroke="{POINTER_COLOUR}" stroke-width="{width:.2f}"'
        f' stroke-dasharray="{3 * width:.2f}"/>'
    )


def _edge_letters(frame: Frame, height: float, width: float, size: float) -> list[str]:
    if frame.letters is None:
        return []
    top, bottom, left, right = frame.letters
    return [
        _text(top, width / 2, size, anchor="middle", size=size),
        _text(bottom, width / 2, height - 0.35 * size, anchor="middle", size=size),
        _text(left, 0.3 * size, height / 2, anchor="start", size=size),
        _text(right, width - 0.3 * size, height / 2, anchor="end", size=size),
    ]


def _text(text: str, x: float, y: float, *, anchor: str, size: float, bold: bool = False) -> str:
    """White with a dark rim, readable on fat and on lung."""
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:.2f}"{weight}'
        f' fill="#fff" stroke="#000" stroke-width="{size / 6:.2f}" paint-order="stroke">'
        f"{text}</text>"
    )
