

is
Z"
reference_stateinitialized