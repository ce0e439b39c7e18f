

valuej
€pÿ÷€ø™(
dtypesonly_float16