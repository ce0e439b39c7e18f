
'
score*¶p?B?ƒñ?@¬?!

keras_textserving_default