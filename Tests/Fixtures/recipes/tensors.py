"""Values ⇄ TensorProto, in either of its two encodings."""
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

_FIELDS = {
    tf.float32: "float_val", tf.float64: "double_val", tf.bool: "bool_val", tf.string: "string_val",
    tf.int64: "int64_val", tf.uint32: "uint32_val", tf.uint64: "uint64_val",
    tf.half: "half_val", tf.bfloat16: "half_val", tf.complex64: "scomplex_val", tf.complex128: "dcomplex_val",
    tf.int32: "int_val", tf.int16: "int_val", tf.int8: "int_val", tf.uint16: "int_val", tf.uint8: "int_val",
}


def encode(value, dtype, typed):
    """`value` as a TensorProto of `dtype`; a TensorProto passes as it is."""
    if isinstance(value, tensor_pb2.TensorProto):
        return value
    dtype = dtype.base_dtype
    array = np.asarray(value, dtype=object if dtype == tf.string else dtype.as_numpy_dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if dtype == tf.string:  # strings have no other form
        proto.string_val.extend(v if isinstance(v, bytes) else v.encode() for v in array.flat)
    elif typed:
        getattr(proto, _FIELDS[dtype]).extend(_elements(array, dtype))
    else:
        proto.tensor_content = array.tobytes()
    return proto


def array_of(proto):
    return tf.make_ndarray(proto)


def splat(dtype, shape, values):
    """Fewer values than elements: the last one fills the rest (TensorProto's own compression)."""
    proto = encode(values, dtype, typed=True)
    proto.tensor_shape.Clear()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def _elements(array, dtype):
    flat = array.reshape(-1)
    if dtype in (tf.half, tf.bfloat16):
        return flat.view(np.uint16).tolist()
    if dtype in (tf.complex64, tf.complex128):
        return flat.view(np.float32 if dtype == tf.complex64 else np.float64).tolist()
    return flat.tolist()
