"""An evaluation as one self-contained HTML file, without scripts or network access."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

from matplotlib.figure import Figure

from pipeline.evaluation.clip_sheets import clip_sheets
from pipeline.evaluation.moment_pictures import draw_moments
from pipeline.evaluation.moments import Moment
from pipeline.evaluation.per_clip import term_means
from pipeline.evaluation.plots import DOTS_PER_INCH, figures
from pipeline.evaluation.results import Alarms, Evaluation
from pipeline.evaluation.sheets import Sheet, SheetRow, number, sheets, title

_CAPTIONS = {
    "roc": "ROC curves of all frames pooled: every draw, and the trivial detectors.",
    "scores": "Energy of the first draw; anomalous frames are shaded.",
    "heatmaps": "The frame with the highest energy of the first draw, under its anomaly map; with "
    "gradient heatmaps, under |∇ₓE| beside it.",
    "alarms": "Events found over false alarms a camera-day; the line is the target.",
}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #222; } tbody { border-bottom: 1px solid #bbb; }
tr.headline { font-weight: bold; } tr.draw { color: #777; }
p.note, figcaption { color: #555; font-size: .9rem; max-width: 55rem; }
figure { margin: 1rem 0; } img { max-width: 100%; }
.moments { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.moments figure { margin: 0; } .moments img { width: 100%; }
"""


def html_report(evaluation: Evaluation) -> str:
    """Build the page: tables, the protocol of their figures, and the images as data.

    Clips with missed events or false alarms are decoded again for their images.

    Raises:
        SourceError: such a clip can no longer be decoded.
        DatasetError: its masks can no longer be read.
    """
    dataset = evaluation.dataset
    heading = f"{title(evaluation)}: {evaluation.model}"
    frames, anomalous = dataset.labels.size, int(dataset.labels.sum())
    facts = (
        f"{frames} test frames, {anomalous} anomalous; {evaluation.seconds:.1f} s, "
        f"{evaluation.frames_per_second:.1f} frames/s"
    )
    parts = [_sheet(sheet) for sheet in (*sheets(evaluation), *clip_sheets(evaluation))]
    if evaluation.alarms is not None:
        parts += _moments(evaluation, evaluation.alarms)
    parts += [_figure(name, figure) for name, figure in figures(evaluation).items()]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(heading)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(heading)}</h1>\n<p>{escape(facts)}</p>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _sheet(sheet: Sheet) -> str:
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in sheet.columns)
    bodies = "\n".join(
        "<tbody>\n" + "\n".join(_row(row) for row in section) + "\n</tbody>"
        for section in sheet.sections
    )
    return (
        f"<h2>{escape(sheet.title)}</h2>\n<table>\n<thead><tr>{heads}</tr></thead>\n{bodies}\n"
        f'</table>\n<p class="note">{escape(sheet.note)}</p>'
    )


def _row(row: SheetRow) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row.cells)
    return f'<tr class="{escape(row.kind)}">{cells}</tr>'


def _figure(name: str, figure: Figure) -> str:
    written = BytesIO()
    figure.savefig(written, format="png", dpi=DOTS_PER_INCH)
    data = b64encode(written.getvalue()).decode("ascii")
    caption = escape(_CAPTIONS[name])
    return (
        f'<figure>\n<img src="data:image/png;base64,{data}" alt="{caption}">\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )


def _moments(evaluation: Evaluation, alarms: Alarms) -> list[str]:
    """Galleries of missed events and false alarms; each clip is decoded once."""
    missed, false = alarms.moments.missed, alarms.moments.false_alarms
    pictures = draw_moments(evaluation, alarms, [*missed, *false])
    drawn = [
        _moment(evaluation, moment, picture)
        for moment, picture in zip([*missed, *false], pictures, strict=True)
    ]
    normal = {name: means.normal for name, means in term_means(evaluation).items()}
    note = (
        "Each at its frame with the highest energy in the first draw; the threshold is "
        f"{alarms.draws[0].threshold:.2f}. The heatmap is drawn as for a live camera with "
        "that threshold; masks are outlined. Terms are contributions to the energy; on "
        f"normal frames their mean is {_values(normal)}. The frames of a false alarm may enclose "
        "an event, before and after which it was raised."
    )
    if evaluation.options.heatmap == "gradient":
        note += " To the right |∇ₓE|, drawn as strong as the anomaly map."
    heading = title(evaluation)
    return [
        _gallery(
            f"{heading}: missed events",
            _shown(len(missed), alarms.moments.missed_count, "lowest", note),
            drawn[: len(missed)],
        ),
        _gallery(
            f"{heading}: false alarms",
            _shown(len(false), alarms.moments.false_alarm_count, "highest", note),
            drawn[len(missed) :],
        ),
    ]


def _shown(shown: int, count: int, end: str, note: str) -> str:
    if not count:
        return "None."
    which = f"All {count}, the {end} first" if shown == count else f"The {shown} {end} of {count}"
    return f"{which}. {note}"


def _gallery(heading: str, note: str, drawn: Sequence[str]) -> str:
    return (
        f'<h2>{escape(heading)}</h2>\n<p class="note">{escape(note)}</p>\n'
        '<div class="moments">\n' + "\n".join(drawn) + "\n</div>"
    )


def _moment(evaluation: Evaluation, moment: Moment, picture: bytes) -> str:
    name = evaluation.dataset.test[moment.clip].name
    where = f"{name}, frames {moment.first}–{moment.last}, at {moment.peak}"
    parts = dict(zip(evaluation.terms, moment.parts.tolist(), strict=True))
    data = b64encode(picture).decode("ascii")
    return (
        f'<figure>\n<img src="data:image/jpeg;base64,{data}" alt="{escape(where)}">\n'
        f"<figcaption>{escape(where)} ({moment.pts_seconds:.1f} s)<br>\n"
        f"energy {moment.energy:.2f}: {escape(_values(parts))}</figcaption>\n</figure>"
    )


def _values(terms: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {number(value, 2)}" for name, value in terms.items())
