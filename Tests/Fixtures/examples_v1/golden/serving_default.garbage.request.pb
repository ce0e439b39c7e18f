

examples_v1serving_default$
examplesBnot an Example