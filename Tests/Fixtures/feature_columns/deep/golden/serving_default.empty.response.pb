
 
classesBaBbBc
$
scores*=æÄ9L6@ç?
deepserving_default