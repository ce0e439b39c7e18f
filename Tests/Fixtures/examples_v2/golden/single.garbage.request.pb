

examples_v2single
exampleBnot an Example