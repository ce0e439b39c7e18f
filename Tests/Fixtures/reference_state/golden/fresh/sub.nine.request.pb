

reference_statesub
amount:	