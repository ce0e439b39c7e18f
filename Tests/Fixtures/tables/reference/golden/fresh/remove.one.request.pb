

	referenceremove
wordBgreenBnobody