
 
classesBaBbBc
$
scores*у[х7rль24ў?
deepserving_default