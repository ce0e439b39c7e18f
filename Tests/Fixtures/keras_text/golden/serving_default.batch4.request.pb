


keras_textserving_default4
tokens*:	