
'
again	Rÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿ

size	R
	referenceremove