
!
init_legacy_opserving_default$
colourBblueBmauveBred