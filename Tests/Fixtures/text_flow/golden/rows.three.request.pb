

	text_flowrows
wordsBaBcccBzz