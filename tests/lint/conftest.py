def pytest_addoption(parser):
    parser.addoption("--program", help="the built releasemgr, whose --help is held against the README")
    parser.addoption("--libraries", help="a build directory, whose libraries' symbols are looked at")
