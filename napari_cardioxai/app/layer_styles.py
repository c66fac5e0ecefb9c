"""How layers look: colours, blending and contrast are decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES
from napari_cardioxai.attribution.colours import STOPS, Sign
from napari_cardioxai.report.style import POINTER_COLOUR, STRUCTURE_COLOURS
from napari_cardioxai.scans.scan import Scan


@dataclass(frozen=True)
class ScanStyle:
    """Look of an acquired image.

    Attributes
    ----------
    colormap
        napari's name of the colour map.
    interpolation2d
        How pixels are drawn; linear, as on a reading workstation.
    low_percentile, high_percentile
        Intensities outside are clipped when the file gives no window.
    """

    colormap: str = "gray"
    interpolation2d: str = "linear"
    low_percentile: float = 0.5
    high_percentile: float = 99.0

    def contrast_limits(self, scan: Scan) -> tuple[float, float]:
        """Display limits for the whole cine, the same for every frame; call it in a worker.

        The file's own window where it has one, else percentiles of about a million voxels.
        """
        if scan.window is not None and scan.window[1] > scan.window[0]:
            return scan.window
        step = max(1, round((scan.data.size / 1_000_000) ** 0.5))
        voxels = np.asarray(scan.data[..., ::step, ::step])
        low, high = np.percentile(voxels, [self.low_percentile, self.high_percentile])
        return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)

    def as_kwargs(self) -> dict[str, Any]:
        """Layer attributes of this look."""
        return {"colormap": self.colormap, "interpolation2d": self.interpolation2d}


@dataclass(frozen=True)
class LabelsStyle:
    """Look of a segmentation.

    Attributes
    ----------
    colours
        Label value to colour; the window and the report share them.
    opacity
        Of the filled areas; the heart must stay visible below.
    outline_opacity, outline_width
        When only the borders are drawn; width in pixels of the image.
    brush_size
        First size of napari's brush, in pixels.
    names
        Of the values, for the layer's features.
    """

    colours: dict[int, str] = field(default_factory=lambda: dict(STRUCTURE_COLOURS))
    opacity: float = 0.45
    outline_opacity: float = 0.9
    outline_width: int = 1
    brush_size: int = 6
    names: dict[int, str] = field(default_factory=lambda: dict(STRUCTURE_NAMES))

    def as_kwargs(self) -> dict[str, Any]:
        """Layer attributes of this look, structures named in the layer's features."""
        import pandas as pd
        from napari.utils.colormaps import DirectLabelColormap

        colours = {None: "#d0d0d0", 0: "transparent", **self.colours}
        names = ["background", *(self.names[value] for value in sorted(self.colours))]
        features = pd.DataFrame({"index": [0, *sorted(self.colours)], "structure": names})
        return {
            "colormap": DirectLabelColormap(color_dict=colours),
            "opacity": self.opacity,
            "features": features,
        }


@dataclass(frozen=True)
class LineStyle:
    """Look of a line that is drawn on an image.

    Attributes
    ----------
    colour
        None of the structures', and readable on muscle, blood and lung.
    width
        In pixels of the image.
    """

    colour: str = "#ffd84d"
    width: float = 0.8

    def as_kwargs(self) -> dict[str, Any]:
        """Layer attributes of this look."""
        return {"edge_color": self.colour, "edge_width": self.width, "opacity": 1.0}


@dataclass(frozen=True)
class HeatStyle:
    """Look of a heat map over a scan.

    Attributes
    ----------
    sign
        Two signs take a diverging colour map, one a sequential one; both are
        clear at zero.
    opacity
        Of the strongest colour.
    interpolation2d
        How pixels are drawn.
    """

    sign: Sign
    opacity: float = 0.75
    interpolation2d: str = "linear"

    def as_kwargs(self) -> dict[str, Any]:
        """Layer attributes of this look."""
        from napari.utils.colormaps import Colormap

        stops = np.array(STOPS[self.sign])
        return {
            "colormap": Colormap(stops[:, 1:], controls=stops[:, 0], name=f"heat, {self.sign}"),
            "opacity": self.opacity,
            "interpolation2d": self.interpolation2d,
            "blending": "translucent_no_depth",
            "rendering": "mip",
        }


@dataclass(frozen=True)
class OutlineStyle(LabelsStyle):
    """Look of a heart that others are compared with: its borders in one colour.

    Attributes
    ----------
    colours
        One colour, none of the structures': it may lie on any of them.
    """

    colours: dict[int, str] = field(
        default_factory=lambda: dict.fromkeys((1, 2, 3), POINTER_COLOUR)
    )
    opacity: float = 0.9


@dataclass(frozen=True)
class DifferenceStyle(LabelsStyle):
    """Look of what has become something else.

    Attributes
    ----------
    colours
        Of what it is now; what was heart and is background now has one of its own.
    """

    colours: dict[int, str] = field(default_factory=lambda: {**STRUCTURE_COLOURS, 4: "#d79bff"})
    opacity: float = 0.9
    names: dict[int, str] = field(
        default_factory=lambda: {
            1: "became LV cavity",
            2: "became muscle",
            3: "became RV cavity",
            4: "became background",
        }
    )


SCAN_STYLE = ScanStyle()
LABELS_STYLE = LabelsStyle()
DECODED_STYLE = LabelsStyle(opacity=0.55)
RECONSTRUCTION_STYLE = OutlineStyle()
DIFFERENCE_STYLE = DifferenceStyle()
OTHERS_STYLE = OutlineStyle(colours=dict.fromkeys((1, 2, 3), "#ffffff"))
LINE_STYLE = LineStyle()
HEAT_STYLES = {sign: HeatStyle(sign) for sign in STOPS}

# Anterior, anteroseptal, inferoseptal, inferior, inferolateral, anterolateral: colours that
# colour-blind readers tell apart (Okabe and Ito 2008), the yellow darker for light themes.
WALL_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#d4c400", "#cc79a7", "#d55e00")
