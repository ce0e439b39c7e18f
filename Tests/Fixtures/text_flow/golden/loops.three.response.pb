
/
grown&BaaaaBccccccccccccBzzzzzzzz

lengths:

upperBABCCCBZZ
	text_flowloops