

y:
ÿÿÿÿÿÿÿÿÿ
control_flowswitch