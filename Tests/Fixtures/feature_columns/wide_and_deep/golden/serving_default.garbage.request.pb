
 
wide_and_deepserving_default
inputsB
no Example