

statebranch

p
"