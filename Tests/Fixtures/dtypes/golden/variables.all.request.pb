

dtypes	variables