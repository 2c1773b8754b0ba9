"""Least-squares adversarial loss (Mao et al., ICCV 2017) for one optimiser of both networks."""

from torch import Tensor, nn
from torch.func import functional_call


def adversarial(discriminator: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of the discriminator and of the generator; each trains its own network alone.

    Args:
        discriminator: Maps frames to values: 1 is real, 0 is fake.
        real: (B, C, H, W).
        fake: (B, C, H, W), from the generator.

    Returns:
        Two scalars. Their sum may be minimised by one optimiser of all parameters.
    """
    of_discriminator = (discriminator(real) - 1).square().mean()
    of_discriminator = of_discriminator + discriminator(fake.detach()).square().mean()
    fixed = {name: value.detach() for name, value in discriminator.named_parameters()}
    of_generator = (functional_call(discriminator, fixed, (fake,)) - 1).square().mean()
    return of_discriminator, of_generator
