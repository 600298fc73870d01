"""Names of files: those that build tools make of a digest, and those that people choose."""

from __future__ import annotations

BUILT = (
    "app.0123456789ab.css",  # Django
    "logo.55e7cbb9ba48.png",
    "main.8e0d62a0.chunk.js",  # webpack
    "main.3f2504e04f8964d41a5c.js.map",
    "index.ce2b5ea1.svg",  # Parcel
    "main-app-0c3f8a1b2d4e5f60.js",  # Next.js
    "7e7d96b1e6991756.css",
    "e4af272ccee01ff0-s.p.woff2",
    "index-B3f_9aZk.css",  # Vite
    "index-C8z1mQpT.js.map",
    "hoisted.DR0vMmPy.js",  # Astro
    "main-5QWERTY2.js",  # Angular, esbuild
    "style.min.6d1b7a0c" + "0f" * 28 + ".css",  # Hugo
)
CHOSEN = (
    "book-Chapter1.html",
    "book.1234abcd.html",
    "cv-JohnDoe1.pdf",
    "lesson-Chapter1.js",
    "logo-White-2x.png",
    "app-V2-final.js",
    "photo-Q1Review.jpg",
    "house-facade01.jpg",
    "plan-20240101a.pdf",
    "call-12345678.mp3",
    "deadbeef.css",
    "app-carousel.js",
)
PAGES = ("book-Chapter1",)
"""Asked for without the ending that their file has."""
