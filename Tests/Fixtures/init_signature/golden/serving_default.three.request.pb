
!
init_signatureserving_default$
colourBblueBmauveBred