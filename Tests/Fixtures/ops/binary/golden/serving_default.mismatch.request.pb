

binaryserving_default
x*Cšg?·Žà?S“F¾
y*çB©?3ž¿‰„‘¿3º‹>