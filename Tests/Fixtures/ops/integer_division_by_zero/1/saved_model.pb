–
îÀ
A
FloorDiv
x"T
y"T
z"T"
Ttype:
2	
.
Identity

input"T
output"T"	
Ttype

NoOp
C
Placeholder
output"dtype"
dtypetype"
shapeshape:"serve*2.21.02v2.21.0-rc1-5-ga481b10260d©
F
xPlaceholder*
_output_shapes
:*
dtype0*
shape:
F
yPlaceholder*
_output_shapes
:*
dtype0*
shape:
=
floordivFloorDivxy*
T0*
_output_shapes
:
E
out_quotientIdentityfloordiv*
T0*
_output_shapes
:

initNoOp"ª*w
serving_defaultd

x
x:0

y
y:0"
quotient
out_quotient:0tensorflow/serving/predict