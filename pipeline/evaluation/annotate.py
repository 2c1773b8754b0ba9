"""An annotated video: heatmap, and the score against the threshold over time."""

from collections import deque
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from cameras.sampling import resize
from pipeline.evaluation.replay import ReplayedFrame
from pipeline.events.drawing import Pixels, draw_heatmap, draw_score_strip, in_scale_of

_TIME_BASE = Fraction(1, 90_000)
_STRIP_SECONDS = 20.0


class AnnotatedVideo:
    """Writes replayed frames with annotations to an H.264 file; a context manager."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        """Set the output.

        Args:
            path: Any name; the container is MP4.
            frames_per_second: Nominal rate; every frame keeps its own time stamp.
        """
        self._path = path
        self._rate = Fraction(frames_per_second).limit_denominator(1000)
        capacity = max(2, round(_STRIP_SECONDS * frames_per_second))
        self._scores: deque[float | None] = deque(maxlen=capacity)
        self._capacity = capacity
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size_hw = (0, 0)
        self._began_at = 0.0

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            OSError: it cannot be written.
        """
        self._container = av.open(str(self._path), "w", format="mp4")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Flush the encoder, and close."""
        if self._container is None:
            return
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode())
        finally:
            self._container.close()
            self._container = None

    def write(self, frame: ReplayedFrame) -> None:
        """Draw and encode the next frame; frames of another size are scaled to the first one's.

        Raises:
            ValueError: the file is not open.
        """
        if self._container is None:
            raise ValueError(f"{self._path}: want an open video; use `with`")
        if self._stream is None:
            self._size_hw = frame.pixels.shape[0], frame.pixels.shape[1]
            self._began_at = frame.pts_seconds
        picture = self._draw(frame)
        if self._stream is None:
            self._stream = self._open_stream(self._container, picture)
        encoded = av.VideoFrame.from_ndarray(picture, format="rgb24")
        encoded.pts = round((frame.pts_seconds - self._began_at) / _TIME_BASE)
        encoded.time_base = _TIME_BASE
        self._container.mux(self._stream.encode(encoded))

    def _draw(self, frame: ReplayedFrame) -> Pixels:
        score = frame.judgement.score
        self._scores.append(score)
        picture = resize(frame.pixels, self._size_hw)
        if frame.anomaly_map is not None:
            heat = frame.anomaly_map
            if frame.gradient is not None:
                heat = in_scale_of(frame.gradient, heat)
            picture = draw_heatmap(picture, heat, score)
        picture = draw_score_strip(picture, list(self._scores), self._capacity)
        height, width = picture.shape[:2]
        even = picture[: height - height % 2, : width - width % 2]  # as yuv420p wants
        return np.ascontiguousarray(even)

    def _open_stream(self, container: OutputContainer, picture: Pixels) -> VideoStream:
        stream = container.add_stream("libx264", rate=self._rate, options={"crf": "23"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        return stream
