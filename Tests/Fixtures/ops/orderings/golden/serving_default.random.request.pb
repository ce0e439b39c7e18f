

	orderingsserving_default[
xV*H•G@Õª ¿ô˜‰?ô?‹F¾ò$#¾ŽV£¾­Î÷?˜ÑÎ?cÛ·>»L@ºþ=ò`¾w„š?G@ÁP“?L‚=T*I?