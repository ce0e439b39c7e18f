

reference_statethrough
amount: