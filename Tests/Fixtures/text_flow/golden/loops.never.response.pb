

grownBaBcccBzz

lengths:

upperBABCCCBZZ
	text_flowloops