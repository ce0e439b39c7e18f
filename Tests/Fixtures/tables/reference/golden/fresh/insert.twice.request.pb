

	referenceinsert
value	R
wordBmauveBmauve