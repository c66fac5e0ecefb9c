"""How layers look: colours, blending and contrast are decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_cardioxai.anatomy.labels import STRUCTURE_NAMES
from napari_cardioxai.report.style import STRUCTURE_COLOURS
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
    """

    colours: dict[int, str] = field(default_factory=lambda: dict(STRUCTURE_COLOURS))
    opacity: float = 0.45
    outline_opacity: float = 0.9
    outline_width: int = 1
    brush_size: int = 6

    def as_kwargs(self) -> dict[str, Any]:
        """Layer attributes of this look, structures named in the layer's features."""
        import pandas as pd
        from napari.utils.colormaps import DirectLabelColormap

        colours = {None: "#d0d0d0", 0: "transparent", **self.colours}
        names = ["background", *(STRUCTURE_NAMES[value] for value in sorted(self.colours))]
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


SCAN_STYLE = ScanStyle()
LABELS_STYLE = LabelsStyle()
LINE_STYLE = LineStyle()

# Anterior, anteroseptal, inferoseptal, inferior, inferolateral, anterolateral: colours that
# colour-blind readers tell apart (Okabe and Ito 2008), the yellow darker for light themes.
WALL_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#d4c400", "#cc79a7", "#d55e00")
