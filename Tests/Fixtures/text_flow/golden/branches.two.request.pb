

	text_flowbranches
which:
wordsBcccBzz