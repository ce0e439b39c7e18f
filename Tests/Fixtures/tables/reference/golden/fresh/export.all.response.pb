

keysBredBgreen

values	R	
	referenceexport