

examples_v2serving_default$
examplesBnot an Example