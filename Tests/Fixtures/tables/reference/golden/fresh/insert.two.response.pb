

again	R

size	R
	referenceinsert