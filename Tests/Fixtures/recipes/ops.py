"""Op by op: one small flat graph per family, so that a missing kernel fails one fixture and names itself.

Every family is a function from named placeholders to named outputs. Batches are dynamic wherever TensorFlow allows it.
"""
import numpy as np
import tensorflow as tf

from . import fixture
from .saving import save_tf1, tf1_graph, v1

raw = tf.raw_ops
F, D, I, L, B, S = tf.float32, tf.float64, tf.int32, tf.int64, tf.bool, tf.string


def family(name, inputs, cases):
    """Registers `ops/<name>`. `inputs`: alias -> (dtype, shape); `cases(rng)`: case -> {alias: value}."""
    def register(outputs):
        @fixture(f"ops/{name}")
        def build(path, rng):
            with tf1_graph():
                placeholders = {alias: v1.placeholder(dtype, shape, name=alias) for alias, (dtype, shape) in inputs.items()}
                # An identity per output: several may be the same tensor, or an input.
                results = {alias: tf.identity(value, name=f"out_{alias}") for alias, value in outputs(**placeholders).items()}
                save_tf1(path, {"serving_default": (placeholders, results)})
            return {f"serving_default.{case}": feeds for case, feeds in cases(rng).items()}
        return build
    return register


def normal(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 88.0, -88.0, 1e30, -1e30, 1e-30, 3.0]


# Elementwise.

@family("unary", {"x": (F, None)}, lambda rng: {"special": {"x": SPECIAL}, "matrix": {"x": normal(rng, 3, 7) * 2}, "scalar": {"x": 0.25}, "empty": {"x": np.zeros([0, 4])}})
def unary(x):
    m = tf.math
    return dict(abs=m.abs(x), neg=-x, sign=m.sign(x), square=m.square(x), sqrt=m.sqrt(x), rsqrt=m.rsqrt(x), exp=m.exp(x), expm1=m.expm1(x), log=m.log(x), log1p=m.log1p(x),
                floor=m.floor(x), ceil=m.ceil(x), round=m.round(x), rint=m.rint(x), reciprocal=m.reciprocal(x), is_nan=m.is_nan(x), is_inf=m.is_inf(x), is_finite=m.is_finite(x),
                tanh=m.tanh(x), sigmoid=m.sigmoid(x), erf=m.erf(x), erfc=m.erfc(x), zeros_like=tf.zeros_like(x), ones_like=tf.ones_like(x), stop=tf.stop_gradient(x))


@family("activations", {"x": (F, [None, 6])}, lambda rng: {"special": {"x": np.resize(SPECIAL, (3, 6))}, "rows": {"x": normal(rng, 4, 6) * 3}})
def activations(x):
    n = tf.nn
    return dict(relu=n.relu(x), relu6=n.relu6(x), leaky_relu=n.leaky_relu(x, 0.1), elu=n.elu(x), selu=n.selu(x), softplus=n.softplus(x), softsign=n.softsign(x), swish=n.silu(x),
                gelu=n.gelu(x), gelu_tanh=n.gelu(x, approximate=True), softmax=n.softmax(x), log_softmax=n.log_softmax(x), softmax_axis0=n.softmax(x, axis=0),
                l2_normalize=n.l2_normalize(x, axis=-1), bias_add=n.bias_add(x, tf.range(6, dtype=F)))


@family("trigonometry", {"x": (F, None)}, lambda rng: {"small": {"x": rng.uniform(-0.99, 0.99, (2, 5))}})
def trigonometry(x):
    m = tf.math
    return dict(sin=m.sin(x), cos=m.cos(x), tan=m.tan(x), asin=m.asin(x), acos=m.acos(x), atan=m.atan(x), sinh=m.sinh(x), cosh=m.cosh(x), asinh=m.asinh(x), acosh=m.acosh(x + 3),
                atanh=m.atanh(x), atan2=m.atan2(x, x + 1))


@family("binary", {"x": (F, None), "y": (F, None)}, lambda rng: {
    "same": {"x": normal(rng, 3, 4), "y": normal(rng, 3, 4)}, "scalar": {"x": normal(rng, 3, 4), "y": 2.0}, "row": {"x": normal(rng, 3, 4), "y": normal(rng, 4)},
    "column": {"x": normal(rng, 3, 1), "y": normal(rng, 1, 4)}, "outer": {"x": normal(rng, 2, 1, 3, 1), "y": normal(rng, 5, 1, 2)}, "empty": {"x": np.zeros([0, 4]), "y": normal(rng, 4)},
    "special": {"x": SPECIAL, "y": SPECIAL[::-1]}, "mismatch": {"x": normal(rng, 3), "y": normal(rng, 4)}})
def binary(x, y):
    m = tf.math
    return dict(add=x + y, add_v1=raw.Add(x=x, y=y), sub=x - y, mul=x * y, div=x / y, div_v1=raw.Div(x=x, y=y), pow=m.pow(m.abs(x), y), maximum=m.maximum(x, y), minimum=m.minimum(x, y), floordiv=x // y,
                floormod=m.floormod(x, y), truncatemod=m.mod(m.abs(x), m.abs(y)), squared_difference=m.squared_difference(x, y), divide_no_nan=m.divide_no_nan(x, y),
                multiply_no_nan=m.multiply_no_nan(x, y), xdivy=m.xdivy(x, y), xlogy=m.xlogy(x, m.abs(y)), add_n=tf.add_n([x + y, x * y, x - y]))


def _integers(rng):
    return {"signs": {"x": [7, -7, 7, -7, 0, 2**31 - 1], "y": [2, 2, -2, -2, 5, -3]}, "broadcast": {"x": [[7], [-9]], "y": [2, -4, 5]}}


@family("integers", {"x": (I, None), "y": (I, None)}, _integers)
def integers(x, y):
    m = tf.math
    return dict(add=x + y, sub=x - y, mul=x * y, floordiv=x // y, floormod=x % y, truncatediv=m.divide(x, y), truncate_div=raw.TruncateDiv(x=x, y=y), truncate_mod=raw.TruncateMod(x=x, y=y),
                maximum=m.maximum(x, y), minimum=m.minimum(x, y), abs=m.abs(x), neg=-x, sign=m.sign(x), square=m.square(y))


@family("integer_division_by_zero", {"x": (I, None), "y": (I, None)}, lambda rng: {"second": {"x": [1, 2], "y": [1, 0]}})
def integer_division_by_zero(x, y):
    return dict(quotient=x // y)


@family("int64", {"x": (L, None), "y": (L, None)}, lambda rng: {"large": {"x": [2**40, -2**40, 5, -5], "y": [3, 7, -2, 2]}})
def int64(x, y):
    return dict(add=x + y, sub=x - y, mul=x * y, floordiv=x // y, floormod=x % y, maximum=tf.maximum(x, y), less=x < y, equal=tf.equal(x, y), sum=tf.reduce_sum(x), argmax=tf.argmax(x))


@family("float64", {"x": (D, None), "y": (D, None)}, lambda rng: {"rows": {"x": rng.normal(size=(2, 3)), "y": rng.normal(size=3)}})
def float64(x, y):
    return dict(add=x + y, sub=x - y, mul=x * y, div=x / y, exp=tf.exp(x), tanh=tf.tanh(x), sigmoid=tf.sigmoid(x), sqrt=tf.sqrt(tf.abs(x)), maximum=tf.maximum(x, y), mean=tf.reduce_mean(x, 0),
                matmul=tf.matmul(x, x, transpose_b=True), less=x < y, softmax=tf.nn.softmax(x))


@family("comparisons", {"x": (F, None), "y": (F, None)}, lambda rng: {"special": {"x": [1.0, 2.0, np.nan, np.inf, -0.0], "y": [2.0, 2.0, np.nan, -np.inf, 0.0]}, "row": {"x": [[1.0], [2.0]], "y": [1.0, 2.0, 3.0]}})
def comparisons(x, y):
    strings = tf.strings.as_string(tf.cast(tf.math.round(tf.where(tf.math.is_finite(x), x, tf.zeros_like(x))), I))
    return dict(equal=tf.equal(x, y), not_equal=tf.not_equal(x, y), less=x < y, less_equal=x <= y, greater=x > y, greater_equal=x >= y,
                string_equal=tf.equal(strings, "1"), approximate=tf.raw_ops.ApproximateEqual(x=x + y * 0, y=y + x * 0, tolerance=0.5))


@family("logic", {"p": (B, None), "q": (B, None)}, lambda rng: {"table": {"p": [[True], [False]], "q": [True, False]}})
def logic(p, q):
    return dict(conjunction=tf.logical_and(p, q), disjunction=tf.logical_or(p, q), negation=tf.logical_not(p), exclusive=tf.math.logical_xor(p, q), all=tf.reduce_all(q, keepdims=True), any=tf.reduce_any(p, axis=0))


@family("select", {"p": (B, [None]), "x": (F, [None, 3]), "y": (F, [None, 3])}, lambda rng: {"rows": {"p": [True, False], "x": normal(rng, 2, 3), "y": normal(rng, 2, 3)}})
def select(p, x, y):
    return dict(rows=raw.Select(condition=p, x=x, y=y), broadcast=tf.where(p[:, None], x, y), scalar_else=tf.where(x > 0, x, 0.0), indices=tf.where(x > 0), nan=tf.where(tf.math.is_nan(x), tf.zeros_like(x), x),
                boolean_mask=tf.boolean_mask(x, p), clip=tf.clip_by_value(x, -0.5, tf.constant([0.1, 0.2, 0.3])), clip_raw=raw.ClipByValue(t=x, clip_value_min=-1.0, clip_value_max=1.0))


@family("casts", {"x": (F, None), "n": (L, None), "p": (B, None)}, lambda rng: {"values": {"x": [0.0, 1.9, -1.9, 2.5, 100.0], "n": [0, 1, -1, 300, 2**33], "p": [True, False]}})
def casts(x, n, p):
    c = tf.cast
    return dict(float_to_int32=c(x, I), float_to_int64=c(x, L), float_to_double=c(x, D), float_to_half=c(x, tf.half), float_to_bfloat16=c(x, tf.bfloat16), float_to_bool=c(x, B), float_to_uint8=c(tf.abs(x), tf.uint8),
                int64_to_int32=c(n, I), int64_to_uint8=c(n, tf.uint8), int64_to_float=c(n, F), int64_to_bool=c(n, B), int64_to_double=c(n, D), bool_to_float=c(p, F), bool_to_int32=c(p, I),
                half_to_float=c(c(x, tf.half), F), bfloat16_to_float=c(c(x, tf.bfloat16), F), bitcast=tf.bitcast(x, I))


# Reductions and orderings.

@family("reductions", {"x": (F, [None, 3, 4])}, lambda rng: {"one": {"x": normal(rng, 1, 3, 4)}, "two": {"x": normal(rng, 2, 3, 4)}})
def reductions(x):
    mean, variance = tf.nn.moments(x, axes=[0, 2])
    return dict(sum_all=tf.reduce_sum(x), sum_0=tf.reduce_sum(x, 0), sum_last=tf.reduce_sum(x, -1, keepdims=True), sum_02=tf.reduce_sum(x, [0, 2]), sum_none=tf.reduce_sum(x, []), mean=tf.reduce_mean(x, [1]),
                mean_12=tf.reduce_mean(x, [1, 2], keepdims=True), max=tf.reduce_max(x, 1), min=tf.reduce_min(x, [-1, -2]), prod=tf.reduce_prod(x, 2), std=tf.math.reduce_std(x, -1), logsumexp=tf.reduce_logsumexp(x, -1),
                norm=tf.norm(x, axis=-1), moments_mean=mean, moments_variance=variance, int_sum=tf.reduce_sum(tf.cast(x * 10, I), 0), int_max=tf.reduce_max(tf.cast(x * 10, I), -1))


@family("orderings", {"x": (F, [None, 6])}, lambda rng: {"ties": {"x": [[3.0, 1.0, 3.0, 2.0, 1.0, 0.0], [0.0] * 6]}, "random": {"x": normal(rng, 3, 6)}})
def orderings(x):
    values, indices = tf.math.top_k(x, 3)
    return dict(argmax=tf.argmax(x, -1), argmin=tf.argmin(x, 0), argmax_int32=tf.argmax(x, 1, output_type=I), top_values=values, top_indices=indices, sort=tf.sort(x, direction="DESCENDING"),
                argsort=tf.argsort(x, stable=True), cumsum=tf.cumsum(x, 1), cumsum_reverse=tf.cumsum(x, 1, exclusive=True, reverse=True), cumprod=tf.math.cumprod(x, -1), in_top_k=tf.math.in_top_k(tf.zeros_like(x[:, 0], I), x, 2))


# Shapes.

@family("shapes", {"x": (F, [None, 2, 6])}, lambda rng: {"one": {"x": normal(rng, 1, 2, 6)}, "three": {"x": normal(rng, 3, 2, 6)}, "none": {"x": normal(rng, 0, 2, 6)}})
def shapes(x):
    batch = tf.shape(x)[0]
    return dict(shape=tf.shape(x), shape_int64=tf.shape(x, out_type=L), size=tf.size(x), rank=tf.rank(x), flat=tf.reshape(x, [batch, 12]), infer=tf.reshape(x, [3, 4, -1]), explicit=tf.reshape(x, tf.stack([batch, 4, 3])),
                expand=tf.expand_dims(x, 1), expand_last=tf.expand_dims(x, -1), squeeze=tf.squeeze(tf.expand_dims(x, 1), [1]), squeeze_all=tf.squeeze(tf.reshape(x[..., :1], [1, batch, 2, 1]), [0, 3]),
                transpose=tf.transpose(x), swap=tf.transpose(x, [0, 2, 1]), tile=tf.tile(x, [2, 1, 2]), reverse=tf.reverse(x, [-1]), roll=tf.roll(x, 2, axis=2), ensure=tf.ensure_shape(x, [None, 2, 6]),
                broadcast=tf.broadcast_to(x[:, :1, :], tf.shape(x)), flipped=x[:, ::-1], identity_n=tf.identity_n([x, batch])[1])


@family("slices", {"x": (F, [None, 5, 4]), "begin": (I, [])}, lambda rng: {"rows": {"x": normal(rng, 3, 5, 4), "begin": 1}, "last": {"x": normal(rng, 2, 5, 4), "begin": -1}})
def slices(x, begin):
    return dict(first=x[0], row=x[:, 1], negative=x[:, -1], range=x[:, 1:3], to_end=x[:, 2:], step=x[:, ::2], reverse=x[:, ::-2], ellipsis=x[..., 1], new_axis=x[:, tf.newaxis, :, 0], mixed=x[0, ..., tf.newaxis, -2:],
                shrink_all=x[0, 1, 2], dynamic=x[:, begin], slice=tf.slice(x, [0, 1, 0], [-1, 2, 3]), slice_rest=tf.slice(x, [0, 2, 1], [-1, -1, -1]), past_end=x[:, 3:99], empty=x[:, 3:1],
                shape_part=tf.shape(x)[1:])


@family("joins", {"x": (F, [None, 4]), "y": (F, [None, 4])}, lambda rng: {"two": {"x": normal(rng, 2, 4), "y": normal(rng, 2, 4)}, "uneven": {"x": normal(rng, 2, 4), "y": normal(rng, 3, 4)}})
def joins(x, y):
    a, b = tf.split(x, 2, axis=1)
    c, d, e = tf.split(x, [1, 2, 1], axis=-1)
    u = tf.unstack(x, axis=1)
    return dict(rows=tf.concat([x, y], 0), columns=tf.concat([x, x, x[:, :1]], -1), concat_v1=raw.Concat(concat_dim=1, values=[x, x]), split_a=a, split_b=b, sized_c=c, sized_d=d, sized_e=e, stack=tf.stack([x, x]), stack_last=tf.stack([x, x * 2], -1), unstack=u[2],
                pad=tf.pad(x, [[1, 0], [0, 2]]), pad_value=tf.pad(x, [[0, 1], [1, 1]], constant_values=7.0), mirror=tf.pad(x, [[0, 0], [2, 1]], "REFLECT"), symmetric=tf.pad(x, [[1, 1], [1, 2]], "SYMMETRIC"))


@family("gathers", {"x": (F, [None, 3, 4]), "i": (I, [None])}, lambda rng: {"two": {"x": normal(rng, 2, 3, 4), "i": [1, 0]}})
def gathers(x, i):
    return dict(axis0=tf.gather(x, i), axis1=tf.gather(x, tf.minimum(i, 2), axis=1), last=tf.gather(x, [[0, 3], [1, 1]], axis=-1), batch_dims=tf.gather(x, i[:, None], axis=1, batch_dims=1), gather_v1=raw.Gather(params=x, indices=i),
                nd=tf.gather_nd(x, tf.stack([i, i], axis=1)), nd_rows=tf.gather_nd(x, i[:, None]), one_hot=tf.one_hot(i, 4), one_hot_values=tf.one_hot(i, 3, on_value=5.0, off_value=-1.0, axis=0), one_hot_int=tf.one_hot(i, 3, dtype=I))


OUTSIDE = {"inside": {"x": [[1.0], [2.0]], "i": [1, 0]}, "beyond": {"x": [[1.0], [2.0]], "i": [1, 9]}, "negative": {"x": [[1.0], [2.0]], "i": [-1, 0]}}


@family("gather_range", {"x": (F, [None, 1]), "i": (I, [None])}, lambda rng: OUTSIDE)
def gather_range(x, i):
    return dict(rows=tf.gather(x, i))


@family("gather_nd_range", {"x": (F, [None, 1]), "i": (I, [None])}, lambda rng: OUTSIDE)
def gather_nd_range(x, i):
    return dict(rows=tf.gather_nd(x, i[:, None]))


@family("scatters", {"i": (I, [None]), "v": (F, [None, 2])}, lambda rng: {"three": {"i": [2, 0, 2], "v": normal(rng, 3, 2)}})
def scatters(i, v):
    return dict(nd=tf.scatter_nd(i[:, None], v, [4, 2]), add=tf.tensor_scatter_nd_add(tf.ones([4, 2]), i[:, None], v), update=tf.tensor_scatter_nd_update(tf.zeros([4, 2]), i[:1, None], v[:1]),
                segment_sum=tf.math.unsorted_segment_sum(v, i, 4), sorted_sum=tf.math.segment_sum(v, tf.sort(i)), sorted_mean=tf.math.segment_mean(v, tf.sort(i)), unique=tf.unique(i)[0], unique_index=tf.unique(i)[1], bincount=tf.math.unsorted_segment_max(v, i, 3))


@family("generators", {"n": (I, []), "step": (F, [])}, lambda rng: {"five": {"n": 5, "step": 0.25}, "zero": {"n": 0, "step": 1.0}})
def generators(n, step):
    return dict(range=tf.range(n), range_from=tf.range(2, n + 2, 2), range_float=tf.range(0.0, 2.0, step), fill=tf.fill([n, 2], step), zeros=tf.zeros([n, 1]), linspace=tf.linspace(0.0, 1.0, 5) + step, eye=tf.eye(n),
                sequence_mask=tf.sequence_mask([0, 1, 3], 4), diag=tf.linalg.diag(tf.range(n)), diag_part=tf.linalg.diag_part(tf.reshape(tf.range(9.0), [3, 3])) + step, band=tf.linalg.band_part(tf.ones([3, 3]), 1, 0) * step)


# Products.

@family("matmuls", {"x": (F, [None, 4]), "w": (F, [4, 5])}, lambda rng: {f"batch{n}": {"x": normal(rng, n, 4), "w": normal(rng, 4, 5)} for n in (1, 3, 17, 0)})
def matmuls(x, w):
    constant = tf.constant(np.linspace(-1, 1, 28).reshape(4, 7), F)
    return dict(plain=tf.matmul(x, w), constant=tf.matmul(x, constant), transpose_b=tf.matmul(x, tf.transpose(constant), transpose_b=True), transpose_a=tf.matmul(x, x, transpose_a=True), both=tf.matmul(w, x, transpose_a=True, transpose_b=True),
                tensordot=tf.tensordot(x, tf.reshape(constant, [4, 7, 1]), 1), fused=tf.nn.relu(tf.nn.bias_add(tf.matmul(x, constant), tf.range(7.0))), double=tf.matmul(tf.cast(x, D), tf.cast(w, D)), matvec=tf.linalg.matvec(x, w[:, 0]))


@family("batch_matmuls", {"x": (F, [None, 2, 3, 4]), "y": (F, [None, None, 4, 5])}, lambda rng: {
    "same": {"x": normal(rng, 2, 2, 3, 4), "y": normal(rng, 2, 2, 4, 5)}, "broadcast": {"x": normal(rng, 2, 2, 3, 4), "y": normal(rng, 1, 2, 4, 5)}})
def batch_matmuls(x, y):
    return dict(plain=tf.matmul(x, y), adjoint=tf.matmul(x, x, adjoint_b=True), transposed=tf.matmul(y, x, transpose_a=True, transpose_b=True), one=tf.matmul(x, y[0, 0]), v1=raw.BatchMatMul(x=x, y=x, adj_y=True))


@family("einsums", {"q": (F, [None, 5, 2, 3]), "k": (F, [None, 4, 2, 3])}, lambda rng: {"two": {"q": normal(rng, 2, 5, 2, 3), "k": normal(rng, 2, 4, 2, 3)}})
def einsums(q, k):
    e, w = raw.Einsum, tf.constant(np.linspace(-1, 1, 24).reshape(2, 3, 4), F)
    return dict(attention=e(inputs=[q, k], equation="bqhd,bkhd->bhqk"), project=e(inputs=[q, w], equation="abcd,cde->abe"), heads=e(inputs=[q, w], equation="abcd,cde->abce"), trace=e(inputs=[q[:, :2]], equation="bhhd->bd"),
                transpose=e(inputs=[q], equation="bqhd->bhdq"), sum=e(inputs=[q], equation="bqhd->bq"), ellipsis=e(inputs=[q, w[0]], equation="...d,de->...e"), outer=e(inputs=[q[:, 0, 0], k[:, 0, 0]], equation="bi,bj->bij"))


# Images, NHWC.

def _image(rng):
    return {"one": {"x": normal(rng, 1, 9, 8, 4)}, "two": {"x": normal(rng, 2, 9, 8, 4)}}


@family("convolutions", {"x": (F, [None, 9, 8, 4])}, _image)
def convolutions(x):
    k = lambda *shape: tf.constant(np.cos(np.arange(np.prod(shape))).reshape(shape), F)
    n = tf.nn
    return dict(same=n.conv2d(x, k(3, 3, 4, 5), 1, "SAME"), valid=n.conv2d(x, k(3, 3, 4, 5), 1, "VALID"), pointwise=n.conv2d(x, k(1, 1, 4, 6), 1, "SAME"), strided=n.conv2d(x, k(3, 2, 4, 3), [2, 3], "SAME"),
                strided_valid=n.conv2d(x, k(2, 2, 4, 3), 2, "VALID"), dilated=n.conv2d(x, k(3, 3, 4, 2), 1, "SAME", dilations=2), explicit=n.conv2d(x, k(3, 3, 4, 2), 1, [[0, 0], [2, 0], [0, 1], [0, 0]]),
                grouped=n.conv2d(x, k(3, 3, 2, 6), 1, "SAME"), wide_kernel=n.conv2d(x, k(5, 7, 4, 2), 1, "SAME"), fused=n.relu(n.bias_add(n.conv2d(x, k(3, 3, 4, 5), 1, "SAME"), tf.range(5.0))),
                conv1d=n.conv1d(x[:, 0], k(3, 4, 2), 1, "SAME"), transpose=n.conv2d_transpose(x, k(3, 3, 2, 4), tf.stack([tf.shape(x)[0], 18, 16, 2]), 2, "SAME"))


@family("depthwise", {"x": (F, [None, 9, 8, 4])}, _image)
def depthwise(x):
    k = lambda *shape: tf.constant(np.sin(np.arange(np.prod(shape))).reshape(shape), F)
    d = tf.nn.depthwise_conv2d
    one = [1, 1, 1, 1]
    return dict(same=d(x, k(3, 3, 4, 1), one, "SAME"), valid=d(x, k(3, 3, 4, 1), one, "VALID"), multiplier=d(x, k(3, 3, 4, 3), one, "SAME"), strided=d(x, k(3, 3, 4, 1), [1, 2, 2, 1], "SAME"),
                explicit=raw.DepthwiseConv2dNative(input=x, filter=k(3, 3, 4, 1), strides=one, padding="EXPLICIT", explicit_paddings=[0, 0, 1, 2, 0, 1, 0, 0]), dilated=d(x, k(3, 3, 4, 1), one, "SAME", dilations=[2, 2]),
                separable=tf.nn.separable_conv2d(x, k(3, 3, 4, 2), k(1, 1, 8, 5), one, "SAME"))


@family("pooling", {"x": (F, [None, 9, 8, 4])}, _image)
def pooling(x):
    n = tf.nn
    return dict(max_same=n.max_pool2d(x, 3, 2, "SAME"), max_valid=n.max_pool2d(x, 2, 2, "VALID"), max_tall=n.max_pool2d(x, [3, 1], [1, 2], "SAME"), max_explicit=n.max_pool2d(x, 3, 1, [[0, 0], [1, 1], [1, 0], [0, 0]]),
                average_same=n.avg_pool2d(x, 3, 2, "SAME"), average_valid=n.avg_pool2d(x, [2, 3], 1, "VALID"), global_average=tf.reduce_mean(x, [1, 2]), global_max=tf.reduce_max(x, [1, 2]),
                space_to_batch=tf.space_to_batch(x, [3, 2], [[0, 0], [0, 0]]), space_to_depth=tf.nn.space_to_depth(x[:, :8], 2), depth_to_space=tf.nn.depth_to_space(x, 2))


@family("normalization", {"x": (F, [None, 9, 8, 4])}, _image)
def normalization(x):
    v = lambda *values: tf.constant(values, F)
    scale, offset, mean, variance = v(1.0, 0.5, 2.0, 1.5), v(0.0, 1.0, -1.0, 0.5), v(0.1, 0.2, -0.3, 0.0), v(1.0, 2.0, 0.5, 0.25)
    fused = lambda op, **kw: op(x=x, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=0.001, is_training=False, **kw)[0]
    return dict(v3=fused(raw.FusedBatchNormV3), v2=fused(raw.FusedBatchNormV2), v1=fused(raw.FusedBatchNorm), unfused=tf.nn.batch_normalization(x, mean, variance, offset, scale, 0.001), lrn=tf.nn.lrn(x, 2, 1.0, 0.1, 0.5))


@family("resizing", {"x": (F, [None, 4, 5, 2])}, lambda rng: {"two": {"x": normal(rng, 2, 4, 5, 2)}})
def resizing(x):
    return dict(bilinear=tf.image.resize(x, [7, 8]), nearest=tf.image.resize(x, [8, 10], "nearest"), shrink=tf.image.resize(x, [2, 3]), aligned=v1.image.resize_bilinear(x, [7, 9], align_corners=True), legacy=v1.image.resize_bilinear(x, [6, 6]),
                nearest_legacy=v1.image.resize_nearest_neighbor(x, [6, 7]))


# Strings.

@family("strings", {"s": (S, [None]), "n": (L, [None])}, lambda rng: {"three": {"s": [b"Red Fox", b"", "Čaj ".encode()], "n": [7, -1, 2**40]}, "none": {"s": [], "n": []}})
def strings(s, n):
    t = tf.strings
    return dict(join=t.join([s, "-", t.as_string(n)]), join_separator=t.join([s, s], separator="_X_"), lower=t.lower(s), upper=t.upper(s), strip=t.strip(s), length=t.length(s), length_utf8=t.length(s, unit="UTF8_CHAR"), substr=t.substr(s, tf.zeros_like(t.length(s)), tf.minimum(t.length(s), 2)),
                equal=tf.equal(s, "Red Fox"), not_equal=tf.not_equal(s, ""), hash_fast=t.to_hash_bucket_fast(s, 1000), hash_strong=t.to_hash_bucket_strong(s, 1000, [1, 2]), hash_legacy=raw.StringToHashBucket(string_tensor=s, num_buckets=1000),
                as_string_float=t.as_string(tf.cast(n, F) / 4, precision=2), regex=t.regex_replace(s, "[aeiou]", "*"), full_match=t.regex_full_match(s, "Red.*"), reduce_join=t.reduce_join(s, separator=","))


@family("string_numbers", {"s": (S, [None])}, lambda rng: {"good": {"s": [b"1", b"-2.5e3", b" 7 ", b"inf"]}, "bad": {"s": [b"1", b"one"]}})
def string_numbers(s):
    return dict(number=tf.strings.to_number(s), double=tf.strings.to_number(s, D))


@family("string_split", {"s": (S, [None])}, lambda rng: {"two": {"s": [b"a b c", b"", b"  d "]}})
def string_split(s):
    ragged = tf.strings.split(s)
    sparse = v1.string_split(s, delimiter=" ")
    return dict(values=ragged.values, splits=ragged.row_splits, sparse_indices=sparse.indices, sparse_values=sparse.values, sparse_shape=sparse.dense_shape)


@family("buckets", {"x": (F, [None]), "i": (L, [None])}, lambda rng: {"five": {"x": [-1.0, 0.0, 0.5, 10.0, 99.0], "i": [0, 1, 2, 3, 4]}})
def buckets(x, i):
    sparse = tf.SparseTensor(tf.stack([i, i % 2], 1), x, [5, 2])
    filled, indicator = tf.sparse.fill_empty_rows(sparse, -7.0)
    return dict(bucketize=raw.Bucketize(input=x, boundaries=[0.0, 1.0, 10.0]), searchsorted=tf.searchsorted(tf.constant([0.0, 1.0, 10.0]), x), to_dense=tf.sparse.to_dense(sparse), filled=filled.values, indicator=indicator,
                segment_sum=tf.sparse.segment_sum(x[:, None], tf.constant([0, 2, 4]), tf.constant([0, 0, 1])), segment_mean=tf.sparse.segment_mean(x[:, None], tf.constant([0, 2, 4]), tf.constant([0, 0, 1])))


# Lower precision and complex numbers: kernels a float32 server can do without.

@family("half", {"x": (tf.half, [None, 3])}, lambda rng: {"rows": {"x": normal(rng, 2, 3)}})
def half(x):
    return dict(add=x + x, mul=x * 2, relu=tf.nn.relu(x), sum=tf.reduce_sum(x, -1), matmul=tf.matmul(x, x, transpose_b=True), less=x < 0)


@family("bfloat16", {"x": (tf.bfloat16, [None, 3])}, lambda rng: {"rows": {"x": normal(rng, 2, 3)}})
def bfloat16(x):
    return dict(add=x + x, mul=x * 2, relu=tf.nn.relu(x), sum=tf.reduce_sum(x, -1), matmul=tf.matmul(x, x, transpose_b=True))
