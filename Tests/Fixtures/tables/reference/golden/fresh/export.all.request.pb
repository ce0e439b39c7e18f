

	referenceexport