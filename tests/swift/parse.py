"""Parses Swift with a grammar: `parse.py FILE...`. A FILE is a .swift file, or a Markdown page with ```swift blocks.

Prints a line for each syntax error, `FILE:LINE:COLUMN: what`, and at the end how many pieces it parsed. Fails if there is
a syntax error or a file without Swift. Does not check types and names: that takes a compiler.
"""

import re
import sys
from pathlib import Path

import tree_sitter_swift
from tree_sitter import Language, Parser

PARSER = Parser(Language(tree_sitter_swift.language()))
BLOCK = re.compile(r"^ *```swift\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def pieces_of(path):
    """Returns the pieces of Swift in a file, as (number of lines above, text)."""
    text = Path(path).read_text(encoding="utf-8")
    if path.endswith(".swift"):
        return [(0, text)]
    return [(text.count("\n", 0, block.start(1)), block.group(1)) for block in BLOCK.finditer(text)]


def problems_of(text):
    """Yields each syntax error as (line, column, what). Lines and columns count from 0."""
    nodes = [PARSER.parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_missing:
            yield *node.start_point, f"{node.type} is missing"
        elif node.is_error:
            yield *node.start_point, "not Swift: " + node.text.decode(errors="replace").split("\n")[0][:60]
        elif node.has_error:
            nodes.extend(reversed(node.children))


def main(paths):
    parsed, found = 0, 0
    for path in paths:
        pieces = pieces_of(path)
        if not pieces:
            print(f"{path}:1:1: the file has no Swift")
            found += 1
        for lines, text in pieces:
            parsed += 1
            for line, column, what in problems_of(text):
                print(f"{path}:{lines + line + 1}:{column + 1}: {what}")
                found += 1
    print(f"{parsed} parsed, {found} problems")
    return 1 if found or not parsed else 0


sys.exit(main(sys.argv[1:]))
