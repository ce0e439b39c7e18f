

	class_ids	R

classesB1

logistic*¯ð?

mean*Æˆ¿#&%@
'
probabilities*l	u9¯ð?$
wide_and_deepserving_default