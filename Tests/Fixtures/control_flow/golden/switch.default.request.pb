

control_flowswitch
which: