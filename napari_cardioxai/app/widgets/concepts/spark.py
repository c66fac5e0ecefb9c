"""A biomarker along its concept, as small as a cell of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QModelIndex, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from napari_cardioxai.concepts.named import Concept

WRONG_COLOUR = "#ff7a5c"
SPARK = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Spark:
    """What a sparkline shows.

    Attributes
    ----------
    cohort, heart
        (alpha, value) of the cohort's mean and of this heart, shape (n, 2) each.
    here
        (alpha, value) of the heart as it stands; None without one.
    is_wrong
        Whether the biomarker does not follow.
    sd
        Of the biomarker in the cohort: what moves by less looks flat.
    """

    cohort: np.ndarray
    heart: np.ndarray
    here: tuple[float, float] | None = None
    is_wrong: bool = False
    sd: float = 0.0


class SparkDelegate(QStyledItemDelegate):
    """Draws a `Spark` into its cell."""

    text = QColor("white")

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw."""
        super().paint(painter, option, index)
        spark = index.data(SPARK)
        if painter is None or not isinstance(spark, Spark):
            return
        lines = [line for line in (spark.cohort, spark.heart) if len(line) > 1]
        here = [] if spark.here is None else [np.array([spark.here])]
        if not lines and not here:
            return
        points = np.concatenate([*lines, *here])
        low, high = points[:, 1].min(), points[:, 1].max()
        middle, half = (low + high) / 2, max((high - low) / 2, spark.sd, 1e-6)
        room = QRectF(option.rect).adjusted(5, 4, -5, -4)

        def place(alpha: float, value: float) -> QPointF:
            x = room.left() + (alpha + 3) / 6 * room.width()
            return QPointF(x, room.center().y() - (value - middle) / half * room.height() / 2)

        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        faint = QColor(self.text)
        faint.setAlpha(70)
        painter.setPen(QPen(faint, 1))
        zero = place(0, middle).x()
        painter.drawLine(QPointF(zero, room.top()), QPointF(zero, room.bottom()))
        faint.setAlpha(170)
        colour = QColor(WRONG_COLOUR) if spark.is_wrong else self.text
        for line, pen in ((spark.cohort, QPen(faint, 1)), (spark.heart, QPen(colour, 2))):
            if len(line) > 1:
                painter.setPen(pen)
                painter.drawPolyline(QPolygonF([place(*one) for one in line]))
        if spark.here is not None:
            painter.setBrush(QColor("#ffd84d"))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawEllipse(place(*spark.here), 3.5, 3.5)
        painter.restore()


def spark_of(
    row: Mapping[str, Any],
    concept: Concept,
    *,
    sd: float,
    heart: np.ndarray | None = None,
    here: tuple[float, float] | None = None,
    start: float = 0.0,
) -> Spark:
    """What is known along a concept.

    Parameters
    ----------
    row
        Of the book.
    concept
        Of the row.
    sd
        Of its biomarker in the cohort.
    heart
        (alpha, value) of this heart, where it was walked.
    here
        Where it stands.
    start
        Its biomarker at 0; a book without the cohort's curves has their mean
        slope only, which is drawn from there.
    """
    walked, faithful = row.get("walked"), row.get("fidelity")
    cohort = np.zeros((0, 2))
    if walked is not None:
        pairs = zip(walked["alphas"], walked["values"], strict=True)
        cohort = np.array([pair for pair in pairs if pair[1] is not None], float).reshape(-1, 2)
    elif faithful is not None and faithful["slopes"][concept.biomarker] is not None:
        slope = faithful["slopes"][concept.biomarker] * sd
        cohort = np.array([[alpha, start + slope * alpha] for alpha in (-2.0, 2.0)])
    mine = np.zeros((0, 2)) if heart is None else heart[np.isfinite(heart).all(1)]
    is_wrong = faithful is not None and not faithful["moves_its_own"]
    shown = here if here is not None and np.isfinite(here).all() else None
    return Spark(cohort, mine, shown, is_wrong, sd)
