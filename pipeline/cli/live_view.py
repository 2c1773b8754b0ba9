"""The terminal view of a running service: one row a camera, score against threshold. Pure."""

from collections import deque
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

_BAR_CELLS = 24
_BAR_SCORE = 1.5  # what the whole bar stands for; 1 is the threshold
_RATE_SECONDS = 5.0
_WHY_SUPPRESSED = {
    "cooldown": "so soon after another one that",
    "schedule": "outside of the schedule, so",
    "calibrating": "while the camera is learning its scene, so",
}


@dataclass(slots=True)
class CameraRow:
    """Newest state of one camera."""

    status: str = "starting"
    """As the supervisor reports it: state, optionally followed by ": reason"."""
    scene: str = ""
    """State of the scene and its progress, such as "collecting 3/10"."""
    score: float | None = None
    dropped: int = 0
    latency_seconds: float | None = None
    scored: deque[tuple[float, int]] = field(default_factory=deque)
    """Clock and number of frames scored in this connection, over the last seconds."""
    connection: int | None = None

    @property
    def frames_per_second(self) -> float | None:
        """Rate of scores over the last seconds; None while there are too few."""
        if len(self.scored) < 2:
            return None
        (begin, first), (end, last) = self.scored[0], self.scored[-1]
        return (last - first) / (end - begin) if end > begin else None


class LiveView:
    """Keeps the rows up to date and draws them."""

    def __init__(self, cameras: list[str]) -> None:
        self.rows = {camera: CameraRow() for camera in cameras}

    def update_status(self, camera: str, status: str) -> bool:
        """Take a camera's status; True where more than its progress changed."""
        row = self.rows.setdefault(camera, CameraRow())
        before, row.status = row.status, status
        return _without_progress(status) != _without_progress(before)

    def update_score(self, camera: str, body: dict[str, object], now: float) -> None:
        """Take a score as the live feed carries it.

        Args:
            camera: Name of the camera.
            body: A `ScoreMessage` as plain data, without its buffers.
            now: Seconds of a monotonic clock.
        """
        row = self.rows.setdefault(camera, CameraRow())
        row.scene = f"{body['state']} {body['progress']}".strip()
        row.score = _number(body["score"])
        row.dropped = int(_number(body["dropped"]) or 0)
        scored_at, captured_at = _number(body["scored_at"]), _number(body["captured_at"])
        if scored_at is not None and captured_at is not None:
            row.latency_seconds = scored_at - captured_at
        connection = int(_number(body["connection"]) or 0)
        if connection != row.connection:
            row.connection = connection
            row.scored.clear()
        row.scored.append((now, int(_number(body["index"]) or 0) + 1 - row.dropped))
        while row.scored[0][0] < now - _RATE_SECONDS:
            row.scored.popleft()

    def table(self) -> Table:
        """All cameras, for a terminal."""
        table = Table(box=None, pad_edge=False, expand=False)
        for name in ("camera", "state", "scene", "score, threshold at │", "", "fps"):
            table.add_column(name, justify="right" if name in ("", "fps") else "left")
        table.add_column("dropped", justify="right")
        table.add_column("latency", justify="right")
        for camera, row in self.rows.items():
            rate, latency = row.frames_per_second, row.latency_seconds
            table.add_row(
                camera,
                row.status,
                row.scene,
                score_bar(row.score),
                "" if row.score is None else f"{row.score:.2f}",
                "" if rate is None else f"{rate:.1f}",
                str(row.dropped),
                "" if latency is None else f"{latency * 1000:.0f} ms",
            )
        return table


def event_line(body: dict[str, object]) -> str | None:
    """A change of an event as a line; None where it needs none, such as a higher peak.

    Args:
        body: The event as the live feed carries it: its fields, the kind of change, and the paths
            of its pictures as far as there are any.
    """
    peak, seconds = _number(body["peak_score"]) or 0.0, _number(body["duration_seconds"]) or 0.0
    match body["change"]:
        case "new":
            what = f"event began, score {peak:.2f}"
        case "suppressed":
            why = _WHY_SUPPRESSED[str(body["suppressed_by"])]
            what = f"event began, score {peak:.2f}, {why} no notification is sent"
        case "released":
            what = f"event continues into the hours of the schedule, score {peak:.2f}"
        case "end":
            what = f"event ended after {seconds:.1f} s, highest score {peak:.2f}"
        case _:
            return None
    pictures = [str(path) for name in ("snapshot", "heatmap") if (path := body[name]) is not None]
    return "\n    ".join([f"{body['camera']}: {what}", *pictures])


def score_bar(score: float | None) -> Text:
    """A score as a bar of fixed width, with the threshold marked."""
    filled = 0 if score is None else round(min(max(score / _BAR_SCORE, 0.0), 1.0) * _BAR_CELLS)
    colour = "red" if score is not None and score >= 1 else "green"
    mark = round(_BAR_CELLS / _BAR_SCORE)
    text = Text()
    for cell in range(_BAR_CELLS + 1):
        if cell == mark:
            text.append("│", style="bold")
        else:
            position = cell if cell < mark else cell - 1
            text.append(
                "█" if position < filled else "·", style=colour if position < filled else "dim"
            )
    return text


def _without_progress(status: str) -> str:
    state, _, _ = status.partition(":")
    return state if state in ("adapting", "watching") else status


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
