"""What the laws look at: the tree's files, its C text without comments, and the house of meson.build."""

import functools
import pathlib
import re
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]

_COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def _blank(match):
    """Spaces of the same shape, so that line numbers stay true; quotes stay, their content goes."""
    text = match.group()
    blank = re.sub(r"[^\n]", " ", text)
    return text[0] + blank[1:-1] + text[-1] if text[0] in "\"'" else blank


def code_of(text):
    """C text without comments and without the content of strings; #include lines keep theirs."""
    return "\n".join(original if re.match(r"\s*#\s*include", original) else stripped
                     for original, stripped in zip(text.split("\n"),
                                                   _COMMENT_OR_STRING.sub(_blank, text).split("\n")))


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Tree:
    """A source tree: ours, or a bad sample that shows a law can fail."""

    def __init__(self, root=SOURCE, libraries=None, program=None):
        self.root = pathlib.Path(root)
        self.program = program  # the built releasemgr
        self.libraries = libraries and pathlib.Path(libraries)  # a build directory, with one archive a folder

    @functools.cached_property
    def files(self):
        """Every file that is kept in git, or would be."""
        if (self.root / ".git").exists():
            names = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
                                   cwd=self.root, check=True, capture_output=True, text=True).stdout.splitlines()
        else:
            names = [str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()]
        return sorted(name for name in set(names) if (self.root / name).is_file())

    def read(self, name):
        return (self.root / name).read_text(errors="replace")

    def c_files(self, below="releasemgr/"):
        return [f for f in self.files if f.startswith(below) and f.endswith((".c", ".h"))]

    @functools.cached_property
    def house(self):
        """The folders of meson.build, in order: {name: (folders below, libraries)}."""
        block = re.search(r"^house = \[\n(.*?)^\]", self.read("meson.build"), re.DOTALL | re.MULTILINE).group(1)
        rooms = {}
        for name, below, libraries in re.findall(r"\['(\w+)',\s*\[(.*?)\],\s*\[(.*?)\]\]", block, re.DOTALL):
            rooms[name] = (re.findall(r"'(\w+)'", below), re.findall(r"\w+", libraries))
        return rooms
