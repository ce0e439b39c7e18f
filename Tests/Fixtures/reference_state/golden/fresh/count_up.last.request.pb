

reference_statecount_up