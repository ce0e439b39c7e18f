

mutablecount"
wordBredBmauveBblue