"""An evaluation as one HTML file that needs nothing beside it: no script, no network."""

from base64 import b64encode
from html import escape
from io import BytesIO

from matplotlib.figure import Figure

from pipeline.evaluation.plots import DOTS_PER_INCH, figures
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.sheets import Row, Sheet, sheets

_CAPTIONS = {
    "roc": "ROC curves of all frames pooled: every draw, and the trivial detectors.",
    "scores": "Energy of the first draw; anomalous frames stand on a band.",
    "heatmaps": "The frame with the highest energy of the first draw, under its anomaly map.",
    "alarms": "Events found over false alarms a camera-day; the line is the recall asked for.",
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
"""


def html_report(evaluation: Evaluation) -> str:
    """The whole page: tables, how their figures came about, and the pictures as data."""
    dataset = evaluation.dataset
    title = f"{dataset.title}{dataset.coverage}: {evaluation.model}"
    frames, anomalous = dataset.labels.size, int(dataset.labels.sum())
    facts = (
        f"{frames} test frames, {anomalous} anomalous; {evaluation.seconds:.1f} s, "
        f"{evaluation.frames_per_second:.1f} frames/s"
    )
    parts = [_sheet(sheet) for sheet in sheets(evaluation)]
    parts += [_figure(name, figure) for name, figure in figures(evaluation).items()]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(facts)}</p>\n"
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


def _row(row: Row) -> str:
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
