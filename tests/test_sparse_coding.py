"""The unrolled coder against a slow float64 reference, against Lasso, and by its gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import Tensor
from torch.nn import functional

from models.config import PAPER, VEDETTE, SceneModelConfig
from models.dictionary import Dictionary, largest_eigenvalue, reconstruct
from models.sparse_coding import shrink, sparse_code, thresholds

CODERS = [
    pytest.param(replace(PAPER, shrinkage="soft"), id="istc-soft"),
    pytest.param(replace(PAPER, shrinkage="sigshrink"), id="istc-sigshrink"),
    pytest.param(VEDETTE, id="fista-nonnegative"),
    pytest.param(replace(VEDETTE, shrinkage="soft"), id="fista-soft"),
    pytest.param(replace(VEDETTE, warm_start=False), id="fista-cold"),
]


def unit(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return functional.normalize(torch.randn(*shape, dtype=dtype), dim=-1)


def make_dictionary(
    cells: int = 4,
    own: int = 7,
    shared: int = 5,
    channels: int = 6,
    dtype: torch.dtype = torch.float32,
) -> Dictionary:
    own_atoms, shared_atoms = (
        unit(cells, own, channels, dtype=dtype),
        unit(shared, channels, dtype=dtype),
    )
    step = 0.9 / largest_eigenvalue(own_atoms, shared_atoms)
    return Dictionary(
        own_atoms,
        shared_atoms,
        torch.zeros(cells, channels, dtype=dtype),
        step,
        own_clip=torch.zeros(cells, own, dtype=torch.long),
        shared_clip=torch.zeros(shared, dtype=torch.long),
    )


def reference(z: Tensor, dictionary: Dictionary, config: SceneModelConfig) -> np.ndarray:
    """Eq. 6 written down step by step for one vector at a time, in float64."""
    out = []
    for cell in range(z.shape[0]):
        matrix = torch.cat([dictionary.own[cell], dictionary.shared]).double().numpy().T
        step = float(dictionary.step[cell])
        for vector in z[cell].double().numpy():
            code = np.zeros(matrix.shape[1])
            if config.warm_start:
                best = int(np.argmax(matrix.T @ vector))
                code[best] = matrix[:, best] @ vector
            point = code
            momentum = 1.0
            ratio = config.lambda_min / config.lambda_max
            for n in range(config.steps):
                level = config.lambda_max * ratio ** (n / (config.steps - 1)) * step
                x = point + step * matrix.T @ (vector - matrix @ point)
                if config.shrinkage == "soft":
                    new = np.sign(x) * np.maximum(np.abs(x) - level, 0)
                elif config.shrinkage == "nonnegative":
                    new = np.maximum(x - level, 0)
                else:
                    new = x / (1 + np.exp(-config.sigshrink_tau / step * (np.abs(x) - level)))
                if config.coder == "fista":
                    following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
                    point = new + (momentum - 1) / following * (new - code)
                    momentum = following
                else:
                    point = new
                code = new
            out.append(code)
    return np.stack(out).reshape(z.shape[0], z.shape[1], -1)


@pytest.mark.parametrize("config", CODERS)
def test_fast_path_equals_slow_reference(config: SceneModelConfig) -> None:
    torch.manual_seed(0)
    dictionary = make_dictionary()
    z = unit(4, 3, 6)
    np.testing.assert_allclose(
        sparse_code(z, dictionary, config).numpy(), reference(z, dictionary, config), atol=2e-6
    )


@pytest.mark.parametrize("coder", ["istc", "fista"])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_converges_to_lasso(coder: str, nonnegative: bool) -> None:
    torch.manual_seed(1)
    level = 0.1
    config = replace(
        VEDETTE,
        coder=coder,
        shrinkage="nonnegative" if nonnegative else "soft",
        steps=20_000,
        lambda_max=level,
        lambda_min=level,
    )
    dictionary = make_dictionary(cells=1, own=12, shared=8, channels=10, dtype=torch.float64)
    z = unit(1, 1, 10, dtype=torch.float64)
    matrix = torch.cat([dictionary.own[0], dictionary.shared]).numpy().T
    # scikit-learn minimises 1/(2 n) ‖z − Dα‖² + a ‖α‖₁, hence a = λ / n.
    lasso = Lasso(level / 10, fit_intercept=False, positive=nonnegative, tol=1e-14, max_iter=10**6)
    expected = lasso.fit(matrix, z[0, 0].numpy()).coef_
    np.testing.assert_allclose(sparse_code(z, dictionary, config)[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("config", CODERS)
def test_gradients(config: SceneModelConfig) -> None:
    torch.manual_seed(2)
    dictionary = make_dictionary(cells=2, own=3, shared=2, channels=4, dtype=torch.float64)
    z = unit(2, 1, 4, dtype=torch.float64).requires_grad_(True)
    own = dictionary.own.requires_grad_(True)

    def residual(z: Tensor, own: Tensor) -> Tensor:
        changed = replace(dictionary, own=own)
        return (z - reconstruct(changed, sparse_code(z, changed, config))).square().sum(-1)

    assert torch.autograd.gradcheck(residual, (z, own), eps=1e-7, atol=1e-5)


def test_stays_bounded_where_the_literal_equation_diverges() -> None:
    torch.manual_seed(3)
    direction = unit(64)
    atoms = functional.normalize(unit(490, 64) + 0.65 * direction, dim=-1)  # mean cosine 0.3
    one = torch.ones(1)
    z = functional.normalize(unit(1, 8, 64) + 0.65 * direction, dim=-1)
    no_cells = torch.zeros(1, 0, dtype=torch.long)
    literal = Dictionary(
        atoms.new_zeros(1, 0, 64), atoms, torch.zeros(1, 64), one, no_cells, torch.zeros(490)
    )
    stable = replace(literal, step=0.9 / largest_eigenvalue(literal.own, atoms))
    config = replace(PAPER, feature_channels=64)
    exploded = (z - reconstruct(literal, sparse_code(z, literal, config))).norm(dim=-1)
    kept = (z - reconstruct(stable, sparse_code(z, stable, config))).norm(dim=-1)
    assert exploded.min() > 1e6
    assert kept.max() < 1.0


def test_thresholds_fall_geometrically() -> None:
    levels = thresholds(PAPER)
    assert len(levels) == PAPER.steps
    assert levels[0] == pytest.approx(0.3)
    assert levels[-1] == pytest.approx(0.05)
    ratios = np.array(levels[1:]) / np.array(levels[:-1])
    np.testing.assert_allclose(ratios, ratios[0])


def test_soft_and_nonnegative_give_exact_zeros() -> None:
    x = torch.tensor([-0.3, -0.1, 0.0, 0.1, 0.3])
    level = torch.tensor(0.2)
    soft, upper = shrink(x, level, "soft", 1.0), shrink(x, level, "nonnegative", 1.0)
    assert (soft == 0).tolist() == [False, True, True, True, False]
    assert (upper == 0).tolist() == [True, True, True, True, False]
    assert soft[0] == pytest.approx(-0.1)
    assert soft[4] == upper[4] == pytest.approx(0.1)


def test_sigshrink_is_half_at_the_threshold_and_identity_far_above() -> None:
    level = torch.tensor(0.2)
    out = shrink(torch.tensor([0.2, -0.2, 5.0]), level, "sigshrink", 50.0)
    np.testing.assert_allclose(out, [0.1, -0.1, 5.0], rtol=1e-6)


def test_nearest_takes_the_best_atom_alone() -> None:
    torch.manual_seed(4)
    dictionary = make_dictionary()
    z = unit(4, 3, 6)
    code = sparse_code(z, dictionary, replace(VEDETTE, coder="nearest"))
    assert (code != 0).sum(-1).max() == 1
    atoms = torch.cat([dictionary.own[2], dictionary.shared])
    assert code[2, 1].max() == pytest.approx(float((atoms @ z[2, 1]).max()))


def test_the_largest_eigenvalue_of_few_long_atoms() -> None:
    random = torch.Generator().manual_seed(0)
    main = torch.randn(96, generator=random)
    own = functional.normalize(main + torch.randn(7, 6, 96, generator=random), dim=-1)
    own[2, 4:] = 0  # as beyond the border
    shared = functional.normalize(main + torch.randn(20, 96, generator=random), dim=-1)
    found = largest_eigenvalue(own, shared)
    for cell in range(7):
        atoms = torch.cat([own[cell], shared]).double()
        true = float(torch.linalg.eigvalsh(atoms @ atoms.T)[-1])
        assert 0.9 * true <= float(found[cell]) <= true * (1 + 1e-5)


def test_power_iteration_finds_the_largest_eigenvalue() -> None:
    torch.manual_seed(5)
    own, shared = unit(6, 20, 16), unit(30, 16)
    found = largest_eigenvalue(own, shared)
    for cell in range(6):
        atoms = torch.cat([own[cell], shared])
        true = float(torch.linalg.eigvalsh(atoms.T @ atoms)[-1])
        assert 0.9 * true < float(found[cell]) <= true * 1.0001
