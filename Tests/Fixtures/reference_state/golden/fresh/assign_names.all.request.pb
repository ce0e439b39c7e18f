

reference_stateassign_names