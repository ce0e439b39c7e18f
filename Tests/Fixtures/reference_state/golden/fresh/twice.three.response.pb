

first:

second:
reference_statetwice