"""Tables of single clips, of kinds of anomalies, and of the terms of the energy."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from pipeline.evaluation.per_clip import (
    ClipFigures,
    EventOutcome,
    TermMeans,
    clip_figures,
    kind_figures,
    separating,
    term_means,
)
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.sheets import Sheet, SheetRow, number, percent, title

SHORT_ROWS = 5
_NONE = "–"


def clip_sheets(evaluation: Evaluation) -> list[Sheet]:
    """Every clip, every kind of anomaly if the data set names any, and the terms of every clip."""
    clips = clip_figures(evaluation)
    found = [_clip_sheet(evaluation, clips)]
    kinds = _kind_sheet(evaluation)
    return [*found, *([kinds] if kinds else []), _term_sheet(evaluation, clips)]


def short_clip_sheet(evaluation: Evaluation) -> Sheet:
    """The clips with the lowest AUROC, few enough for a terminal."""
    clips = clip_figures(evaluation)
    lowest = sorted(clips, key=lambda clip: mean(clip.aurocs) if clip.aurocs else 1.0)[:SHORT_ROWS]
    which = "every clip"
    if len(lowest) < len(clips):
        which = f"the {len(lowest)} of {len(clips)} clips with the lowest AUROC"
    return Sheet(
        f"{title(evaluation)}: {which}",
        ("clip", "AUROC, %", "anomalous", "highest", "found", "false alarms", "separates"),
        (
            tuple(
                SheetRow(
                    (
                        *_common(clip),
                        _NONE if clip.events is None else f"{clip.found} of {len(clip.events)}",
                        _count(clip.false_alarms),
                        _separating(clip.terms),
                    )
                )
                for clip in lowest
            ),
        ),
        f"{_clip_note(evaluation)} The HTML report has every clip, the terms, and pictures.",
    )


def _clip_sheet(evaluation: Evaluation, clips: Sequence[ClipFigures]) -> Sheet:
    return Sheet(
        f"{title(evaluation)}: each clip",
        ("clip", "AUROC, %", "anomalous", "highest", "at frame", "events", "false alarms"),
        (
            tuple(
                SheetRow(
                    (
                        *_common(clip),
                        str(clip.highest_frame),
                        _NONE if clip.events is None else "; ".join(map(_event, clip.events)),
                        _count(clip.false_alarms),
                    )
                )
                for clip in clips
            ),
        ),
        _clip_note(evaluation),
    )


def _kind_sheet(evaluation: Evaluation) -> Sheet | None:
    kinds = kind_figures(evaluation)
    if not kinds:
        return None
    return Sheet(
        f"{title(evaluation)}: each kind of anomaly",
        ("kind", "AUROC, %", "frames", "highest", *evaluation.terms, "separates"),
        (
            tuple(
                SheetRow(
                    (
                        kind.name,
                        _auroc(kind.aurocs),
                        str(kind.frames),
                        number(kind.highest, 2),
                        *_means(kind.terms, evaluation.terms),
                        _separating(kind.terms),
                    )
                )
                for kind in kinds
            ),
        ),
        "AUROC against the normal frames of the same scene, mean over the draws; the other figures "
        f"are of the first draw. {_TERMS_NOTE}",
    )


def _term_sheet(evaluation: Evaluation, clips: Sequence[ClipFigures]) -> Sheet:
    names = evaluation.terms
    pooled = term_means(evaluation)
    rows = tuple(
        SheetRow((clip.name, *_means(clip.terms, names), _separating(clip.terms))) for clip in clips
    )
    return Sheet(
        f"{title(evaluation)}: what each term adds to the energy",
        ("clip", *names, "separates"),
        (
            (SheetRow(("all frames", *_means(pooled, names), _separating(pooled)), "headline"),),
            rows,
        ),
        f"{_TERMS_NOTE} First draw.",
    )


_TERMS_NOTE = (
    "Terms: mean over anomalous / over normal frames, in the unit of the energy; 0 is typical of "
    "the scene. The term with the largest difference separates."
)


def _clip_note(evaluation: Evaluation) -> str:
    note = (
        "AUROC within the clip, mean over the draws; anomalous frames of all frames; the other "
        "figures are of the first draw."
    )
    if any(clip.still for clip in evaluation.dataset.test):
        note += " The images of a scene count as one clip."
    alarms = evaluation.alarms
    if alarms is None:
        return note
    return (
        f"{note} Events and false alarms at the threshold of the alarm measures "
        f"({alarms.draws[0].threshold:.2f}): {alarms.moments.missed_count} of {alarms.events} "
        f"events missed, {alarms.moments.false_alarm_count} false alarms."
    )


def _common(clip: ClipFigures) -> tuple[str, ...]:
    return (
        clip.name,
        _auroc(clip.aurocs),
        f"{clip.anomalous} of {clip.frames}",
        number(clip.highest, 2),
    )


def _auroc(draws: Sequence[float]) -> str:
    if not draws:
        return _NONE
    return percent(mean(draws), stdev(draws) if len(draws) > 1 else None)


def _event(event: EventOutcome) -> str:
    if event.delay_seconds is None:
        return f"{event.first}–{event.last} missed"
    return f"{event.first}–{event.last} found after {event.delay_seconds:.1f} s"


def _count(value: int | None) -> str:
    return _NONE if value is None else str(value)


def _means(terms: Mapping[str, TermMeans], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{number(terms[name].anomalous, 2)} / {number(terms[name].normal, 2)}" for name in names
    )


def _separating(terms: Mapping[str, TermMeans]) -> str:
    return separating(terms) or _NONE
