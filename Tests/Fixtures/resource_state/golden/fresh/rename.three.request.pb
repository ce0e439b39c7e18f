

resource_staterename
namesBxByyBzzz