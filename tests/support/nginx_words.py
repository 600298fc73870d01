"""Reads nginx configuration back, by the rules of nginx's own reader (ngx_conf_read_token)."""

from __future__ import annotations

from dataclasses import dataclass, field

ESCAPES = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}


@dataclass
class Read:
    """A directive: its words as nginx sees them, and its block, if it is one."""

    words: list[str]
    body: list[Read] | None = None

    @property
    def name(self) -> str:
        return self.words[0]


@dataclass
class _Reader:
    text: str
    place: int = 0
    words: list[str] = field(default_factory=list)

    def lines(self, *, nested: bool = False) -> list[Read]:
        found: list[Read] = []
        words: list[str] = []
        while True:
            self._blank()
            if self.place >= len(self.text):
                assert not words, f"the text ends in the middle of {words}"
                assert not nested, "a block is not closed"
                return found
            letter = self.text[self.place]
            if letter in ";{}":
                self.place += 1
            if letter == ";":
                assert words, "an empty directive"
                found.append(Read(words))
                words = []
            elif letter == "{":
                assert words, "a block without a name"
                found.append(Read(words, self.lines(nested=True)))
                words = []
            elif letter == "}":
                assert nested, "one brace too many"
                assert not words, f"a block ends in the middle of {words}"
                return found
            else:
                words.append(self._word())

    def _blank(self) -> None:
        while self.place < len(self.text):
            if self.text[self.place] in " \t\r\n":
                self.place += 1
            elif self.text[self.place] == "#":
                self.place = self.text.find("\n", self.place) % (len(self.text) + 1)
            else:
                return

    def _word(self) -> str:
        quote = self.text[self.place] if self.text[self.place] in "\"'" else ""
        self.place += len(quote)
        letters: list[str] = []
        while True:
            assert self.place < len(self.text), "a word does not end"
            letter = self.text[self.place]
            if letter == "\\" and self.text[self.place + 1] in ESCAPES:
                letters.append(ESCAPES[self.text[self.place + 1]])
                self.place += 2
                continue
            if quote and letter == quote:
                self.place += 1
                assert self.text[self.place] in " \t\r\n;{)", "something follows a quote"
                return "".join(letters)
            brace_of_variable = letter == "{" and letters[-1:] == ["$"]
            if not quote and (letter in " \t\r\n;" or (letter == "{" and not brace_of_variable)):
                return "".join(letters)
            letters.append(letter)
            self.place += 1


def read(text: str) -> list[Read]:
    return _Reader(text).lines()


def every(lines: list[Read]) -> list[Read]:
    """All directives, those inside blocks too."""
    return [found for line in lines for found in (line, *every(line.body or []))]
