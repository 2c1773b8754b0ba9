"""An evaluation as plain data for scripts, and the protocol of its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean, stdev
from typing import Any

from pipeline.evaluation.per_clip import (
    ClipFigures,
    TermMeans,
    clip_figures,
    kind_figures,
    term_means,
)
from pipeline.evaluation.results import DetectorResult, Evaluation
from pipeline.evaluation.roc import has_both_classes
from pipeline.evaluation.summary import (
    Metrics,
    inspection_means,
    means,
    scene_aurocs,
    spreads,
)

_BASELINES_KEPT = ("frame_index", "frame_difference")  # the result of a constant is known


def protocol(evaluation: Evaluation) -> str:
    """Evaluation protocol in one sentence, to be shown with every figure."""
    options, labels, dataset = evaluation.options, evaluation.labels, evaluation.dataset
    clips = "1 clip" if options.shots == 1 else f"{options.shots} clips"
    seeds = f"seeds {options.seeds[0]} to {options.seeds[-1]}"
    if options.draws == 1:
        draws = f"one draw (seed {options.seed})"
    else:
        draws = f"{options.draws} draws ({seeds}), mean and sample standard deviation over them"
    scenes = "" if len(dataset.scenes) == 1 else " of the same scene"
    if options.turned:
        scenes += ", with their flips and turns"
    length, interval = evaluation.config.clip_length, evaluation.config.clip_interval_seconds
    spacing = "" if length == 1 else f" {interval:g} s apart"
    repeated = ""
    if length > 1:
        still = all(clip.still for clip in dataset.test)
        repeated = (
            ", a single image being repeated"
            if still
            else ", the first ones from a truncated history"
        )
    both = sum(map(has_both_classes, labels))
    return (
        f"Support of {clips} drawn at random from Train{scenes}, {draws}; every test frame scored "
        f"causally from {length} frame{'s' if length > 1 else ''}{spacing}{repeated}; raw "
        "energies, no smoothing unless the row says so (then exponential, over the past alone), no "
        "scaling per clip but in the rows of field post-processing, no frame left out; macro over "
        f"the {both} of {len(labels)} test clips with both classes."
    )


def field_protocol(evaluation: Evaluation) -> str:
    """Description of the field post-processing."""
    return (
        "Field post-processing, as in most papers: each clip scaled to 0 … 1 by its own lowest and "
        "highest value, then smoothed by a centred Gaussian (σ = "
        f"{evaluation.options.field_sigma_frames:g} frames). It uses future frames and the "
        "knowledge that every clip holds an anomaly, so that no live camera can do it."
    )


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The result as plain data; shares are in [0, 1], and null where they are not defined."""
    options = evaluation.options
    return {
        "dataset": f"{evaluation.dataset.name}{evaluation.dataset.coverage}",
        "model": evaluation.model,
        "shots": options.shots,
        "protocol": protocol(evaluation),
        "frames": sum(clip.size for clip in evaluation.labels),
        "draws": [
            {"seed": seed, **asdict(draw.metrics)}
            for seed, draw in zip(options.seeds, evaluation.draws, strict=True)
        ],
        **_summary([draw.metrics for draw in evaluation.draws]),
        "baselines": _baselines(evaluation.baselines),
        "seconds": round(evaluation.seconds, 2),
        "frames_per_second": round(evaluation.frames_per_second, 2),
        "smoothed": {
            "time_constant_seconds": options.smoothing_seconds,
            **_summary([draw.metrics for draw in evaluation.smoothed_draws]),
            "baselines": {"frame_difference": asdict(evaluation.smoothed_difference.metrics)},
        },
        "field_post_processing": _field(evaluation),
        "localisation": _localisation(evaluation),
        "inspection": _inspection(evaluation),
        "alarms": _alarms(evaluation),
        "scenes": {
            name: {
                "frame_auroc_micro": _auroc(scene.draws),
                "frame_difference": scene.difference,
            }
            for name, scene in scene_aurocs(evaluation).items()
        },
        "clips": [_clip(clip) for clip in clip_figures(evaluation)],
        "kinds": {
            kind.name: {
                "frames": kind.frames,
                "frame_auroc": _auroc(kind.aurocs),
                "highest_energy": kind.highest,
                "terms": _terms(kind.terms),
            }
            for kind in kind_figures(evaluation)
        },
        "terms": _terms(term_means(evaluation)),
    }


def _clip(clip: ClipFigures) -> dict[str, Any]:
    return {
        "name": clip.name,
        "frames": clip.frames,
        "anomalous_frames": clip.anomalous,
        "frame_auroc": _auroc(clip.aurocs),
        "highest_energy": clip.highest,
        "highest_frame": clip.highest_frame,
        "events": None if clip.events is None else [asdict(event) for event in clip.events],
        "false_alarms": clip.false_alarms,
        "terms": _terms(clip.terms),
    }


def _auroc(draws: Sequence[float]) -> dict[str, float | None] | None:
    if not draws:
        return None
    return {"mean": mean(draws), "std": stdev(draws) if len(draws) > 1 else None}


def _terms(terms: Mapping[str, TermMeans]) -> dict[str, Any]:
    return {name: asdict(means) for name, means in terms.items()}


def _field(evaluation: Evaluation) -> dict[str, Any] | None:
    rows = evaluation.field_rows
    if rows is None:
        return None
    return {
        "sigma_frames": evaluation.options.field_sigma_frames,
        **_summary([draw.metrics for draw in rows.draws]),
        "baselines": _baselines(rows.baselines),
    }


def _localisation(evaluation: Evaluation) -> dict[str, Any] | None:
    found = evaluation.localisation
    if found is None:
        return None
    return {
        "clips": found.clips,
        **_summary(found.draws),
        "gradient": None if found.gradient is None else asdict(found.gradient),
        "baselines": {"frame_difference": asdict(found.difference)},
    }


def _inspection(evaluation: Evaluation) -> dict[str, Any] | None:
    if not evaluation.inspection:
        return None
    return {
        "mean": inspection_means(evaluation),
        "categories": {name: _summary(draws) for name, draws in evaluation.inspection.items()},
    }


def _alarms(evaluation: Evaluation) -> dict[str, Any] | None:
    found, options = evaluation.alarms, evaluation.options.alarms
    if found is None:
        return None
    wanted = options.false_alarms_per_day
    return {
        "wanted_event_recall": options.event_recall if wanted is None else None,
        "wanted_false_alarms_per_day": wanted,
        "merge_gap_seconds": options.merge_gap_seconds,
        "events": found.events,
        "normal_seconds": round(found.normal_seconds, 2),
        **_summary(found.draws),
        "baselines": {"frame_difference": asdict(found.difference)},
        "further": [
            {
                "wanted_false_alarms_per_day": rows.wanted_per_day,
                **_summary(rows.draws),
                "baselines": {"frame_difference": asdict(rows.difference)},
            }
            for rows in found.further
        ],
    }


def _summary(draws: Sequence[Metrics]) -> dict[str, Any]:
    return {"mean": means(draws), "std": spreads(draws)}


def _baselines(detectors: Sequence[DetectorResult]) -> dict[str, Any]:
    return {
        detector.name: asdict(detector.metrics)
        for detector in detectors
        if detector.name in _BASELINES_KEPT
    }
