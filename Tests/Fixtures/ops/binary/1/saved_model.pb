»&
§
ˆ	
.
Abs
x"T
y"T"
Ttype:

2	
:
Add
x"T
y"T
z"T"
Ttype:
2	
Y
AddN
inputs"T*N
sum"T"
Nint(0"#
Ttype:
2	Äê
D
AddV2
x"T
y"T
z"T"
Ttype:
2	Äê
<
Div
x"T
y"T
z"T"
Ttype:
2	
9
DivNoNan
x"T
y"T
z"T"
Ttype:

2
A
FloorDiv
x"T
y"T
z"T"
Ttype:
2	
?
FloorMod
x"T
y"T
z"T"
Ttype:
2	
.
Identity

input"T
output"T"	
Ttype
>
Maximum
x"T
y"T
z"T"
Ttype:
2	
>
Minimum
x"T
y"T
z"T"
Ttype:
2	
?
Mul
x"T
y"T
z"T"
Ttype:
2	ê
9
MulNoNan
x"T
y"T
z"T"
Ttype:

2

NoOp
C
Placeholder
output"dtype"
dtypetype"
shapeshape:
8
Pow
x"T
y"T
z"T"
Ttype:
2
	
@
RealDiv
x"T
y"T
z"T"
Ttype:
2	
G
SquaredDifference
x"T
y"T
z"T"
Ttype:

2	ê
<
Sub
x"T
y"T
z"T"
Ttype:
2	
6
Xdivy
x"T
y"T
z"T"
Ttype:

2
6
Xlogy
x"T
y"T
z"T"
Ttype:

2"serve*2.21.02v2.21.0-rc1-5-ga481b10260d›
F
xPlaceholder*
_output_shapes
:*
dtype0*
shape:
F
yPlaceholder*
_output_shapes
:*
dtype0*
shape:
5
addAddV2xy*
T0*
_output_shapes
:
5
Add_1Addxy*
T0*
_output_shapes
:
3
subSubxy*
T0*
_output_shapes
:
3
mulMulxy*
T0*
_output_shapes
:
;
truedivRealDivxy*
T0*
_output_shapes
:
3
DivDivxy*
T0*
_output_shapes
:
0
AbsAbsx*
T0*
_output_shapes
:
5
PowPowAbsy*
T0*
_output_shapes
:
;
MaximumMaximumxy*
T0*
_output_shapes
:
;
MinimumMinimumxy*
T0*
_output_shapes
:
=
floordivFloorDivxy*
T0*
_output_shapes
:
=
FloorModFloorModxy*
T0*
_output_shapes
:
2
Abs_1Absx*
T0*
_output_shapes
:
2
Abs_2Absy*
T0*
_output_shapes
:
G

FloorMod_1FloorModAbs_1Abs_2*
T0*
_output_shapes
:
O
SquaredDifferenceSquaredDifferencexy*
T0*
_output_shapes
:
?

div_no_nanDivNoNanxy*
T0*
_output_shapes
:
D
multiply_no_nanMulNoNanxy*
T0*
_output_shapes
:
=
xdivy/XdivyXdivyxy*
T0*
_output_shapes
:
2
Abs_3Absy*
T0*
_output_shapes
:
;
XlogyXlogyxAbs_3*
T0*
_output_shapes
:
7
add_2AddV2xy*
T0*
_output_shapes
:
5
mul_1Mulxy*
T0*
_output_shapes
:
5
sub_1Subxy*
T0*
_output_shapes
:
M
AddNAddNadd_2mul_1sub_1*
N*
T0*
_output_shapes
:
;
out_addIdentityadd*
T0*
_output_shapes
:
@

out_add_v1IdentityAdd_1*
T0*
_output_shapes
:
;
out_subIdentitysub*
T0*
_output_shapes
:
;
out_mulIdentitymul*
T0*
_output_shapes
:
?
out_divIdentitytruediv*
T0*
_output_shapes
:
>

out_div_v1IdentityDiv*
T0*
_output_shapes
:
;
out_powIdentityPow*
T0*
_output_shapes
:
C
out_maximumIdentityMaximum*
T0*
_output_shapes
:
C
out_minimumIdentityMinimum*
T0*
_output_shapes
:
E
out_floordivIdentityfloordiv*
T0*
_output_shapes
:
E
out_floormodIdentityFloorMod*
T0*
_output_shapes
:
J
out_truncatemodIdentity
FloorMod_1*
T0*
_output_shapes
:
X
out_squared_differenceIdentitySquaredDifference*
T0*
_output_shapes
:
L
out_divide_no_nanIdentity
div_no_nan*
T0*
_output_shapes
:
S
out_multiply_no_nanIdentitymultiply_no_nan*
T0*
_output_shapes
:
E
	out_xdivyIdentityxdivy/Xdivy*
T0*
_output_shapes
:
?
	out_xlogyIdentityXlogy*
T0*
_output_shapes
:
>
	out_add_nIdentityAddN*
T0*
_output_shapes
:

initNoOp"™*æ
serving_default™

x
x:0

y
y:0
add_n
out_add_n:0
add_v1
out_add_v1:0
add
	out_add:0
div_v1
out_div_v1:0,
divide_no_nan
out_divide_no_nan:0
div
	out_div:0"
floordiv
out_floordiv:0"
floormod
out_floormod:0 
maximum
out_maximum:0 
minimum
out_minimum:00
multiply_no_nan
out_multiply_no_nan:0
mul
	out_mul:0
pow
	out_pow:06
squared_difference 
out_squared_difference:0
sub
	out_sub:0(
truncatemod
out_truncatemod:0
xdivy
out_xdivy:0
xlogy
out_xlogy:0tensorflow/serving/predict