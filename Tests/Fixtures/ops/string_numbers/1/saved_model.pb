‡
†Ø
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
shapeshape:
Y
StringToNumber
string_tensor
output"out_type" 
out_typetype0:

2	"serve*2.21.02v2.21.0-rc1-5-ga481b10260dÕ
\
sPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
X
StringToNumberStringToNumbers*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
out_type0
Z
StringToNumber_1StringToNumbers*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
out_type0
T

out_numberIdentityStringToNumber*
T0*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ
V

out_doubleIdentityStringToNumber_1*
T0*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ

initNoOp"ª*£
serving_default

s
s:0ÿÿÿÿÿÿÿÿÿ)
double
out_double:0ÿÿÿÿÿÿÿÿÿ)
number
out_number:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict