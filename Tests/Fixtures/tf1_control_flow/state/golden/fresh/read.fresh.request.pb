

stateread