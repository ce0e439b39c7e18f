

bagsserving_default9
text1Bred red mauveBhereBgreen blue red red