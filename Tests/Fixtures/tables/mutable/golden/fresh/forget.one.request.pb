

mutableforget
wordBredBnobody