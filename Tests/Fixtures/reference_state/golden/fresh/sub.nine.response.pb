

scalar:
üÿÿÿÿÿÿÿÿ
reference_statesub