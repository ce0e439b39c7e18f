É)
å
·

.
Abs
x"T
y"T"
Ttype:

2	
+
Ceil
x"T
y"T"
Ttype:
2
*
Erf
x"T
y"T"
Ttype:
2
+
Erfc
x"T
y"T"
Ttype:
2
,
Exp
x"T
y"T"
Ttype:

2
.
Expm1
x"T
y"T"
Ttype:

2
,
Floor
x"T
y"T"
Ttype:
2
.
Identity

input"T
output"T"	
Ttype
.
IsFinite
x"T
y
"
Ttype:
2
+
IsInf
x"T
y
"
Ttype:
2
+
IsNan
x"T
y
"
Ttype:
2
,
Log
x"T
y"T"
Ttype:

2
.
Log1p
x"T
y"T"
Ttype:

2
0
Neg
x"T
y"T"
Ttype:
2
	

NoOp
:
OnesLike
x"T
y"T"
Ttype:
2	

C
Placeholder
output"dtype"
dtypetype"
shapeshape:
7

Reciprocal
x"T
y"T"
Ttype:
2
	
+
Rint
x"T
y"T"
Ttype:
2
2
Round
x"T
y"T"
Ttype:
2
	
.
Rsqrt
x"T
y"T"
Ttype:

2
0
Sigmoid
x"T
y"T"
Ttype:

2
1
Sign
x"T
y"T"
Ttype:
2
	
-
Sqrt
x"T
y"T"
Ttype:

2
7
Square
x"T
y"T"
Ttype:
2	
2
StopGradient

input"T
output"T"	
Ttype
-
Tanh
x"T
y"T"
Ttype:

2
&
	ZerosLike
x"T
y"T"	
Ttype"serve*2.21.02v2.21.0-rc1-5-ga481b10260dŸ
F
xPlaceholder*
_output_shapes
:*
dtype0*
shape:
0
AbsAbsx*
T0*
_output_shapes
:
0
NegNegx*
T0*
_output_shapes
:
2
SignSignx*
T0*
_output_shapes
:
6
SquareSquarex*
T0*
_output_shapes
:
2
SqrtSqrtx*
T0*
_output_shapes
:
4
RsqrtRsqrtx*
T0*
_output_shapes
:
0
ExpExpx*
T0*
_output_shapes
:
4
Expm1Expm1x*
T0*
_output_shapes
:
0
LogLogx*
T0*
_output_shapes
:
4
Log1pLog1px*
T0*
_output_shapes
:
4
FloorFloorx*
T0*
_output_shapes
:
2
CeilCeilx*
T0*
_output_shapes
:
4
RoundRoundx*
T0*
_output_shapes
:
2
RintRintx*
T0*
_output_shapes
:
>

Reciprocal
Reciprocalx*
T0*
_output_shapes
:
4
IsNanIsNanx*
T0*
_output_shapes
:
4
IsInfIsInfx*
T0*
_output_shapes
:
:
IsFiniteIsFinitex*
T0*
_output_shapes
:
2
TanhTanhx*
T0*
_output_shapes
:
8
SigmoidSigmoidx*
T0*
_output_shapes
:
0
ErfErfx*
T0*
_output_shapes
:
2
ErfcErfcx*
T0*
_output_shapes
:
=

zeros_like	ZerosLikex*
T0*
_output_shapes
:
;
	ones_likeOnesLikex*
T0*
_output_shapes
:
B
StopGradientStopGradientx*
T0*
_output_shapes
:
;
out_absIdentityAbs*
T0*
_output_shapes
:
;
out_negIdentityNeg*
T0*
_output_shapes
:
=
out_signIdentitySign*
T0*
_output_shapes
:
A

out_squareIdentitySquare*
T0*
_output_shapes
:
=
out_sqrtIdentitySqrt*
T0*
_output_shapes
:
?
	out_rsqrtIdentityRsqrt*
T0*
_output_shapes
:
;
out_expIdentityExp*
T0*
_output_shapes
:
?
	out_expm1IdentityExpm1*
T0*
_output_shapes
:
;
out_logIdentityLog*
T0*
_output_shapes
:
?
	out_log1pIdentityLog1p*
T0*
_output_shapes
:
?
	out_floorIdentityFloor*
T0*
_output_shapes
:
=
out_ceilIdentityCeil*
T0*
_output_shapes
:
?
	out_roundIdentityRound*
T0*
_output_shapes
:
=
out_rintIdentityRint*
T0*
_output_shapes
:
I
out_reciprocalIdentity
Reciprocal*
T0*
_output_shapes
:
@

out_is_nanIdentityIsNan*
T0
*
_output_shapes
:
@

out_is_infIdentityIsInf*
T0
*
_output_shapes
:
F
out_is_finiteIdentityIsFinite*
T0
*
_output_shapes
:
=
out_tanhIdentityTanh*
T0*
_output_shapes
:
C
out_sigmoidIdentitySigmoid*
T0*
_output_shapes
:
;
out_erfIdentityErf*
T0*
_output_shapes
:
=
out_erfcIdentityErfc*
T0*
_output_shapes
:
I
out_zeros_likeIdentity
zeros_like*
T0*
_output_shapes
:
G
out_ones_likeIdentity	ones_like*
T0*
_output_shapes
:
E
out_stopIdentityStopGradient*
T0*
_output_shapes
:

initNoOp"ª*¼
serving_default¨

x
x:0
abs
	out_abs:0
ceil

out_ceil:0
erfc

out_erfc:0
erf
	out_erf:0
expm1
out_expm1:0
exp
	out_exp:0
floor
out_floor:0$
	is_finite
out_is_finite:0

is_inf
out_is_inf:0

is_nan
out_is_nan:0

log1p
out_log1p:0
log
	out_log:0
neg
	out_neg:0$
	ones_like
out_ones_like:0&

reciprocal
out_reciprocal:0
rint

out_rint:0
round
out_round:0
rsqrt
out_rsqrt:0 
sigmoid
out_sigmoid:0
sign

out_sign:0
sqrt

out_sqrt:0
square
out_square:0
stop

out_stop:0
tanh

out_tanh:0&

zeros_like
out_zeros_like:0tensorflow/serving/predict