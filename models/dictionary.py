"""A scene's dictionary: feature vectors of the support, from one forward pass, without training.

The paper's dictionary holds every feature window of the K support frames for all locations (its
section 3.2). Ours adds to a bounded set of shared atoms the own atoms of each cell, taken from a
small window around it: what is normal at a door need not be normal on the lawn.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from models.config import SceneModelConfig

_POWER_ITERATIONS = 3
_SQUARINGS = 3
_SIMILARITIES_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Dictionary:
    """Unit-norm atoms of one scene, d·l² values each."""

    own: Tensor
    """Atoms that only their cell uses, (cells, A, d); A may be 0."""
    shared: Tensor
    """Atoms that every cell uses, (G, d); G may be 0."""
    mean: Tensor
    """Mean subtracted before coding, (cells, d); zeros where the model does not centre."""
    step: Tensor
    """0.9 / L for each cell, (cells,), with L the largest eigenvalue of its DᵀD."""
    own_clip: Tensor
    """Number of the support clip that an own atom was taken from, int (cells, A)."""
    shared_clip: Tensor
    """Number of the support clip that a shared atom was taken from, int (G,)."""

    def of_cells(self, cells: Tensor) -> "Dictionary":
        """The dictionary of some cells, int (n,), in that order; a cell may occur twice."""
        return replace(
            self,
            own=self.own[cells],
            mean=self.mean[cells],
            step=self.step[cells] if self.step.numel() > 1 else self.step,
            own_clip=self.own_clip[cells],
        )

    def without(self, *clips: int) -> "Dictionary":
        """Approximate dictionary without these support clips.

        Their atoms become zero vectors, which no code uses. Atoms of other clips that were not
        chosen because they are close to these stay out, so that the residual is never lower than
        with an exact rebuild.
        """
        gone = torch.tensor(clips, device=self.own_clip.device)
        return replace(
            self,
            own=self.own * ~torch.isin(self.own_clip, gone).unsqueeze(-1),
            shared=self.shared * ~torch.isin(self.shared_clip, gone).unsqueeze(-1),
        )


def correlate(dictionary: Dictionary, x: Tensor) -> Tensor:
    """Dᵀx: (cells, B, d) to (cells, B, A + G), own atoms first."""
    parts = []
    if dictionary.own.shape[1]:
        parts.append(torch.bmm(x, dictionary.own.transpose(1, 2)))
    if dictionary.shared.shape[0]:
        parts.append(x @ dictionary.shared.T)
    return torch.cat(parts, dim=-1)


def reconstruct(dictionary: Dictionary, code: Tensor) -> Tensor:
    """Dα: (cells, B, A + G) to (cells, B, d)."""
    own = dictionary.own.shape[1]
    if not own:
        return code @ dictionary.shared
    out = torch.bmm(code[..., :own], dictionary.own)
    if dictionary.shared.shape[0]:
        out = out + code[..., own:] @ dictionary.shared
    return out


def feature_vectors(features: Tensor, receptive_field: int) -> Tensor:
    """Every l×l window of a feature map as one vector (im2col).

    Args:
        features: (B, d, h, w).
        receptive_field: Side l, odd; borders are padded with zeros.

    Returns:
        (cells, B, d·l²), cells = h·w in row order.
    """
    if receptive_field == 1:
        return features.flatten(2).permute(2, 0, 1)
    columns = functional.unfold(features, receptive_field, padding=receptive_field // 2)
    return columns.permute(2, 0, 1)


def prepare(vectors: Tensor, mean: Tensor, config: SceneModelConfig) -> Tensor:
    """Centre and scale vectors to be coded, or to become atoms.

    Args:
        vectors: (cells, B, d).
        mean: (cells, d), subtracted where `config.centre`.
        config: Selects centring and scaling.

    Returns:
        (cells, B, d), of unit length where `config.normalise`.
    """
    if config.centre:
        vectors = vectors - mean.unsqueeze(1)
    return functional.normalize(vectors, dim=-1, eps=1e-6) if config.normalise else vectors


def build_dictionary(features: Tensor, config: SceneModelConfig) -> Dictionary:
    """Build a scene's dictionary from its support.

    Args:
        features: Feature maps of the support, (K, d, h, w).
        config: Selects the atoms.

    Returns:
        A dictionary for h·w cells; gradients flow into the atoms, not into `step`.
    """
    height, width = features.shape[-2:]
    vectors = feature_vectors(features, config.receptive_field)
    # The mean of a single clip is the clip itself, which would leave no atom.
    mean = vectors.mean(dim=1) if vectors.shape[1] > 1 else torch.zeros_like(vectors[:, 0])
    atoms = prepare(vectors, mean, config)
    cells, clips, channels = atoms.shape
    own = atoms.new_zeros(cells, 0, channels)
    own_clip = torch.zeros(cells, 0, dtype=torch.long, device=atoms.device)
    if config.window:
        around = _neighbourhood(atoms, (height, width), config.window)
        chosen = farthest_first(around, config.cell_atoms)
        own = torch.gather(around, 1, chosen.unsqueeze(-1).expand(-1, -1, channels))
        own_clip = chosen // config.window**2
    flat = atoms.flatten(0, 1)
    if config.window and config.shared_atoms:
        places = foreground(atoms, config.shared_atoms)
    else:
        places = farthest_first(flat.unsqueeze(0), config.shared_atoms)[0]
    shared = flat[places]
    step = safe_step(own.detach(), shared.detach())
    return Dictionary(own, shared, mean, step, own_clip, places % clips)


def safe_step(own: Tensor, shared: Tensor) -> Tensor:
    """Step of the sparse coder, 0.9/L: one a cell, or one where all share one dictionary."""
    return 0.9 / largest_eigenvalue(own, shared).clamp_min(1.0)


def _neighbourhood(atoms: Tensor, size_hw: tuple[int, int], window: int) -> Tensor:
    """Atoms of all support clips in a window around each cell: (cells, K, d) → (cells, K·w², d).

    Places beyond the border hold zero vectors, which no code uses.
    """
    cells, clips, channels = atoms.shape
    grid = atoms.permute(1, 2, 0).reshape(clips, channels, *size_hw)
    columns = functional.unfold(grid, window, padding=window // 2)
    columns = columns.view(clips, channels, window * window, cells)
    return columns.permute(3, 0, 2, 1).reshape(cells, clips * window * window, channels)


@torch.no_grad()
def foreground(atoms: Tensor, count: int) -> Tensor:
    """Choose foreground vectors of the support as atoms shared by all cells (ours).

    A person may walk where no person of the support was. Candidates are the vectors farthest from
    their cell's mean, three times as many as wanted; a well-spread subset of them is chosen. In a
    single clip foreground and background cannot be separated: there all vectors are candidates.

    Args:
        atoms: (cells, K, d), of unit length.
        count: Number of atoms wanted.

    Returns:
        Indices into atoms.flatten(0, 1), at most count.
    """
    flat = atoms.flatten(0, 1)
    if atoms.shape[1] == 1:
        return farthest_first(flat.unsqueeze(0), count)[0]
    distance = (atoms - atoms.mean(dim=1, keepdim=True)).square().sum(-1).flatten()
    candidates = distance.topk(min(3 * count, flat.shape[0])).indices
    return candidates[farthest_first(flat[candidates].unsqueeze(0), count)[0]]


@torch.no_grad()
def farthest_first(atoms: Tensor, count: int) -> Tensor:
    """Greedy k-centre subset of each row's atoms: a coreset by the largest remaining angle.

    Args:
        atoms: (rows, M, d), of unit length (or zero).
        count: Size of the subset; 0 or at least M keeps all.

    Returns:
        Indices into the rows, (rows, min(count, M)), beginning with each row's first atom.
    """
    rows, available, _ = atoms.shape
    if count == 0 or available <= count:
        return torch.arange(available, device=atoms.device).expand(rows, -1)
    together = max(1, _SIMILARITIES_AT_ONCE // available**2)
    return torch.cat([_farthest_first(some, count) for some in torch.split(atoms, together)])


def _farthest_first(atoms: Tensor, count: int) -> Tensor:
    rows = torch.arange(atoms.shape[0], device=atoms.device)
    similarity = torch.bmm(atoms, atoms.transpose(1, 2))
    # Zero vectors (beyond the border) are marked as taken, so that none is chosen.
    closest = torch.where(similarity.diagonal(dim1=1, dim2=2) > 0, -1.0, 2.0)
    chosen = torch.zeros(atoms.shape[0], count, dtype=torch.long, device=atoms.device)
    for number in range(1, count):
        closest = torch.maximum(closest, similarity[rows, chosen[:, number - 1]])
        chosen[:, number] = closest.argmin(dim=1)
    return chosen


@torch.no_grad()
def largest_eigenvalue(own: Tensor, shared: Tensor) -> Tensor:
    """λ_max(DᵀD) for each cell by power iteration on it, or on D Dᵀ, which has the same one.

    The smaller is taken: with windows of l×l features a cell has fewer atoms than values.

    Args:
        own: (cells, A, d).
        shared: (G, d).

    Returns:
        (cells,), or (1,) where all cells share one dictionary; never above the true value, and
        below it by less than the 10 % that the step leaves as margin.
    """
    if not own.shape[1]:
        own = own[:1]
    if own.shape[1] > 0 and own.shape[1] + shared.shape[0] < own.shape[2]:
        atoms = torch.cat([own, shared.expand(own.shape[0], -1, -1)], dim=1)
        gram = torch.bmm(atoms, atoms.transpose(1, 2))
        start = functional.normalize(gram.new_ones(*gram.shape[:2], 1), dim=1)
        return _power_iterated(gram, start)
    # Start from the mean atom: correlated atoms have their main direction close to it.
    x = functional.normalize(own.sum(1) + shared.sum(0) + 1e-3, dim=-1).unsqueeze(-1)
    value: Tensor = x.new_ones(own.shape[0])
    if own.shape[1]:
        return _power_iterated(shared.T @ shared + torch.bmm(own.transpose(1, 2), own), x)
    for _ in range(_POWER_ITERATIONS << _SQUARINGS):
        y = shared.T @ (shared @ x)
        value = y.norm(dim=1).squeeze(-1)
        x = functional.normalize(y, dim=1)
    return value


def _power_iterated(matrix: Tensor, x: Tensor) -> Tensor:
    """Largest eigenvalue (cells,) of (cells, n, n), from the unit vectors x (cells, n, 1)."""
    power = matrix
    for _ in range(_SQUARINGS):  # each doubles the effect of the following iterations
        power = torch.bmm(power, power)
        power = power / power.diagonal(dim1=1, dim2=2).sum(-1).view(-1, 1, 1)
    for _ in range(_POWER_ITERATIONS):
        x = functional.normalize(torch.bmm(power, x), dim=1)
    value: Tensor = torch.bmm(matrix, x).norm(dim=1).squeeze(-1)
    return value
