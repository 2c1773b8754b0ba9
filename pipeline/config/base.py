"""Base class and field types of all sections of the configuration."""

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
"""Keys whose values are secrets."""


def _no_bool(value: object) -> object:
    if isinstance(value, bool):  # Python treats it as 0 or 1
        raise ValueError("want a number")
    return value


def _no_wildcards(topic: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", topic):
        raise ValueError('want letters, digits, "_" and "-", in levels separated by "/"')
    return topic


Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_no_bool)]
# Bounds of nullable values are part of the type; otherwise the JSON schema omits them.
ThreadCount = Annotated[int, Field(ge=1, le=1024), BeforeValidator(_no_bool)]
ImageRate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False), BeforeValidator(_no_bool)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_bool)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_bool)]
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
TopicName = Annotated[str, AfterValidator(_no_wildcards), Field(min_length=1, max_length=128)]


class Section(BaseModel):
    """Base of all sections: read-only; refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )
