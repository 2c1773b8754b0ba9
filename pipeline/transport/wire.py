"""Encode messages as ZeroMQ parts and decode them: `[kind, JSON header, raw buffer …]`. No pickle.

The header is `{"schema": 1, "fields": {…}, "arrays": [{"field", "dtype", "shape"} …]}`, with one
entry of `arrays` for each buffer, in order. A message that is malformed in any respect raises
`WireError`.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Sequence
from typing import Any, Never, TypeAlias

import numpy as np
import numpy.typing as npt
import zmq

from pipeline.transport.messages import (
    SCHEMA_VERSION,
    Answer,
    CameraTable,
    Done,
    FrameMessage,
    Heartbeat,
    Hello,
    Live,
    Request,
    RevisionAck,
    ScoreAck,
    ScoreMessage,
    Welcome,
)
from pipeline.transport.topics import LARGEST_BUFFER_BYTES, LARGEST_HEADER_BYTES

Message: TypeAlias = (
    Hello
    | Welcome
    | FrameMessage
    | Done
    | ScoreMessage
    | ScoreAck
    | Heartbeat
    | Live
    | Request
    | Answer
    | RevisionAck
    | CameraTable
)
Part: TypeAlias = bytes | memoryview | zmq.Frame

KINDS: dict[bytes, type[Message]] = {
    b"hello": Hello,
    b"welcome": Welcome,
    b"frame": FrameMessage,
    b"done": Done,
    b"score": ScoreMessage,
    b"score_ack": ScoreAck,
    b"heartbeat": Heartbeat,
    b"live": Live,
    b"request": Request,
    b"answer": Answer,
    b"revision_ack": RevisionAck,
    b"cameras": CameraTable,
}
"""First part of a message → its class."""


@dataclasses.dataclass(frozen=True, slots=True)
class ArrayRule:
    """Type and shape of an array, for all fields of that name."""

    dtype: str
    """NumPy type string with the byte order, as in the header."""
    shape: tuple[int | None, ...]
    """None: any size from 1."""


ARRAYS = {
    "pixels": ArrayRule("|u1", (None, None, 3)),
    "anomaly_map": ArrayRule("<f4", (None, None)),
    "gradient": ArrayRule("<f4", (None, None)),
    "picture": ArrayRule("|u1", (None,)),
}


class WireError(ValueError):
    """A message that violates the wire format."""


def encode(message: Message) -> list[bytes | memoryview]:
    """Encode a message; arrays are not copied and must not change until they are sent.

    Raises:
        WireError: a field is not JSON data, a number is not finite, or the type or shape of an
            array is not allowed for its field.
    """
    kind = next(name for name, cls in KINDS.items() if cls is type(message))
    fields: dict[str, object] = {}
    arrays: list[dict[str, object]] = []
    buffers: list[memoryview] = []
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if isinstance(value, np.ndarray):
            _check_array(kind, field.name, value.dtype.str, value.shape)
            arrays.append({"field": field.name, "dtype": value.dtype.str, "shape": value.shape})
            buffers.append(np.ascontiguousarray(value).data.cast("B"))
        else:
            fields[field.name] = value
    header = {"schema": SCHEMA_VERSION, "fields": fields, "arrays": arrays}
    try:
        text = json.dumps(header, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise WireError(f"{kind.decode()}: want finite JSON data, got {error}") from error
    return [kind, text.encode(), *buffers]


def decode(parts: Sequence[Part]) -> Message:
    """Decode a message; its arrays share the memory of the parts and are read-only.

    Raises:
        WireError: the message is malformed in any respect.
    """
    if len(parts) < 2:
        raise WireError(f"want a kind and a header, got {len(parts)} parts")
    kind = bytes(_buffer(parts[0])[:32])
    if kind not in KINDS:
        raise WireError(f"want a kind among {sorted(k.decode() for k in KINDS)}, got {kind!r}")
    header = _header(kind, _buffer(parts[1]))
    _check_fit(kind, "arrays", header["arrays"], list[dict[str, object]])
    arrays = header["arrays"]
    if len(parts) != 2 + len(arrays):
        raise WireError(f"{kind.decode()}: want {len(arrays)} buffers, got {len(parts) - 2}")
    values: dict[str, Any] = dict(header["fields"])
    for description, part in zip(arrays, parts[2:], strict=True):
        name, array = _array(kind, description, _buffer(part))
        if name in values:
            raise WireError(f"{kind.decode()}: field {name!r} twice")
        values[name] = array
    wanted = {field.name: field.type for field in dataclasses.fields(KINDS[kind])}
    if values.keys() != wanted.keys():
        raise WireError(
            f"{kind.decode()}: missing fields {sorted(wanted.keys() - values.keys())}, "
            f"unknown fields {sorted(values.keys() - wanted.keys())}"
        )
    for name, hint in wanted.items():
        _check_fit(kind, name, values[name], hint)
    return KINDS[kind](**values)


def _buffer(part: Part) -> memoryview:
    return part.buffer if isinstance(part, zmq.Frame) else memoryview(part)


def _header(kind: bytes, data: memoryview) -> dict[str, Any]:
    if len(data) > LARGEST_HEADER_BYTES:
        raise WireError(
            f"{kind.decode()}: want a header of at most {LARGEST_HEADER_BYTES} bytes, "
            f"got {len(data)}"
        )
    try:
        header = json.loads(bytes(data), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"{kind.decode()}: want a JSON header, got {error}") from error
    if not isinstance(header, dict) or header.keys() != {"schema", "fields", "arrays"}:
        raise WireError(f"{kind.decode()}: want a header of schema, fields and arrays")
    if header["schema"] != SCHEMA_VERSION:
        raise WireError(
            f"{kind.decode()}: want schema version {SCHEMA_VERSION}, got {header['schema']!r:.40}"
        )
    _check_fit(kind, "fields", header["fields"], dict[str, object])
    return header


def _refuse_constant(name: str) -> Never:
    raise ValueError(name)


def _array(
    kind: bytes, description: dict[str, object], data: memoryview
) -> tuple[str, npt.NDArray[Any]]:
    if description.keys() != {"field", "dtype", "shape"}:
        raise WireError(f"{kind.decode()}: want field, dtype and shape of an array")
    name, dtype, sizes = description["field"], description["dtype"], description["shape"]
    if not isinstance(name, str) or not isinstance(dtype, str) or not _fits(sizes, list[int]):
        raise WireError(f"{kind.decode()}: malformed description of an array")
    shape = tuple(typing.cast(list[int], sizes))
    _check_array(kind, name, dtype, shape)
    wanted_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if wanted_bytes != data.nbytes:
        raise WireError(
            f"{kind.decode()}.{name}: want {wanted_bytes} bytes for {dtype} {shape}, "
            f"got {data.nbytes}"
        )
    array = np.frombuffer(data, dtype).reshape(shape)
    array.flags.writeable = False  # ZeroMQ owns the memory
    return name, array


def _check_array(kind: bytes, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    where = f"{kind.decode()}.{name:.40}"
    rule = ARRAYS.get(name)
    if rule is None:
        raise WireError(f"{where}: want an array among {sorted(ARRAYS)}")
    if dtype != rule.dtype:
        raise WireError(f"{where}: want {rule.dtype}, got {dtype:.40}")
    fits = len(shape) == len(rule.shape) and all(
        size == wanted if wanted is not None else size >= 1
        for size, wanted in zip(shape, rule.shape, strict=True)
    )
    if not fits:
        raise WireError(f"{where}: want shape {rule.shape}, got {shape!s:.80}")
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if size_bytes > LARGEST_BUFFER_BYTES:
        raise WireError(f"{where}: want at most {LARGEST_BUFFER_BYTES} bytes, got {size_bytes}")


def _check_fit(kind: bytes, name: str, value: object, hint: object) -> None:
    if not _fits(value, hint):
        raise WireError(f"{kind.decode()}.{name}: want {hint}, got {value!r:.80}")


def _fits(value: object, hint: Any) -> bool:
    """Whether a value from JSON, or an array, has the type that a dataclass declares."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return isinstance(value, str) and value in arguments
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, arguments[1]) for v in value.values())
    if origin is list:
        return isinstance(value, list) and all(_fits(v, arguments[0]) for v in value)
    if origin is np.ndarray:
        return isinstance(value, np.ndarray)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return hint is object or isinstance(value, hint)
