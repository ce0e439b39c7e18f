
 
vectorizationserving_default
textBfox