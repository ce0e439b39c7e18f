

step	R
reference_statecount_up