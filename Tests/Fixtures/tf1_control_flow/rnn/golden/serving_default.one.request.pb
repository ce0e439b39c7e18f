

rnnserving_default
lengths:
tokens: