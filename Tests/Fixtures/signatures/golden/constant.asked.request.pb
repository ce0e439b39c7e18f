


signaturesconstant