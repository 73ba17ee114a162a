"""Options and fixtures of the crash tests. They strike the plain build: a sanitizer would have to be loaded before the
shim, and finds nothing in a process that is killed."""

import pathlib
import random
import sys
import zlib

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "integration"), str(pathlib.Path(__file__).resolve().parent)]

import servers  # noqa: E402
import world  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--install-tree", help="what `meson install --destdir` wrote")
    parser.addoption("--build", help="the build directory")
    parser.addoption("--full", action="store_true", help="larger counts")
    parser.addoption("--seed", type=int, help="what chance shall choose, as an earlier run printed it")


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--full")


@pytest.fixture
def seed(request, full):
    """By chance with --full only: what a chance point finds wrong is no fault of the change that CI looks at."""
    given = request.config.getoption("--seed")
    if given is not None:
        return given
    return random.randrange(1 << 32) if full else zlib.crc32(request.node.name.encode())


def _path(request, option):
    value = request.config.getoption(option)
    if not value:
        pytest.exit(f"run these through tests/run, or give {option}", returncode=2)
    return pathlib.Path(value).resolve()


@pytest.fixture(scope="session")
def build_directory(request):
    return _path(request, "--build")


@pytest.fixture(scope="session")
def install_tree(request):
    return _path(request, "--install-tree")


def _opened(kind, install_tree, tmp_path_factory, *layers):
    w = world.open_world([install_tree, *layers], tmp_path_factory.mktemp("world"), kind)
    try:
        yield w
    finally:
        w.host.close()


@pytest.fixture(scope="module")
def struck(install_tree, tmp_path_factory):
    yield from _opened(world.World, install_tree, tmp_path_factory)


@pytest.fixture(scope="module")
def handing_over(install_tree, tmp_path_factory):
    yield from _opened(world.HandoverWorld, install_tree, tmp_path_factory)


@pytest.fixture(scope="module")
def closed(install_tree, tmp_path_factory):
    yield from _opened(world.ClosedWorld, install_tree, tmp_path_factory)


@pytest.fixture(scope="module")
def served(install_tree, tmp_path_factory):
    database = servers.make_database_layer(tmp_path_factory.mktemp("database"))
    yield from _opened(world.ServedWorld, install_tree, tmp_path_factory, database)
