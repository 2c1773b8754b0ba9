"""Images of missed events and false alarms with heatmaps; the clips are decoded again."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from cameras.sampling import resize
from pipeline.datasets.layout import DatasetClip, Mask, read_frames
from pipeline.evaluation.moments import Moment
from pipeline.evaluation.results import Alarms, Evaluation
from pipeline.events.drawing import Pixels, draw_heatmap, in_scale_of

_JPEG_QUALITY = 85
_OUTLINE = (0, 230, 120)
_LEAST_SCALE = 1e-6


def draw_moments(evaluation: Evaluation, alarms: Alarms, moments: Sequence[Moment]) -> list[bytes]:
    """Draw the peak frame of each moment.

    The heatmap is drawn as for a live camera: faint from half way between the median of the normal
    frames and the threshold. Where there is a gradient heatmap, the frame is drawn under it too, to
    the right, as strong as the anomaly map. Anomalous pixels are outlined where the clip has masks.

    Args:
        evaluation: The evaluation.
        alarms: Its alarm measures.
        moments: Moments of these.

    Returns:
        JPEG files at the model's size, in the order of the moments.

    Raises:
        SourceError: a clip can no longer be decoded.
        DatasetError: a single image or a mask can no longer be read.
    """
    pooled = np.concatenate(evaluation.draws[0].values)
    normal = pooled[~evaluation.dataset.labels]
    usual, threshold = float(np.median(normal)), alarms.draws[0].threshold
    scale = threshold - usual if threshold > usual else max(float(normal.std()), _LEAST_SCALE)
    drawn: dict[tuple[int, int], bytes] = {}
    for number in sorted({moment.clip for moment in moments}):
        of_clip = {moment.peak: moment for moment in moments if moment.clip == number}
        for peak, pixels, mask in _frames(evaluation.dataset.test[number], set(of_clip)):
            small = resize(pixels, evaluation.config.size_hw)
            heat = (of_clip[peak].anomaly_map.astype(np.float32) - usual) / scale
            pictures = [draw_heatmap(small, heat)]
            gradient = of_clip[peak].gradient
            if gradient is not None:
                pictures.append(draw_heatmap(small, in_scale_of(gradient, heat)))
            if mask is not None:
                pictures = [_outlined(picture, mask) for picture in pictures]
            drawn[number, peak] = _jpeg(np.hstack(pictures))
    return [drawn[moment.clip, moment.peak] for moment in moments]


def _frames(clip: DatasetClip, wanted: set[int]) -> Iterator[tuple[int, Pixels, Mask | None]]:
    """The wanted frames with their masks; decoding stops at the last of them."""
    masks = clip.read_masks()
    for number, frame in enumerate(read_frames(clip)):
        mask = next(masks, None)
        if number in wanted:
            yield number, frame.pixels, mask
        if number == max(wanted):
            return


def _outlined(pixels: Pixels, mask: Mask) -> Pixels:
    height, width = pixels.shape[:2]
    small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(pixels.copy(), contours, -1, _OUTLINE, 1), dtype=np.uint8)


def _jpeg(pixels: Pixels) -> bytes:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()
