
!
string_numbersserving_default"
sB1B-2.5e3B 7 Binf