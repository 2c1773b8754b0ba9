"""Public interface of the method: adapt once, score many times.

Longer than other files, as most of it documents what a user of the library calls.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from models.adaptation import AdaptedScene, adapt_observation
from models.checkpoint import identity, load_checkpoint, load_scene, save_scene
from models.config import PRESETS, SceneModelConfig
from models.device import resolve_device
from models.feedback import FeedbackExemplar, exemplar_of, with_exemplars
from models.heatmap import gradient_heatmaps, pooled
from models.scene_model import Observation, SceneModel
from models.scores import Scores
from models.standardise import standardised_energy, standardised_parts
from models.support_outliers import SupportCandidates, outlier_scores

_BATCH = 8


class SceneScorer:
    """A model ready for inference; scenes are passed in, so that one scorer serves many cameras."""

    def __init__(
        self, model: SceneModel, model_id: str, device: torch.device, threads: int = 1
    ) -> None:
        """Wrap a model.

        Args:
            model: In evaluation mode, on the device.
            model_id: Its identity.
            device: Where it computes.
            threads: Clips that are computed at the same time on the CPU, each by one thread. This
                takes less CPU time than several threads for one clip, which wait for each other in
                every layer; the caller sets `torch.set_num_threads(1)`.
        """
        self.model = model
        self.model_id = model_id
        self.device = device
        self._pool = ThreadPoolExecutor(threads) if threads > 1 and device.type == "cpu" else None

    @staticmethod
    def load(
        weights: str | Path = "vedette", device: str = "auto", threads: int = 1
    ) -> "SceneScorer":
        """Load shipped weights by name, or a checkpoint by path.

        Args:
            weights: See `models.checkpoint.load_checkpoint`.
            device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
            threads: Clips that are computed at the same time on the CPU.

        Raises:
            CheckpointError: the weights cannot be used.
            ValueError: there is no such device.
        """
        place = resolve_device(device)
        model, model_id = load_checkpoint(weights, place)
        return SceneScorer(model, model_id, place, threads)

    @staticmethod
    def untrained(preset: str, seed: int, device: str = "cpu") -> "SceneScorer":
        """A scorer with random weights, for tests; nothing falls back to it."""
        place = resolve_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = SceneModel(PRESETS[preset])
        model.eval().requires_grad_(False).to(place)
        return SceneScorer(model, identity(model), place)

    @property
    def config(self) -> SceneModelConfig:
        """Architecture of the model: clip length, spacing, input size and the other sizes."""
        return self.model.config

    @torch.no_grad()
    def adapt(self, support: Tensor) -> AdaptedScene:
        """Build a scene from K normal clips, without training.

        Args:
            support: uint8 (K, T, H, W, 3), RGB.

        Raises:
            ValueError: no clip, or another shape or type.
        """
        if support.shape[0] == 0:
            raise ValueError("support: want at least 1 clip, got 0")
        size_hw = (support.shape[2], support.shape[3])
        return adapt_observation(self.model, self._observe(support, None), size_hw, self.model_id)

    @torch.no_grad()
    def rate_candidates(self, candidates: Tensor, ages: Tensor | None = None) -> SupportCandidates:
        """Compute features and outlier scores of candidate support clips, of more than are needed.

        Args:
            candidates: uint8 (C, T, H, W, 3), RGB, in the order of time.
            ages: Of their frames, see `score`.

        Raises:
            ValueError: no clip, or another shape or type.
        """
        return self.rate_features(self.compute_features(candidates, ages), candidates.shape[2:4])

    @torch.no_grad()
    def compute_features(self, clips: Tensor, ages: Tensor | None = None) -> Observation:
        """Compute features and motion of clips, to be used more than once.

        Args:
            clips: uint8 (B, T, H, W, 3), RGB, oldest frame first.
            ages: Of their frames, see `score`.

        Raises:
            ValueError: no clip, or another shape or type.
        """
        if clips.shape[0] == 0:
            raise ValueError("clips: want at least 1 clip, got 0")
        return self._observe(clips, ages)

    @torch.no_grad()
    def rate_features(
        self,
        observation: Observation,
        size_hw: Sequence[int],
        excluded: Sequence[Sequence[int]] | None = None,
    ) -> SupportCandidates:
        """Outlier scores of candidate support clips whose features are known.

        Args:
            observation: Of the clips in the order of time, on the model's device.
            size_hw: Of the clips, in pixels.
            excluded: See `models.support_outliers.outlier_scores`.
        """
        height, width = size_hw
        scores = tuple(outlier_scores(self.model, observation, excluded))
        return SupportCandidates(observation, (height, width), scores)

    @torch.no_grad()
    def adapt_candidates(
        self, candidates: SupportCandidates, places: Sequence[int]
    ) -> AdaptedScene:
        """Build a scene from some of the candidates, reusing their features.

        Args:
            candidates: From this scorer.
            places: Indices of the clips, at least one.

        Raises:
            ValueError: no clip.
        """
        if not places:
            raise ValueError("support: want at least 1 clip, got 0")
        some = candidates.observation[list(places)]
        return adapt_observation(self.model, some, candidates.size_hw, self.model_id)

    @torch.no_grad()
    def score(
        self, clips: Tensor, scenes: Sequence[AdaptedScene], ages: Tensor | None = None
    ) -> Scores:
        """Score clips, each in its own scene.

        Args:
            clips: uint8 (B, T, H, W, 3), RGB, oldest frame first.
            scenes: One for each clip; the same scene may occur more than once.
            ages: Age of each frame relative to the newest of its clip in seconds, (B, T): speed is
                displacement over this time. None: the model's clip interval.

        Raises:
            ValueError: another shape or type, sizes that differ from the scene's, a scene of
                another model, or not one scene a clip.
        """
        if len(scenes) != clips.shape[0]:
            raise ValueError(
                f"scenes: want one for each of {clips.shape[0]} clips, got {len(scenes)}"
            )
        for scene in scenes:
            self._check(scene, (clips.shape[2], clips.shape[3]))
        if self._pool is None or len(scenes) < 2:
            return self._score(clips, scenes, ages)

        def of_clip(place: int) -> Scores:
            one = slice(place, place + 1)
            return self._score(clips[one], [scenes[place]], None if ages is None else ages[one])

        one_by_one = self._pool.map(of_clip, range(len(scenes)))
        return Scores.joined(list(one_by_one))

    @torch.no_grad()
    def _score(self, clips: Tensor, scenes: Sequence[AdaptedScene], ages: Tensor | None) -> Scores:
        observation = self.model.observe(clips.to(self.device), ages)
        energies = torch.empty(len(scenes))
        parts = torch.empty(len(scenes), self.model.prior_mean.numel())
        maps: Tensor | None = None
        for scene in {id(scene): scene for scene in scenes}.values():
            places = [number for number, other in enumerate(scenes) if other is scene]
            some = self._score_observed(observation[places], scene)
            if maps is None:
                maps = torch.empty(len(scenes), *some.maps.shape[1:])
            energies[places] = some.energies
            parts[places] = some.parts
            maps[places] = some.maps
        return Scores(energies, torch.empty(0, 0, 0) if maps is None else maps, parts, observation)

    @torch.no_grad()
    def score_in_each(
        self, clips: Tensor, scenes: Sequence[AdaptedScene], ages: Tensor | None = None
    ) -> list[Scores]:
        """Score the same clips in each of several scenes; features are computed once.

        Args:
            clips: uint8 (B, T, H, W, 3), RGB, oldest frame first.
            scenes: Any number.
            ages: As `score`.

        Returns:
            For each scene the result of `score`.

        Raises:
            ValueError: as `score`.
        """
        for scene in scenes:
            self._check(scene, (clips.shape[2], clips.shape[3]))
        observation = self._observe(clips, ages)
        return [self._score_observed(observation, scene) for scene in scenes]

    @torch.no_grad()
    def energies_of(self, observation: Observation, scene: AdaptedScene) -> list[float]:
        """Energies of clips whose features are known, in a scene of this model."""
        count = observation.features.shape[0]
        batches = [slice(first, first + _BATCH) for first in range(0, count, _BATCH)]
        scored = [self._score_observed(observation[batch], scene) for batch in batches]
        return [energy for one in scored for energy in one.energies.tolist()]

    def cached_features(self, scores: Scores, place: int) -> Observation:
        """Features and motion of one of the scored clips, as a copy for storage.

        Args:
            scores: As `score` gave them.
            place: Of the clip in the batch.

        Raises:
            ValueError: they do not come from `score`.
        """
        return _observation("cached_features", scores, place).stored()

    def exemplar(self, scores: Scores, place: int) -> FeedbackExemplar:
        """Exemplar of the anomalous cells of one of the scored clips.

        Args:
            scores: As `score` gave them.
            place: Of the clip in the batch.

        Raises:
            ValueError: they do not come from `score`.
        """
        observation = _observation("exemplar", scores, place)
        return exemplar_of(observation, scores.maps[place], self.config, self.model_id)

    def with_exemplars(
        self, scene: AdaptedScene, exemplars: Sequence[FeedbackExemplar]
    ) -> AdaptedScene:
        """Return a scene with these feedback exemplars in place of any earlier ones.

        Args:
            scene: Of this model.
            exemplars: Oldest first; an empty sequence gives the scene as it was adapted.

        Raises:
            ValueError: an exemplar of another model, or of another frame size.
        """
        return with_exemplars(scene, exemplars, self.config)

    def pixel_heatmap(self, clip: Tensor, scene: AdaptedScene) -> Tensor:
        """|∇ₓE| of the newest frame (paper, section 3.1).

        Args:
            clip: uint8 (T, H, W, 3).
            scene: The clip's scene.

        Returns:
            (H, W), >= 0, float32 on the CPU.

        Raises:
            ValueError: as `score`.
        """
        self._check(scene, (clip.shape[1], clip.shape[2]))
        clips = clip[None].to(self.device)
        return gradient_heatmaps(self.model, clips, [scene])[0][0].float().cpu()

    def gradient_maps(self, clips: Tensor, scenes: Sequence[AdaptedScene]) -> list[Tensor]:
        """Pooled |∇ₓE| of the newest frames of clips, in each of several scenes.

        Args:
            clips: uint8 (B, T, H, W, 3), RGB, oldest frame first.
            scenes: Any number.

        Returns:
            For each scene (B, h, w), >= 0, float32 on the CPU: means of boxes of
            `models.heatmap.POOLED_PIXELS` pixels.

        Raises:
            ValueError: as `score`.
        """
        for scene in scenes:
            self._check(scene, (clips.shape[2], clips.shape[3]))
        heatmaps = gradient_heatmaps(self.model, clips.to(self.device), scenes)
        return [pooled(one).float().cpu() for one in heatmaps]

    def save_scene(self, scene: AdaptedScene, path: Path) -> None:
        """Write a scene: PATH.safetensors and PATH.json."""
        save_scene(scene, path)

    def load_scene(self, path: Path) -> AdaptedScene:
        """Read a scene that `save_scene` wrote.

        Raises:
            CheckpointError: missing, damaged, or a scene of another model.
        """
        return load_scene(path, self.model_id, self.device)

    @torch.no_grad()
    def _observe(self, clips: Tensor, ages: Tensor | None) -> Observation:
        if self._pool is None or clips.shape[0] < 2:
            return self.model.observe(clips.to(self.device), ages)
        single = (slice(place, place + 1) for place in range(clips.shape[0]))
        parts = self._pool.map(
            lambda one: self._observe(clips[one], None if ages is None else ages[one]), single
        )
        return Observation.joined(list(parts), self.device)

    def _score_observed(self, observation: Observation, scene: AdaptedScene) -> Scores:
        weights = self.model.weights()
        terms = self.model.terms(observation, scene.dictionary, scene.row_normal, scene.exemplars)
        energies, maps = standardised_energy(terms, scene.usual, weights)
        parts = standardised_parts(terms, scene.usual, weights)
        return Scores(energies.float().cpu(), maps.float().cpu(), parts.float().cpu())

    def _check(self, scene: AdaptedScene, size_hw: tuple[int, int]) -> None:
        if scene.model_id != self.model_id:
            raise ValueError(
                f"scene: want one of model {self.model_id}, got one of model {scene.model_id}"
            )
        if scene.size_hw != size_hw:
            raise ValueError(f"clips: want {scene.size_hw} (H, W) as their scene, got {size_hw}")


def _observation(method: str, scores: Scores, place: int) -> Observation:
    if scores.observation is None:
        raise ValueError(f"{method}: want the scores of `score`, got others")
    return scores.observation[[place]]
