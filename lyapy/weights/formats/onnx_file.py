"""ONNX files: constant tensors, and the graph of the other nodes."""

import json
import os
from collections.abc import Iterator
from math import prod
from typing import Any, BinaryIO

from numpy.typing import NDArray

from ...storage.hdf5 import unpacked_limit
from .contents import Contents
from .refusal import CONVERT, RefusedError

# nodes whose attributes are kept
_DESCRIBED = ("RNN", "GRU", "LSTM", "Gemm")
_DEPTH_LIMIT = 20
_RANK_LIMIT = 32
# of a protobuf message
_SIZE_LIMIT = 2 << 30
# float, uint8, int8, uint16, int16, int32, int64, bool, float16, double, bfloat16
_TYPES = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 16}


def read(file: BinaryIO) -> Contents:
    """Read the constants, and under ``onnx_nodes`` the other nodes as JSON."""
    try:
        import onnx
        from onnx import helper
    except ImportError:
        finding = "is an ONNX file and needs the package onnx"
        raise RefusedError(finding, "pip install 'lyapy[onnx]'") from None
    size = os.fstat(file.fileno()).st_size
    if size > _SIZE_LIMIT:
        raise RefusedError(f"has {size} bytes, more than an ONNX file can have", CONVERT)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file.read())
    except Exception as error:  # protobuf's DecodeError, whose module has no types
        raise RefusedError(f"is a damaged ONNX file ({error})") from None
    tensors: dict[str, Any] = {}
    nodes = []
    for graph in _graphs(model.graph, 0):
        tensors |= {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            attributes = {a.name: a for a in node.attribute}
            if node.op_type == "Constant" and "value" in attributes and node.output:
                tensors[node.output[0]] = attributes["value"].t
            if node.op_type == "Identity" and node.input and node.input[0] in tensors:
                tensors[node.output[0]] = tensors[node.input[0]]
            if node.op_type not in ("Constant", "Identity") and node.domain in ("", "ai.onnx"):
                kept = attributes if node.op_type in _DESCRIBED else {}
                found = {"op": node.op_type, "name": node.name or next(iter(node.output), "")}
                found |= {"inputs": list(node.input), "outputs": list(node.output)}
                values = {k: _plain(helper.get_attribute_value(a)) for k, a in kept.items()}
                nodes.append({**found, "attributes": values})
    return Contents(_arrays(tensors, size), {"onnx_nodes": json.dumps(nodes)})


def _graphs(graph: Any, depth: int) -> Iterator[Any]:
    if depth > _DEPTH_LIMIT:
        raise RefusedError("nests its graphs too deeply", CONVERT)
    yield graph
    for attribute in (a for node in graph.node for a in node.attribute):
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _graphs(inner, depth + 1)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int | float | str):
        return value
    # recurrent nodes have no attributes that are graphs or tensors
    return [_plain(v) for v in value] if hasattr(value, "__iter__") else str(type(value))


def _arrays(tensors: dict[str, Any], size: int) -> dict[str, NDArray[Any]]:
    from onnx import TensorProto, helper, numpy_helper

    arrays: dict[str, NDArray[Any]] = {}
    # a tensor under several names is decoded once
    decoded: dict[int, NDArray[Any]] = {}
    total = 0
    for name, tensor in tensors.items():
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            remedy = "save it with its weights inside: torch.onnx.export(..., external_data=False)"
            raise RefusedError(f"keeps {name!r} in another file, which is not opened", remedy)
        if tensor.data_type not in _TYPES or not name:
            continue
        if id(tensor) not in decoded:
            itemsize = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            dims = tuple(tensor.dims)
            total += prod(dims[:_RANK_LIMIT]) * itemsize
            if min(dims, default=0) < 0 or len(dims) > _RANK_LIMIT or total > unpacked_limit(size):
                raise RefusedError(f"has {size} bytes and declares {dims} for {name!r}")
            decoded[id(tensor)] = numpy_helper.to_array(tensor).copy()
        arrays[name] = decoded[id(tensor)]
    return arrays
