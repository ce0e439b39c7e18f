


y:
control_flowswitch