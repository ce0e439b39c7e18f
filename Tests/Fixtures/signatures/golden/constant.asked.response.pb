

answer:*

count:

signaturesconstant