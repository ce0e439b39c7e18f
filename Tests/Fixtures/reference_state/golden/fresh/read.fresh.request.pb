

reference_stateread