

batchinglookup
index: