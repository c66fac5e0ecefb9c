"""The table of rules, and the check that goes through it."""

from __future__ import annotations

from napari_cardioxai.anatomy.labels import Labels
from napari_cardioxai.anatomy.quality import (
    cycle_rules,
    label_rules,
    scan_rules,
    shape_rules,
)
from napari_cardioxai.anatomy.quality.facts import (
    FRAMES_OF_A_CYCLE,
    PRESENT_PIXELS,
    Facts,
    NotApplicableError,
)
from napari_cardioxai.anatomy.quality.findings import Finding, NotJudged, QualityReport
from napari_cardioxai.anatomy.quality.reference_rules import REFERENCE_RANGES
from napari_cardioxai.anatomy.quality.rule import Rule
from napari_cardioxai.anatomy.recognise import ENCLOSED
from napari_cardioxai.scans.scan import Scan

PART = "part"  # of one

RULES: tuple[Rule, ...] = (
    Rule(
        key="presence",
        title="Each structure is there",
        read=label_rules.presence,
        source="ukbb_cardiac, sa_pass_quality_control",
        advice="label it there, or remove what should not be",
        threshold=PRESENT_PIXELS,
        unit="px",
        high_is_worse=False,
    ),
    Rule(
        key="slice_count",
        title="Enough slices with LV cavity",
        read=label_rules.slice_count,
        source="ukbb_cardiac, sa_pass_quality_control",
        advice="volumes of so few slices are no whole heart",
        threshold=label_rules.SLICES_WITH_LV,
        unit="slices",
        high_is_worse=False,
        severity="info",
    ),
    Rule(
        key="slice_gaps",
        title="No gap between slices of a structure",
        read=label_rules.slice_gaps,
        source="ukbb_cardiac, sa_pass_quality_control",
        advice="label it, as its volume is missing",
        threshold=label_rules.GAP_SLICES,
        unit="slices",
    ),
    Rule(
        key="coverage",
        title="The stack covers base and apex",
        read=label_rules.coverage,
        source="after Tarroni et al. 2018, coverage; threshold ours",
        advice="the ventricle may go on outside the stack, and volumes be too small",
        threshold=label_rules.CUT_OFF_AREA,
        unit=PART,
    ),
    Rule(
        key="label_convention",
        title="Label values mean what they should",
        read=label_rules.convention,
        source="geometry, as label schemes are recognised",
        advice="check which value is which, and read the labels again with that scheme",
        threshold=ENCLOSED,
        unit=PART,
        high_is_worse=False,
    ),
    Rule(
        key="components",
        title="Each structure is in one piece",
        read=shape_rules.components,
        source="cmr-volume-analysis; disconnected structures in Painchaud et al. 2020",
        advice="remove the stray piece or join it",
        threshold=shape_rules.LARGEST_SHARE,
        unit=PART,
        high_is_worse=False,
    ),
    Rule(
        key="specks",
        title="No specks",
        read=shape_rules.specks,
        source="cmr-volume-analysis",
        advice="erase it",
        threshold=shape_rules.SPECK_VOXELS,
        unit="voxels",
        high_is_worse=False,
        severity="info",
    ),
    Rule(
        key="holes",
        title="No holes",
        read=shape_rules.holes,
        source="Painchaud et al. 2020, holes in and between structures",
        advice="fill it",
        threshold=shape_rules.HOLE_PIXELS,
        unit="px",
    ),
    Rule(
        key="lv_on_background",
        title="Muscle around the LV cavity",
        read=shape_rules.lv_on_background,
        source="Painchaud et al. 2020, LV touches background; threshold ours",
        advice="close the muscle, unless this is the outflow tract",
        threshold=shape_rules.EDGE_ON_BACKGROUND_INFO,
        unit=PART,
    ),
    Rule(
        key="lv_on_rv",
        title="Muscle between LV and RV cavity",
        read=shape_rules.lv_on_rv,
        source="Painchaud et al. 2020, LV touches RV; threshold ours",
        advice="label the septum between them",
        threshold=shape_rules.EDGE_ON_RV,
        unit=PART,
    ),
    Rule(
        key="displaced_contours",
        title="Endocardium and epicardium belong together",
        read=shape_rules.displaced,
        source="ours, after the displaced contours of Sunnybrook SC-HF-I-6",
        advice="one of the two contours is displaced; draw it again",
        threshold=shape_rules.DISPLACEMENT,
        unit="radius",
    ),
    Rule(
        key="frame_count",
        title="Enough frames for a cycle",
        read=cycle_rules.frame_count,
        source="cmr-volume-analysis",
        advice="so few do not show end-systole reliably",
        threshold=FRAMES_OF_A_CYCLE,
        unit="frames",
        high_is_worse=False,
    ),
    Rule(
        key="cycle_closure",
        title="The last frame comes back to the first",
        read=cycle_rules.cycle_closure,
        source="Clough et al. 2019",
        advice="check these labels, or the recording does not cover the whole cycle",
        threshold=cycle_rules.CYCLE_MISMATCH,
        unit=PART,
    ),
    Rule(
        key="stroke_volumes",
        title="Both ventricles eject the same",
        read=cycle_rules.stroke_volumes,
        source="Ruijsink et al. 2019, QC2",
        advice="check the basal slices at end-diastole and end-systole, unless regurgitation or a "
        "shunt explains it",
        threshold=cycle_rules.STROKE_VOLUME_MISMATCH,
        unit=PART,
    ),
    Rule(
        key="mass_over_cycle",
        title="Muscle mass stays the same",
        read=cycle_rules.mass_over_cycle,
        source="Ubachs et al. 2009; thresholds from hand-drawn ACDC labels",
        advice="check the epicardium, above all in the basal slices",
        threshold=cycle_rules.MASS_CHANGE_INFO,
        unit=PART,
    ),
    Rule(
        key="volume_jump",
        title="Volumes change smoothly",
        read=cycle_rules.volume_jump,
        source="cmr-volume-analysis; of the end-diastolic volume",
        advice="compare the labels of the two frames",
        threshold=cycle_rules.VOLUME_JUMP,
        unit=PART,
    ),
    Rule(
        key="frame_timing",
        title="Frame times fit the heart rate",
        read=cycle_rules.frame_timing,
        source="cmr-volume-analysis",
        advice="rates in mL/s and the heart rate may be wrong",
        threshold=cycle_rules.CYCLE_DISAGREEMENT,
        unit=PART,
    ),
    Rule(
        key="frame_interval",
        title="Frames are close enough in time",
        read=cycle_rules.frame_interval,
        source="cmrpocketguide",
        advice="filling rates will be too low",
        threshold=cycle_rules.FRAME_INTERVAL_MS,
        unit="ms",
        severity="info",
    ),
    Rule(
        key="voxel_volume",
        title="Voxels have a plausible size",
        read=scan_rules.voxel_volume,
        source="ours",
        advice="check pixel spacing and slice distance, on which every volume depends",
        threshold=None,
        unit="mm³",
    ),
    Rule(
        key="slice_spacing",
        title="Slices are equally far apart",
        read=scan_rules.slice_spacing,
        source="ours",
        advice="a slice seems to be missing between them",
        threshold=scan_rules.GAP_RATIO,
        unit="ratio",
    ),
    Rule(
        key="missing_frames",
        title="No image is missing",
        read=scan_rules.missing_frames,
        source="as found on reading",
        advice="labels there stand on nothing; export the study again",
        threshold=0,
        unit="images",
        of_scan=True,
    ),
    Rule(
        key="duplicate_frames",
        title="No frame is there twice",
        read=scan_rules.duplicate_frames,
        source="ours; ukbb_cardiac fills missing files with the frame before",
        advice="one of them is probably missing; export the study again",
        threshold=0,
        unit="frames",
        of_scan=True,
    ),
    Rule(
        key="duplicate_slices",
        title="No slice is there twice",
        read=scan_rules.duplicate_slices,
        source="ours; repeated slices are known from the Data Science Bowl",
        advice="one of them counts twice in every volume",
        threshold=0,
        unit="slices",
        of_scan=True,
    ),
    *(
        Rule(
            key=key,
            title=f"{reference.name} as in healthy adults",
            read=reference.read,
            source=reference.source,
            advice="unusual, but no fault in itself",
            threshold=None,
            unit=reference.unit,
            kind="physiology",
            severity="info",
        )
        for key, reference in REFERENCE_RANGES.items()
    ),
)


def check(
    labels: Labels, *, scan: Scan | None = None, earlier: QualityReport | None = None
) -> QualityReport:
    """Go through every rule.

    Parameters
    ----------
    labels
        What to judge, in the scheme 1 LV, 2 myocardium, 3 RV.
    scan
        The scan that they belong to; without it, rules about images are left out.
    earlier
        A report on the same scan: its overrides go on to hold, and its findings
        about the images are taken over instead of reading those again. For live
        use, where only labels change.

    Returns
    -------
    QualityReport
        Findings with warnings first, in the order of the table.
    """
    facts = Facts(labels, scan)
    known = {} if scan is None or earlier is None else _about_scan(earlier)
    judged: list[Finding] = []
    left_out: list[NotJudged] = []
    for rule in RULES:
        if rule.key in known:
            judged += known[rule.key]
            continue
        try:
            judged += rule.judge(facts)
        except NotApplicableError as error:
            left_out.append(NotJudged(rule.key, str(error)))
    tripped = [finding for finding in judged if not finding.passed]
    report = QualityReport(
        findings=tuple(sorted(tripped, key=lambda finding: finding.severity != "warning")),
        passed=tuple(finding for finding in judged if finding.passed),
        not_applicable=tuple(left_out),
    )
    return report if earlier is None else report.with_overrides(earlier.overrides)


def _about_scan(report: QualityReport) -> dict[str, list[Finding]]:
    """Findings of an earlier report by the rules that look at images alone."""
    keys = [rule.key for rule in RULES if rule.of_scan]
    findings = (*report.findings, *report.passed)
    found = {key: [finding for finding in findings if finding.rule == key] for key in keys}
    return {key: those for key, those in found.items() if those}
