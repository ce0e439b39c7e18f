

halfserving_default
x"H¹2é¼Y¸ž­á8