
H
hidden>*0¿¿[µ¿Š
Œ¿‰\?,áÁ¿Ey›¿Î¦ê>Æ`x>f‹€¿ä˜?,%Ñ¿”¹>
/
probabilities*Ø=c>…">—¸!>†sò> 
	keras_mlpserving_default