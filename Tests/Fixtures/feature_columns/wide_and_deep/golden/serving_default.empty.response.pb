

	class_ids	R

classesB1

logistic*7æ?

mean*ˆ©"¿ÑµÎ?
'
probabilities*7IÎ97æ?$
wide_and_deepserving_default