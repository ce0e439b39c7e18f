#!/usr/bin/env python3
"""Writes json_powers.h: the powers of ten that decimal numbers are multiplied with.

Each is a mantissa of 128 bits with its highest bit set, cut off and not rounded, as the method of Eisel and Lemire wants
it (Daniel Lemire, "Number parsing at a gigabyte per second", 2021)."""
import os

LOWEST, HIGHEST = -348, 347
NEAR_LOWEST, NEAR_HIGHEST = -64, 38

def mantissa(e):
    if e >= 0:
        value = 10**e
        shift = value.bit_length() - 128
        return value >> shift if shift >= 0 else value << -shift
    divisor = 10**-e
    shift = divisor.bit_length() + 128
    quotient = (1 << shift) // divisor
    return quotient >> (quotient.bit_length() - 128)

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "json_powers.h"), "w") as out:
    out.write("// Written by make_json_powers.py: mantissas of powers of ten, high word first.\n")
    out.write("#pragma once\n#include <stdint.h>\n\n")
    out.write(f"#define POWERS_LOWEST ({LOWEST})\n#define POWERS_HIGHEST {HIGHEST}\n\n")
    out.write(f"static const uint64_t powers_of_ten[{HIGHEST - LOWEST + 1}][2] = {{\n")
    for e in range(LOWEST, HIGHEST + 1):
        m = mantissa(e)
        out.write(f"    {{0x{m >> 64:016x}, 0x{m & (1 << 64) - 1:016x}}},  // 1e{e}\n")
    out.write("};\n\n")
    # As sums of two doubles, for arithmetic in pairs of doubles.
    from fractions import Fraction
    exact = {e: Fraction(10) ** e for e in range(NEAR_LOWEST, NEAR_HIGHEST + 1)}
    out.write(f"#define NEAR_LOWEST ({NEAR_LOWEST})\n#define NEAR_HIGHEST {NEAR_HIGHEST}\n\n")
    for name, value in [("head", lambda f: float(f)), ("tail", lambda f: float(f - Fraction(float(f))))]:
        out.write(f"static const double near_{name}[{NEAR_HIGHEST - NEAR_LOWEST + 1}] = {{\n")
        for e, f in exact.items():
            out.write(f"    {value(f).hex()},  // 1e{e}\n")
        out.write("};\n")
