

count:

known	Rÿÿÿÿÿÿÿÿÿ

textBABCCCBZZ
	text_flowbranches