
"
contentBasset-file-contents
half_plus_two_tf1asset