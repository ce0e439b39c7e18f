

deeplayer
inputsB
no Example