"""Each law holds for the tree, and each can fail: it finds everything that is wrong with its own bad sample."""

import importlib
import pathlib

import pytest

from tree import Tree

LAWS = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("law_*.py"))


@pytest.mark.parametrize("name", LAWS)
def test_tree_keeps(name, request):
    law = importlib.import_module(name)
    tree = Tree(libraries=request.config.getoption("--libraries"), program=request.config.getoption("--program"))
    found = list(law.problems(tree))
    assert not found, law.__doc__ + "\n" + "\n".join(found)


@pytest.mark.parametrize("name", LAWS)
def test_law_can_fail(name, tmp_path):
    law = importlib.import_module(name)
    for path, text in law.BAD.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    program = tmp_path / "program"
    if program.exists():
        program.chmod(0o755)
    found = "\n".join(law.problems(Tree(tmp_path, program=program if program.exists() else None)))
    for expected in law.EXPECTED:
        assert expected in found
