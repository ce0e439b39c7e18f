#!/usr/bin/env python3
"""Writes numbers.jsonl: decimal texts and the bits of the nearest double and float, by exact arithmetic."""
import json, os, random, struct
from fractions import Fraction

random.seed(20)

def nearest(text, fraction_bits, exponent_bits):
    """IEEE 754 rounding to nearest, ties to even, of the exact value of a decimal text."""
    value = Fraction(text)
    negative = text.startswith("-")
    value = abs(value)
    bias = (1 << exponent_bits - 1) - 1
    sign = (1 << fraction_bits + exponent_bits) if negative else 0
    if value == 0:
        return sign
    exponent = 0
    n, d = value.numerator, value.denominator
    exponent = n.bit_length() - d.bit_length()
    if (n << max(0, -exponent)) < (d << max(0, exponent)):
        exponent -= 1
    exponent = max(exponent, 1 - bias)
    scaled = value * Fraction(2) ** (fraction_bits - exponent)
    units = scaled.numerator // scaled.denominator
    rest = scaled - units
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and units & 1):
        units += 1
    bits = units + (exponent + bias - 1 << fraction_bits)
    return sign | min(bits, (1 << exponent_bits) - 1 << fraction_bits)

texts = ["0", "-0", "0.0", "1", "255", "0.5", "1e0", "1E+2", "1e-2", "123456789012345678901234567890", "0.1", "0.2", "0.3",
         "9007199254740993.0", "9007199254740992.5", "16777217.0", "16777216.5", "5e-324", "2.4703282292062327e-324",
         "2.4703282292062328e-324", "4.9406564584124654e-324", "2.2250738585072011e-308", "2.2250738585072014e-308",
         "1.7976931348623157e308", "1.401298464324817e-45", "7.006492321624085e-46", "7.006492321624086e-46",
         "1.17549435e-38", "1.1754943508222875e-38", "3.4028234663852886e38", "3.4028235677973362e38",
         "0.500000029802322387695312500000", "0.500000029802322387695312500001", "0.500000029802322387695312499999",
         "1.00000005960464477539062500", "1.000000059604644775390625000000000000000001", "0.000000000000000000000000000001",
         "1" + "0" * 300, "0." + "0" * 300 + "1", "1." + "9" * 60, "3.141592653589793238462643383279502884197"]
for _ in range(600):
    bits = random.getrandbits(64)
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    if value == value and abs(value) != float("inf"):
        texts.append(repr(value))
for _ in range(400):
    bits = random.getrandbits(32)
    value = struct.unpack("<f", struct.pack("<I", bits))[0]
    if value == value and abs(value) != float("inf"):
        texts.append(repr(value))
        texts.append("%.9g" % value)
        # The middle between this float and the next, which an approximation cannot tell from what lies beside it.
        if abs(value) < 1e30 and abs(value) > 1e-30:
            following = struct.unpack("<f", struct.pack("<I", bits + 1))[0]
            middle = (Fraction(value) + Fraction(following)) / 2
            digits = middle.denominator.bit_length() - 1
            scaled = middle * 10**digits
            sign = "-" if scaled < 0 else ""
            whole = str(abs(scaled.numerator)).rjust(digits + 1, "0")
            text = sign + whole[: len(whole) - digits] + "." + whole[len(whole) - digits :] if digits else sign + whole + ".0"
            texts += [text, text + "1", text[:-1] + "0" if text[-1] != "0" else text]
for _ in range(1500):
    shape = random.choice(["unit", "normal", "short", "pixel", "scientific", "long"])
    if shape == "unit": texts.append(repr(random.random()))
    elif shape == "normal": texts.append(repr(random.gauss(0, 1)))
    elif shape == "short": texts.append("%.*f" % (random.randrange(1, 7), random.uniform(-100, 100)))
    elif shape == "pixel": texts.append(str(random.randrange(256)))
    elif shape == "scientific": texts.append("%.*e" % (random.randrange(0, 20), random.gauss(0, 1) * 10.0 ** random.randrange(-40, 30)))
    else: texts.append("".join(random.choice("0123456789") for _ in range(random.randrange(1, 30))).lstrip("0") or "0")
texts = [t for t in dict.fromkeys(texts)]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "numbers.jsonl"), "w") as out:
    for text in texts:
        out.write(json.dumps([text, "%016x" % nearest(text, 52, 11), "%08x" % nearest(text, 23, 8)]) + "\n")
