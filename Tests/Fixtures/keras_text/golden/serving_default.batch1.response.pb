

score*6?!

keras_textserving_default