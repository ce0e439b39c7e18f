

reference_stateinitialized