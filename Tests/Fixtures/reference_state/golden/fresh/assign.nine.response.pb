

scalar:	
reference_stateassign