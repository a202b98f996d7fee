"""Issue texts that somebody may send to hurt us, each as long as GitHub takes."""

from __future__ import annotations

from app.core.text import MAX_BODY

_PIECES = {
    "one letter": "a",
    "one word a line": "crash\n",
    "blank lines": "\n",
    "carriage returns": "\r",
    "spaces": " ",
    "tabs and breaks": "\t\r\n",
    "NUL": "\x00a",
    "control characters": "\x07\x1b[31m",
    "emoji": "👩‍👩‍👧‍👦",
    "flags": "🇩🇪",
    "accents upon accents": "e\u0301\u0302\u0303",
    "right to left": "تعطل التطبيق ",
    "overrides of direction": "\u202eexe.\u2066gpj\u2069",
    "no spaces at all": "漢字",
    "open comments": "<!--",
    "comments": "<!-- x -->",
    "ends of comments": "-->",
    "dashes": "<!-" + "-" * 60,
    "quotes within quotes": "> ",
    "lists within lists": "- ",
    "numbered within numbered": "1. ",
    "open links": "[",
    "nested links": "[a](",
    "images": "![",
    "emphasis": "*a_",
    "stars": "**a ",
    "fences": "```\n",
    "tildes": "~~~~\n",
    "backticks": "`",
    "headings": "# a\n",
    "headings on one line": " ### A",
    "tables": "|a|b\n|-|-\n",
    "check boxes": "- [ ] a\n",
    "errors": "Error: 0x1f failed at 0x2e\n",
    "numbers": "1234567890",
    "sentences": "a. ",
    "addresses": "https://a/?b=c&",
    "mentions": "@all ",
    "tags": "<details><summary>",
    "entities": "&#x202e;",
    "pre": "<pre>\n",
    "commands": "/severity high\n",
    "slashes": "/",
    "dimensions": "severity (low, high):\n",
    "special tokens": "<|im_start|></s>[INST]",
    "YAML aliases": "a: &a [*a]\n",
    "brackets": "[{",
}

# Name -> a body of 65,536 characters.
BODIES = {name: (piece * MAX_BODY)[:MAX_BODY] for name, piece in _PIECES.items()}
# Each level one deeper than the one before.
BODIES["quotes ever deeper"] = "\n".join(">" * n + " a" for n in range(360))[:MAX_BODY]
BODIES["lists ever deeper"] = "\n".join(" " * n + "- a" for n in range(360))[:MAX_BODY]
BODIES["links ever deeper"] = ("[" * 32768 + "](x)" * 8192)[:MAX_BODY]
