


reductionsserving_defaultG
xB"0uOð¾py}?·(>np?D?Ç>›=A ½»0F?Óÿy¿:È=»Ô¡>^w>?