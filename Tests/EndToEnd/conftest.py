import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest

from certificates import Authority
from harness import BINARY, FIXTURES, Server


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"no server at {BINARY}: swift build -c release --product martlet-server, or set MARTLET_SERVER", returncode=2)


@pytest.fixture
def serve(tmp_path):
    """Starts servers for one test: `serve(models, flag=value)`. Each must still be alive, and leave cleanly, when the test ends."""
    servers = []

    def start(models=None, **flags):
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        servers.append(Server(folder, models, **flags))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            assert server.stop() == 0, server.log()[-4000:]


def fixture_names():
    return sorted(str(path.parent.relative_to(FIXTURES)) for path in FIXTURES.glob("**/1") if path.is_dir())


@pytest.fixture(scope="session")
def fleet(tmp_path_factory):
    """One server with every fixture, the one that cannot load among them."""
    server = Server(tmp_path_factory.mktemp("fleet"), {name: FIXTURES / name for name in fixture_names()}, max_num_load_retries=0)
    yield server
    code = server.stop()
    assert code == 0, server.log()[-4000:]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))
