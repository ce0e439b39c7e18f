

staticserving_default
number	R
wordBredBone