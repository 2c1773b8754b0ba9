"""The method: frames in, energies and anomaly maps out. Imports torch, never cameras."""

from models.adaptation import AdaptedScene
from models.checkpoint import CheckpointError
from models.config import PRESETS, SceneModelConfig
from models.feedback import FeedbackExemplar
from models.scorer import SceneScorer
from models.scores import Scores

__all__ = [
    "PRESETS",
    "AdaptedScene",
    "CheckpointError",
    "FeedbackExemplar",
    "SceneModelConfig",
    "SceneScorer",
    "Scores",
]
