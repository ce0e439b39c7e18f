

init_main_opserving_default$
colourBblueBmauveBred