"""What all sections of the configuration are made of."""

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

SECRET_KEYS = ("password", "secret", "token")
"""Keys whose values are secrets as they are."""


def _no_truth(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for 0 or 1
        raise ValueError("want a number")
    return value


def _no_wildcards(topic: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", topic):
        raise ValueError('want letters, digits, "_" and "-", in parts divided by "/"')
    return topic


Number = Annotated[float, BeforeValidator(_no_truth), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_no_truth)]
# Bounds of what may also be null stand inside, or the JSON schema would not have them.
ThreadCount = Annotated[int, Field(ge=1, le=1024), BeforeValidator(_no_truth)]
ImageRate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False), BeforeValidator(_no_truth)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_truth)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_truth)]
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
TopicName = Annotated[str, AfterValidator(_no_wildcards), Field(min_length=1, max_length=128)]


class Section(BaseModel):
    """Base of all sections: read-only, and refuses keys that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )
