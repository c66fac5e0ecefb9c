"""Progress through work whose parts each count from the beginning, as one number that only grows."""

from __future__ import annotations

from napari_cardioxai.progress import Progress

_FINE = 1000  # steps that a stage is reported in


class Stages:
    """One progress made of stages, and each stage of rounds.

    A method's map, its insertion, its deletion and so on each report from 0 to
    their own total; a person wants to know how much of all of it is done.

    Parameters
    ----------
    on_progress
        Is told the whole.
    count
        Of stages.
    """

    def __init__(self, on_progress: Progress, count: int) -> None:
        self._on_progress, self._count = on_progress, count
        self._stage, self._done = -1, 0

    def begin(self, title: str, *, rounds: int) -> Progress:
        """The next stage's own progress.

        Parameters
        ----------
        title
            Stands before whatever the stage reports.
        rounds
            How many times it counts from the beginning, about; where it does so
            more often, it stays at its end.
        """
        self._stage += 1
        stage, last, rounds_done = self._stage, "", -1

        def report(done: int, total: int, what: str) -> None:
            nonlocal last, rounds_done
            if what != last:
                last, rounds_done = what, rounds_done + 1
            share = (rounds_done + (done / total if total > 0 else 0.0)) / max(rounds, 1)
            self._done = max(self._done, int(_FINE * (stage + min(share, 1.0))))
            self._on_progress(self._done, _FINE * self._count, f"{title}: {what}")

        return report
