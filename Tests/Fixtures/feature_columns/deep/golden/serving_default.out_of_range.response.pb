
 
classesBaBbBc
$
scores*Œ8¹ˆ3îý?
deepserving_default