

	class_ids	R

classesB1

logistic*¤?

mean*Æˆ¿#&%@
'
probabilities*uð·:¤?$
wide_and_deepserving_default