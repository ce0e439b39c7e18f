

count:

known	R
 
textBccc-cccBzz-zz
	text_flowbranches