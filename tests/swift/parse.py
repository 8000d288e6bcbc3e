"""Parses Swift by its grammar: `parse.py FILE...`, each a .swift file, or Markdown whose ```swift blocks are parsed.

Prints a line for each place that is no Swift, `FILE:LINE:COLUMN: what`, and at last how many pieces it parsed. Fails if a place was
found, or a file without Swift. Types and names are a compiler's work, and not looked at.
"""

import re
import sys
from pathlib import Path

import tree_sitter_swift
from tree_sitter import Language, Parser

PARSER = Parser(Language(tree_sitter_swift.language()))
BLOCK = re.compile(r"^ *```swift\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def pieces_of(path):
    """The Swift of a file, as (lines above it, text)."""
    text = Path(path).read_text(encoding="utf-8")
    if path.endswith(".swift"):
        return [(0, text)]
    return [(text.count("\n", 0, block.start(1)), block.group(1)) for block in BLOCK.finditer(text)]


def problems_of(text):
    """What is no Swift, as (line, column, what), counted from 0."""
    nodes = [PARSER.parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_missing:
            yield *node.start_point, f"{node.type} is missing"
        elif node.is_error:
            yield *node.start_point, "no Swift: " + node.text.decode(errors="replace").split("\n")[0][:60]
        elif node.has_error:
            nodes.extend(reversed(node.children))


def main(paths):
    parsed, found = 0, 0
    for path in paths:
        pieces = pieces_of(path)
        if not pieces:
            print(f"{path}:1:1: there is no Swift in it")
            found += 1
        for lines, text in pieces:
            parsed += 1
            for line, column, what in problems_of(text):
                print(f"{path}:{lines + line + 1}:{column + 1}: {what}")
                found += 1
    print(f"{parsed} parsed, {found} problems")
    return 1 if found or not parsed else 0


sys.exit(main(sys.argv[1:]))
