
V
classesKBaBbBcBaBbBcBaBbBcBaBbBcBaBbBcBaBbBcBaBbBc
l
scoresb*Tóq'=U*:L^u?yžó<UF;ùœw?*Ø6;$yv8OE?µ9²³à4¸ö?+$9ží4fö?Ö*8Êbc3Xý?¢ÄÔ4£Ú-úÿ?
deepserving_default