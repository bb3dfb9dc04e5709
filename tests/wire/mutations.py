"""Bytes that were damaged in the ways in which bytes are damaged, from a fixed seed."""

from collections.abc import Iterator
from random import Random

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(raw: bytes, random: Random) -> bytes:
    """One to four changes: flipped bits, other bytes, extreme numbers, cut, doubled, moved."""
    damaged = bytearray(raw)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        _damage(damaged, random)
    return bytes(damaged)


def _damage(raw: bytearray, random: Random) -> None:
    at = random.randrange(len(raw) + 1)
    end = min(len(raw), at + random.randrange(1, 20))
    way = random.randrange(8)
    if way == 0 and at < len(raw):
        raw[at] ^= 1 << random.randrange(8)
    elif way == 1 and at < len(raw):
        raw[at] = random.randrange(256)
    elif way == 2:
        size = random.choice((1, 2, 4))
        raw[at : at + size] = (random.choice(EXTREMES) & (256**size - 1)).to_bytes(size, "little")
    elif way == 3:
        del raw[at:end]
    elif way == 4:
        raw[at:at] = raw[at:end]
    elif way == 5:
        raw[at:at] = random.randbytes(random.randrange(1, 5))
    elif way == 6:
        del raw[at:]
    else:
        start = random.randrange(len(raw) + 1)
        raw[start:start] = raw[at:end]


def endless(seeds: list[bytes], random: Random) -> Iterator[bytes]:
    """The seeds in turn, damaged each time in another way."""
    while True:
        for seed in seeds:
            yield mutated(seed, random)
