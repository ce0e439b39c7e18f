
!
string_numbersserving_default
sB1Bone