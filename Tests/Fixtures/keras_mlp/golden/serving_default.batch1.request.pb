

	keras_mlpserving_default3
x." Şaè¿÷<@>ƒ˜³?×ı¾]ƒ?L–?”¿F°î?