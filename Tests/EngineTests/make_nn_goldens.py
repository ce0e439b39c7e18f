"""Writes Goldens/<family>.jsonl for the neural-net ops; see make_goldens.py for the form.

TensorFlow computes in half and bfloat16 where we compute in float and round once: those tolerances are its errors.

    python Tests/EngineTests/make_nn_goldens.py [family ...]
"""
import os
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # TensorFlow's own kernels and texts
import itertools, sys
import make_goldens
from make_goldens import *

make_goldens.FAMILIES.clear()


def quarters(F, low=-4, high=4):
    """Numbers of few bits, whose sums of products are exact in any order."""
    def make(*s, d=f32):
        a = numbers(F.rng(str(s)), d, *s) if np.dtype(d).kind in "iu" else numbers(F.rng(str(s)), f64, *s, low=low, high=high)
        return a if np.dtype(d).kind in "iu" else (np.round(a * 4) / 4).astype(d)
    return make


@family
def products(F):
    n = quarters(F)
    for ta, tb in itertools.product([False, True], [False, True]):
        for m, k, c in [(2, 3, 4), (1, 32, 64), (17, 33, 35), (3, 1, 5), (1, 1, 1), (0, 3, 2), (2, 0, 3), (2, 3, 0), (15, 40, 16)]:
            a, b = n(*((k, m) if ta else (m, k))), n(*((c, k) if tb else (k, c)))
            F.case("MatMul", rtol=1e-4, a=a, b=b, transpose_a=ta, transpose_b=tb)
        for d in [f64, f16, bf16, np.int32, np.int64]:
            a, b = n(*((5, 3) if ta else (3, 5)), d=d), n(*((4, 5) if tb else (5, 4)), d=d)
            F.case("MatMul", a=a, b=b, transpose_a=ta, transpose_b=tb, rtol={f16: 1e-2, bf16: 5e-2, f64: 1e-10}.get(d, None))
    for a, b in [((2, 3), (4, 5)), ((3,), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3), (5,))]:
        F.case("MatMul", a=n(*a), b=n(*b))
    pairs = [((2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((2, 1, 3, 4), (1, 3, 4, 5)), ((1, 3, 4), (6, 4, 2)),
             ((2, 3, 17, 9), (2, 3, 9, 33)), ((0, 2, 3), (0, 3, 4)), ((3, 2, 0), (3, 0, 4)), ((2, 2, 3), (3, 3, 4)), ((3,), (3, 4)), ((2, 2, 3), (2, 4, 4)),
             ((2, 3), (4,)), ((7, 1, 2, 3), (1, 4, 3, 2))]
    swap = lambda s: s[:-2] + (s[-1], s[-2]) if len(s) > 1 else s
    for op in ["BatchMatMulV2", "BatchMatMulV3"]:
        for (a, b), (ax, ay) in itertools.product(pairs, [(False, False), (True, False), (False, True), (True, True)]):
            extra = {"Tout": tf.float32} if op.endswith("3") else {}
            if op.endswith("3") and (ax or ay): continue
            F.case(op, rtol=1e-4, x=n(*(swap(a) if ax else a)), y=n(*(swap(b) if ay else b)), adj_x=ax, adj_y=ay, **extra)
    for d in [f64, f16, bf16, np.int32, np.int64]:
        F.case("BatchMatMulV2", x=n(2, 3, 4, d=d), y=n(4, 2, d=d), rtol={f16: 1e-2, bf16: 5e-2}.get(d, None))
    for a, b in [((2, 2, 3), (2, 3, 4)), ((2, 2, 3), (3, 4)), ((2, 2, 3), (3, 3, 4)), ((2, 3), (3, 4))]:
        F.case("BatchMatMul", rtol=1e-4, x=n(*a), y=n(*b))


@family
def einsum(F):
    n = quarters(F)
    cases = [("ij,jk->ik", (2, 3), (3, 4)), ("ij,kj->ik", (2, 3), (4, 3)), ("ji,jk->ki", (3, 2), (3, 4)), ("abc,cde->abde", (2, 3, 4), (4, 5, 6)),
             ("abcd,cde->abe", (2, 3, 4, 5), (4, 5, 6)), ("aecd,abcd->acbe", (2, 5, 3, 4), (2, 6, 3, 4)), ("acbe,aecd->abcd", (2, 3, 6, 5), (2, 5, 3, 4)),
             ("bhwc,hkc->bhwk", (2, 3, 4, 5), (3, 6, 5)), ("i,i->", (4,), (4,)), ("i,j->ij", (3,), (4,)), ("ij,ij->ij", (3, 4), (3, 4)),
             ("ijk,jkl->li", (2, 3, 4), (3, 4, 5)), ("ijk,kjl->li", (2, 3, 4), (4, 3, 5)), ("ij,jk->k", (2, 3), (3, 4)), ("ijm,jk->ik", (2, 3, 5), (3, 4)),
             ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)), ("...ij,jk->...ik", (2, 5, 3, 4), (4, 2)), ("...i,...i->...", (2, 3), (3,)),
             ("i...,i...->...", (2, 3), (2, 1)), ("...ij,...jk->...ik", (2, 2, 2), (3, 2, 2)), ("ij,jk->ik", (2, 3), (4, 5)), ("ij,jkl->ik", (2, 3), (3, 5)),
             ("ii,ij->ij", (3, 3), (3, 4)), ("ij,jk->ik", (2, 0), (0, 3)), ("ij,jk->ik", (0, 2), (2, 3)), ("abc,abd->acd", (2, 3, 4), (2, 3, 5)),
             ("bqhd,bkhd->bhqk", (2, 7, 3, 4), (2, 9, 3, 4)), ("bhqk,bkhd->bqhd", (2, 3, 7, 9), (2, 9, 3, 4)), ("AB,Bc->Ac", (2, 3), (3, 4))]
    for equation, a, b in cases: F.case("Einsum", rtol=1e-4, inputs=[n(*a), n(*b)], equation=equation)
    for equation, a in [("ij->ji", (2, 3)), ("ij->i", (2, 3)), ("ij->", (2, 3)), ("ii->i", (3, 3)), ("ii->", (3, 3)), ("ii->i", (2, 3)), ("i->ii", (3,)),
                        ("...ij->...ji", (2, 3, 4)), ("ijk->kj", (2, 3, 4)), ("iij->j", (3, 3, 2)), ("a...->...", (2, 3, 2))]:
        F.case("Einsum", rtol=1e-4, inputs=[n(*a)], equation=equation)
    for d in [f64, f16, bf16]: F.case("Einsum", inputs=[n(2, 3, d=d), n(3, 4, d=d)], equation="ij,jk->ik", rtol={f16: 3e-2, bf16: 0.3}.get(d))


@family
def convolutions(F):
    n = quarters(F, -1, 1)
    for (h, w), c, (kh, kw), o, st, dil, pad in [
            ((5, 5), 3, (3, 3), 4, 1, 1, "SAME"), ((5, 7), 3, (3, 3), 4, 2, 1, "SAME"), ((6, 6), 2, (3, 2), 5, 2, 1, "VALID"), ((7, 7), 4, (1, 1), 8, 1, 1, "VALID"),
            ((8, 8), 4, (1, 1), 8, 2, 1, "SAME"), ((9, 9), 2, (3, 3), 3, 1, 2, "SAME"), ((9, 9), 2, (3, 3), 3, 1, 3, "VALID"), ((4, 4), 6, (3, 3), 4, 1, 1, "G3"),
            ((2, 2), 3, (3, 3), 4, 1, 1, "VALID"), ((1, 1), 3, (5, 5), 4, 1, 1, "SAME"), ((12, 13), 16, (5, 5), 33, 3, 1, "SAME"), ((4, 5), 3, (2, 2), 4, 1, 1, "EXPLICIT"),
            ((0, 5), 3, (3, 3), 4, 1, 1, "SAME"), ((20, 20), 8, (3, 3), 17, 1, 1, "SAME"), ((10, 10), 3, (7, 7), 8, 2, 1, "SAME")]:
        groups = int(pad[1]) if pad[0] == "G" else 1
        padding = "SAME" if groups > 1 else pad
        F.case("Conv2D", rtol=1e-3, input=n(2, h, w, c), filter=n(kh, kw, c // groups, o - o % groups), strides=[1, st, st, 1], dilations=[1, dil, dil, 1], padding=padding,
               explicit_paddings=[0, 0, 1, 2, 3, 0, 0, 0] if pad == "EXPLICIT" else [])
    for d in [f64, f16, bf16]:
        F.case("Conv2D", input=n(1, 4, 4, 3, d=d), filter=n(3, 3, 3, 2, d=d), strides=[1, 1, 1, 1], padding="SAME", rtol={f64: 1e-9, f16: 2e-2, bf16: 1e-1}[d])
    bad = dict(strides=[1, 1, 1, 1], padding="SAME")
    for x, f in [((1, 5, 5, 3), (3, 3, 4, 8)), ((1, 5, 5, 3), (3, 3, 3)), ((1, 5, 5, 6), (3, 3, 3, 7)), ((0, 5, 5, 3), (3, 3, 3, 7)), ((1, 5, 5, 3), (0, 3, 3, 7))]:
        F.case("Conv2D", input=n(*x), filter=n(*f), **bad)
    for (h, w), c, m, st, pad, k in [((5, 5), 3, 1, 1, "SAME", 3), ((6, 7), 40, 1, 2, "SAME", 3), ((6, 6), 5, 2, 1, "VALID", 3), ((5, 5), 33, 1, 1, "VALID", 5), ((9, 9), 64, 1, 2, "VALID", 3),
                                   ((5, 5), 1, 4, 1, "SAME", 3), ((1, 1), 3, 1, 1, "SAME", 3), ((14, 14), 32, 1, 1, "SAME", 3)]:
        F.case("DepthwiseConv2dNative", rtol=1e-3, input=n(2, h, w, c), filter=n(k, k, c, m), strides=[1, st, st, 1], padding=pad)
    F.case("DepthwiseConv2dNative", rtol=1e-9, input=n(1, 4, 4, 3, d=f64), filter=n(3, 3, 3, 1, d=f64), strides=[1, 1, 1, 1], padding="SAME")
    F.case("DepthwiseConv2dNative", input=n(1, 5, 5, 3), filter=n(3, 3, 4, 2), strides=[1, 1, 1, 1], padding="SAME")
    for size, f, y, st, pad in [((2, 9, 9, 3), (3, 3, 3, 8), (2, 5, 5, 8), 2, "SAME"), ((1, 8, 8, 2), (2, 2, 2, 5), (1, 4, 4, 5), 2, "VALID"), ((1, 10, 11, 3), (5, 4, 3, 2), (1, 10, 11, 2), 1, "SAME"),
                                ((1, 9, 9, 3), (3, 3, 3, 8), (1, 5, 5, 7), 2, "SAME"), ((1, 9, 9, 3), (3, 3, 3, 8), (1, 6, 5, 8), 2, "SAME"), ((2, 9, 9, 3), (3, 3, 3, 8), (1, 5, 5, 8), 2, "SAME"),
                                ((1, 9, -9, 3), (3, 3, 3, 8), (1, 5, 5, 8), 2, "SAME")]:
        F.case("Conv2DBackpropInput", rtol=1e-3, input_sizes=i32(*size), filter=n(*f), out_backprop=n(*y), strides=[1, st, st, 1], padding=pad)
    F.case("Conv2DBackpropInput", rtol=1e-3, input_sizes=i32(9, 9), filter=n(3, 3, 3, 8), out_backprop=n(1, 5, 5, 8), strides=[1, 2, 2, 1], padding="SAME")
    for st, pad in [(1, "SAME"), (2, "VALID"), (2, "SAME")]:
        F.case("Conv3D", rtol=1e-3, input=n(1, 4, 5, 6, 3), filter=n(2, 3, 3, 3, 4), strides=[1, st, st, st, 1], padding=pad)
    F.case("Conv3DBackpropInputV2", rtol=1e-3, input_sizes=i32(1, 4, 5, 6, 3), filter=n(2, 3, 3, 3, 4), out_backprop=n(1, 2, 3, 3, 4), strides=[1, 2, 2, 2, 1], padding="SAME")


@family
def layers(F):
    n = lambda *s, d=f32: numbers(F.rng(str(s)), d, *s)
    special = np.array([NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 5.5, 6.5, -20.0, 30.0, -100.0, 1e-4, -1e-4, 90.0, -0.3], f32)
    for op in ["Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign"]:
        for x in [special, n(3, 37), n(), n(0, 2), n(4, d=f64), n(4, d=f16), n(4, d=bf16)]:
            # TensorFlow's e^x - 1 is a difference, and cancels near zero.
            F.case(op, features=x, rtol=1e-3 if op in ("Elu", "Selu") and x.dtype == f32 else None)
    F.case("LeakyRelu", features=special, alpha=0.01)
    for d in [np.int32, np.int8, np.uint8, np.int64]:
        F.case("Relu", features=numbers(F.rng(), d, 9))
        F.case("Relu6", features=numbers(F.rng(), d, 9))
    for op in ["Softmax", "LogSoftmax"]:
        for x in [n(2, 10), n(3, 1), n(5), n(2, 3, 33), n(0, 3), n(2, 100) * 20, n(2, 5, d=f64), n(2, 5, d=f16), n(2, 5, d=bf16), n(), np.array([[1, INF, 2], [1, -INF, 2], [NAN, 1, 2]], f32)]:
            F.case(op, logits=x, rtol={np.dtype(f32): 2e-5, np.dtype(f16): 2e-2, np.dtype(bf16): 0.2}.get(x.dtype))
    for x, b, fmt in [((2, 3), 3, "NHWC"), ((2, 3, 4, 5), 5, "NHWC"), ((2, 3, 4, 5), 3, "NCHW"), ((2, 3), 3, "NCHW"), ((2, 3), 4, "NHWC"), ((3,), 3, "NHWC"), ((0, 3), 3, "NHWC"), ((2, 3, 4), 3, "NCHW"),
                      ((2, 3, 4, 4), 4, "NCHW"), ((2, 2, 2, 2, 3), 3, "NHWC")]:
        F.case("BiasAdd", value=n(*x), bias=n(b), data_format=fmt)
    F.case("BiasAdd", value=n(2, 3), bias=n(3, 1))
    for d in [f64, f16, bf16, np.int32]: F.case("BiasAdd", value=n(2, 3, d=d), bias=n(3, d=d))
    for op, name in [("MaxPool", "input"), ("AvgPool", "value")]:
        for (h, w), k, st, pad in [((5, 5), 2, 2, "SAME"), ((6, 7), 3, 2, "VALID"), ((5, 5), 3, 1, "SAME"), ((1, 1), 2, 2, "VALID"), ((8, 8), 8, 1, "VALID"), ((4, 4), 3, 3, "SAME")]:
            F.case(op, **{name: n(2, h, w, 5)}, ksize=[1, k, k, 1], strides=[1, st, st, 1], padding=pad)
        for d in [f64, f16, bf16]: F.case(op, **{name: n(1, 4, 4, 3, d=d)}, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME", rtol={f16: 3e-2, bf16: 0.3}.get(d))
        F.case(op, **{name: n(0, 4, 4, 3)}, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    F.case("MaxPool", input=n(1, 5, 5, 3), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="EXPLICIT", explicit_paddings=[0, 0, 1, 0, 0, 1, 0, 0])
    for op in ["MaxPool3D", "AvgPool3D"]:
        F.case(op, input=n(1, 4, 5, 6, 3), ksize=[1, 2, 3, 2, 1], strides=[1, 2, 2, 2, 1], padding="SAME")
        F.case(op, input=n(1, 4, 5, 6, 3), ksize=[1, 2, 2, 2, 1], strides=[1, 1, 2, 2, 1], padding="VALID")
    positive = lambda *s: np.abs(n(*s)) + np.float32(0.1)
    for op in ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"]:
        F.case(op, rtol=1e-4, x=n(2, 3, 3, 5), scale=n(5), offset=n(5), mean=n(5), variance=positive(5), is_training=False)
        F.case(op, rtol=1e-4, x=n(1, 2, 2, 3), scale=n(3), offset=n(3), mean=n(3), variance=positive(3), is_training=False, epsilon=0.001)
    F.case("FusedBatchNormV3", rtol=1e-4, x=n(1, 2, 2, 2, 3), scale=n(3), offset=n(3), mean=n(3), variance=positive(3), is_training=False, data_format="NDHWC")
    F.case("FusedBatchNormV3", x=n(2, 3, 3, 5, d=f16), scale=n(5), offset=n(5), mean=n(5), variance=positive(5), is_training=False, rtol=2e-2)
    for sizes in [(4, 3, 3, 3), (3, 3, 2, 3), (3, 3, 3, 2), (3, 4, 3, 3)]:
        F.case("FusedBatchNormV3", x=n(1, 2, 2, 3), **{k: n(s) for k, s in zip(["scale", "offset", "mean", "variance"], sizes)}, is_training=False)
    F.case("FusedBatchNormV3", x=n(5, 3), scale=n(3), offset=n(3), mean=n(3), variance=n(3), is_training=False)
    for args in [{}, {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75}, {"depth_radius": 0}]: F.case("LRN", rtol=1e-4, input=n(1, 2, 2, 9), **args)
    F.case("LRN", input=n(2, 3))
    for x in [n(3, 4), n(0), n(5, d=f64)]: F.case("L2Loss", t=x, rtol=1e-4)
    for op in ["ResizeBilinear", "ResizeNearestNeighbor"]:
        for (h, w), (oh, ow), modes in itertools.product([(2, 3), (5, 4), (1, 1)], [(4, 6), (3, 2), (1, 1), (7, 9)], [{}, {"align_corners": True}, {"half_pixel_centers": True}]):
            F.case(op, rtol=1e-4, images=n(1, h, w, 2), size=i32(oh, ow), **modes)
        F.case(op, images=numbers(F.rng(), np.uint8, 2, 3, 3, 3), size=i32(5, 2), half_pixel_centers=True)
        F.case(op, images=numbers(F.rng(), np.int32, 1, 3, 3, 1), size=i32(5, 2))
        F.case(op, images=n(1, 2, 3), size=i32(2, 2))
        F.case(op, images=n(1, 2, 3, 1), size=i32(2, 2, 2))
        F.case(op, images=n(1, 2, 3, 1), size=i32(0, 2))
        F.case(op, images=n(1, 0, 3, 1), size=i32(4, 2))
        F.case(op, images=n(0, 2, 3, 1), size=i32(4, 2))


if __name__ == "__main__":
    for name in sys.argv[1:] or make_goldens.FAMILIES:
        F = Family(name)
        make_goldens.FAMILIES[name](F)
        F.write()
