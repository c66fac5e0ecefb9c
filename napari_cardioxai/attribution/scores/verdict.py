"""One line a map in plain words: what speaks for it, what against, and whether to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_cardioxai.attribution.scores.controls import CONTROL_TITLES, CONTROLS
from napari_cardioxai.attribution.scores.randomisation import CHANGED_BELOW

COMPLETE_WITHIN_PERCENT = 5.0
"""What a map that claims to add up may miss."""

OVERSHOOTS = 1.0
"""How far answers to half-changed images may leave the range between baseline and image, in such ranges.

Some is natural: before the evidence against the target is in, the answer is
higher than at the end; a segmenter overshoots by .6 to .8. A latent classifier
whose memberships are half exchanged does so by 2 to 9: it has never seen the
like, and insertion and deletion then say little of the map.
"""

_MARGIN = 0.02  # by which a map has to be ahead of a control: repeated random maps differ by less


@dataclass(frozen=True)
class Judgement:
    """What the scores of a map amount to.

    Attributes
    ----------
    sentence
        For people.
    passes
        False: the map is not to be trusted.
    weak
        It passes, but some control does as well as it, or what speaks for it
        is to be doubted.
    """

    sentence: str
    passes: bool
    weak: bool = False


def judge_map(
    scores: Mapping[str, float], controls: Mapping[str, Mapping[str, float]]
) -> Judgement:
    """Put the scores of a map and of the controls into one sentence.

    A map fails when it hardly changes as the weights become random, when the
    network follows it no more than chance, or when it claims to add up and does
    not. It is weak when the centre or the edges do as well, or when answers to
    half-changed images overshoot, so that following it says little.

    Parameters
    ----------
    scores
        Of the map, by the names of `table.SCORES`; what was not measured is absent.
    controls
        Of the controls, by their names.
    """
    good, bad, weak = [], [], False
    if "auprc" in scores:
        behind = _not_behind("auprc", scores, controls)
        if not behind:
            good.append("points at the structure better than " + _listed(CONTROLS))
        else:
            weak = True
            ahead = [name for name in CONTROLS if name not in behind]
            if ahead:
                good.append("points at the structure better than " + _listed(ahead))
            bad.append("points at it no better than " + _listed(behind))
    failed = False
    if "faithfulness" in scores:
        behind = _not_behind("faithfulness", scores, controls)
        if "random" in behind:
            failed = True
            bad.append("the network follows it no more than chance")
        elif behind:
            weak = True
            bad.append("the network follows it no more than " + _listed(behind))
        else:
            good.append("the network follows it more than " + _listed(CONTROLS))
    beyond = scores.get("overshoot", 0.0)
    if beyond > OVERSHOOTS:
        weak = True
        bad.append(
            f"answers to half-changed images overshoot {beyond:.1f} times the range, so that "
            "following says little"
        )
    if "randomised" in scores:
        if abs(scores["randomised"]) >= CHANGED_BELOW:
            failed = True
            bad.append("does not change when the network's weights are randomised")
        else:
            good.append("changes with the network's weights")
    missed = scores.get("completeness_percent")
    if missed is not None and missed > COMPLETE_WITHIN_PERCENT:
        failed = True
        bad.append(f"its sum misses the explained number by {missed:.0f} %")
    return Judgement(
        _sentence(good, bad, failed=failed, weak=weak), not failed, weak and not failed
    )


def _not_behind(
    name: str, scores: Mapping[str, float], controls: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Controls that do as well as the map."""
    return [
        control
        for control in CONTROLS
        if name in controls.get(control, {}) and scores[name] <= controls[control][name] + _MARGIN
    ]


def _sentence(good: list[str], bad: list[str], *, failed: bool, weak: bool) -> str:
    end = "nothing measured here speaks against it"
    if failed:
        end = "do not trust it"
    elif weak:
        end = "trust it only beside other maps"
    if not good and not bad:
        return "Nothing was measured of this map: do not trust it yet."
    words = "; ".join(good)
    if bad:
        words = ", but ".join(filter(None, (words, "; ".join(bad))))
    return f"{words[0].upper()}{words[1:]}: {end}."


def _listed(controls: tuple[str, ...] | list[str]) -> str:
    titles = [CONTROL_TITLES[name] for name in controls]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
