

bfloat16serving_default
x"«?E?„¿Â¿¨?Â¾