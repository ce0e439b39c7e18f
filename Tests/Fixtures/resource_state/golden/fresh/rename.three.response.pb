

before:

namesBxByyBzzz

shape:
resource_staterename