"""The line of the README that sends events to an MQTT broker, run against a real one."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BROKER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(
        BROKER is None or shutil.which("mosquitto_pub") is None,
        reason="needs the packages mosquitto and mosquitto-clients",
    ),
]


@pytest.fixture
def broker() -> Iterator[int]:
    """The port of a broker on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    assert BROKER
    with subprocess.Popen([BROKER, "-p", str(port)], stderr=subprocess.DEVNULL) as mosquitto:
        try:
            for _ in range(100):
                with socket.socket() as trial:
                    if trial.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield port
        finally:
            mosquitto.terminate()


def test_events_arrive_at_a_broker(broker: int, bundle_path: Path) -> None:
    (line,) = [line for line in README.read_text().splitlines() if "mosquitto_pub" in line]
    line = line.replace("edgecnn demo", f"{sys.executable} -m edgecnn demo").replace("MODEL", f"'{bundle_path}'")
    line = line.replace("--camera 0", "--camera synthetic --frames 20").replace("HOST", f"127.0.0.1 -p {broker}")
    subscribe = ["stdbuf", "-oL", "mosquitto_sub", "-p", str(broker), "-t", "#", "-C", "20", "-W", "60", "-d"]
    with subprocess.Popen(subscribe, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        for said in listener.stdout:
            if "SUBACK" in said:
                break
        subprocess.run(line, shell=True, check=True, timeout=60)
        events = [json.loads(said) for said in listener.stdout if said.startswith("{")]
    assert [event["number"] for event in events] == list(range(20))
