

scalar:
reference_statethrough