"""Fixtures: throwaway hosts, by scope.

host       a bare host for the module, with the program installed
shop       a Shop on a host of its own, for one test: servers run, 1.0.0 is published and active
"""

import pathlib
import shutil
import subprocess
import tempfile

import pytest

import shop as shop_module
from shop import build
from host import Host


def pytest_addoption(parser):
    parser.addoption("--install-tree", help="what `meson install --destdir` wrote")
    parser.addoption("--cache", help="where prepared layers are kept between runs")
    parser.addoption("--full", action="store_true", help="larger counts")


def make_sanitizer_layer(layer):
    """What sanitized programs are told when systemd starts them; others do not look at it."""
    settings = " ".join(f'"{key}={value}"' for key, value in build.SANITIZER_ENVIRONMENT.items())
    # the pull unit's system call filter does not let the leak sanitizer look at its own process
    sandboxed = build.SANITIZER_ENVIRONMENT["ASAN_OPTIONS"] + ":detect_leaks=0"
    for path, text in {
        "system.conf.d/sanitizer.conf": f"[Manager]\nDefaultEnvironment={settings}\n",
        "system/releasemgr-pull@.service.d/sanitizer.conf": f"[Service]\nEnvironment=ASAN_OPTIONS={sandboxed}\n",
    }.items():
        file = layer / "etc/systemd" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return layer


@pytest.fixture(scope="session")
def layers(request):
    tree = request.config.getoption("--install-tree")
    if not tree:
        pytest.exit("run these through tests/run, or give --install-tree", returncode=2)
    cache = pathlib.Path(request.config.getoption("--cache") or tempfile.mkdtemp(prefix="releasemgr-cache-"))
    return [*shop_module.make_layers(cache, pathlib.Path(tree)), make_sanitizer_layer(cache / "sanitizer")]


@pytest.fixture(scope="session")
def program(request):
    """The program as installed, for tests that need no host."""
    return str(pathlib.Path(request.config.getoption("--install-tree")).resolve() / "usr/local/bin/releasemgr")


@pytest.fixture(scope="session")
def npm(request):
    """Installs a folder of packages, as the lock file in it names them, and returns where."""
    def install(name):
        directory = pathlib.Path(request.config.getoption("--cache")) / name
        shutil.copytree(pathlib.Path(__file__).parent / name, directory, dirs_exist_ok=True)
        if not (directory / "node_modules" / ".package-lock.json").exists():
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=directory, check=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        return directory
    return install


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--full")


@pytest.fixture(scope="module")
def host(layers):
    with Host(layers) as h:
        yield h


def _no_findings(host):
    """What ran in units spoke to the journal: a sanitizer too."""
    journal = host.journal()
    for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
        assert mark not in journal, journal[-4000:]


@pytest.fixture
def bare_shop(layers):
    """A Shop whose servers run; nothing is published or set up."""
    with Host(layers) as h:
        yield shop_module.Shop(h).start_servers()
        if h.running:
            _no_findings(h)


@pytest.fixture
def shop(bare_shop):
    bare_shop.make_repository()
    bare_shop.publish("1.0.0")
    bare_shop.set_up()
    bare_shop.releasemgr("activate", "1.0.0")
    return bare_shop
