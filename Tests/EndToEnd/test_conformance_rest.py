"""The table of conformance.py over HTTP: on HTTP/1.1 and HTTP/2, in plain text and in TLS."""
import json

import pytest

from certificates import channel, write_config
from conformance import says
from conformance_rest import CASES
from harness import FIXTURES, Server, free_port
from rest import NAMES, Clients

MODELS = ["inference", "inference_v2", "half_plus_two", "half_plus_two_tf1", "signatures", "dtypes"]


@pytest.fixture(scope="module")
def clients(tmp_path_factory, authority):
    """Clients of a server for each set of flags that rows ask for. With TLS on the first port the second stays plain."""
    started = {}

    def get(flags):
        if flags not in started:
            folder = tmp_path_factory.mktemp("conformance")
            config = write_config(folder / "ssl.config", *authority.issue("server"))
            plain = free_port()
            server = Server(folder, {name: FIXTURES / name for name in MODELS}, ssl_config_file=config, rest_api_port=plain, **dict(flags))
            server.channel = channel(server, authority)
            for name in MODELS:
                server.wait(name)
            started[flags] = server, Clients(plain, server.port, authority)
        return started[flags][1]

    yield get
    for server, _ in started.values():
        assert server.stop() == 0, server.log()[-4000:]


@pytest.mark.parametrize("client", NAMES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_row(clients, case, client):
    rest = case.rest
    ask = getattr(clients(case.flags), client)
    # Twice: the second may run where the first did not.
    for _ in range(2):
        status, body = ask(rest.verb, rest.path, rest.body, rest.headers)
        answer = json.loads(body)
        assert status == rest.status, answer
        if rest.text is not None:
            assert list(answer) == ["error"] and says(rest.text, answer["error"]), answer
        if rest.answer:
            assert rest.answer(answer) in (None, True), answer
