

deepserving_default
inputsB
no Example