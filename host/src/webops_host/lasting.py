"""Which files visitors may keep for ever: those with a digest of their content in their name, as build tools write it.

A name that a person chose must never be taken for one, because nobody could be shown another file under it for a year.
A page is never one: it is what leads to the newer files.
"""

from __future__ import annotations

FOREVER = "public, max-age=31536000, immutable"
BUILT = r"\.(?:css|m?js|wasm|woff2?)(?:\.map)?$"
"""What build tools make and people seldom name."""
HEXADECIMAL = (
    r"[.-](?!(?:19|20)\d{6})(?=[a-f]{0,127}\d{1,127}[a-f])[0-9a-f]{8,128}"
    r"(?:\.[a-z0-9]{1,10}){0,2}\.(?!x?html?$)[a-z0-9]{1,10}$"
)
"""Django, webpack, Parcel, Next.js, Gatsby, Hugo. No date, no number, no word with a number after it."""
WHOLE = rf"(?:^|/)(?=[a-f]{{0,15}}\d{{1,15}}[a-f])[0-9a-f]{{16,128}}(?:-s)?(?:\.p)?{BUILT}"
"""Next.js, which gives some files no other name."""
MIXED = rf"[.-](?=\w{{0,6}}\d[A-Za-z_])(?=\w{{0,7}}[A-Z])\w{{8}}{BUILT}"
"""Vite, Rollup, Astro, esbuild, Angular: 8 signs of many kinds. A digit before the end tells them from words."""
DIGEST = f"{HEXADECIMAL}|{WHOLE}|{MIXED}"
"""Of a path or the name of a file, for Python (`re.ASCII`) and nginx alike. No part of it goes on without end: a long
address of nothing but dashes takes no longer than another."""
