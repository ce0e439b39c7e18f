
 
vectorizationserving_default4
text,BThe quick dogBlazy, lazy FOX!