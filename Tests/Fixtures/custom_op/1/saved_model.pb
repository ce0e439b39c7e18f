ã
¨{

NoOp
C
Placeholder
output"dtype"
dtypetype"
shapeshape:
,
Tan
x"T
y"T"
Ttype:

2"serve*2.21.02v2.21.0-rc1-5-ga481b10260dÅ
\
xPlaceholder*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ
R
tokensSentencepieceTokenizeOpx*
T0*#
_output_shapes
:ÿÿÿÿÿÿÿÿÿ

initNoOp"ª*n
serving_default[

x
x:0ÿÿÿÿÿÿÿÿÿ 
y
tokens:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict