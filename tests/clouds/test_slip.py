"""A foot that slips on the pedal: no service hears of it, none answers, and nobody waits."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.clouds.test_secrets import AGENT, SERVICES
from tests.daemon.rig import Daemon
from tests.daemon.test_tools_emulated import running
from voiced.emulators.script import Connection, Reply, Script
from voiced.emulators.services import emulator

MODE = 'Sessionmode = "push_to_talk"\n'
LOCAL = f'[[agent]]\nname = "local_voice"\n[agent.par]\nProvider = "local"\n{MODE}'


def test_a_short_press_without_a_word_is_no_turn_with_any_service(tmp_path: Path) -> None:
    script = Script(connection=[Connection(reply=[Reply(says="That was typed.")])])
    services = {name: emulator(name)(script) for name in SERVICES}
    with ExitStack() as stack:
        for service in services.values():
            stack.enter_context(running(service))
        agents = [
            AGENT.format(name=n, provider=n, url=s.url).replace("Autosession", f"{MODE}Autosession")
            for n, s in services.items()
        ]
        daemon = stack.enter_context(Daemon(tmp_path, "".join([*agents, LOCAL])))
        names = [*services, "local_voice"]
        for name in names:
            daemon.send(f"/{name}/par/Connect")
        for name in names:
            daemon.ask(f"/{name}/par/Sessionstate", wanted="armed", deadline_s=60)
        since = daemon.mark()
        for name in names:
            daemon.send(f"/{name}/par/Talk", 1)
            daemon.send(f"/{name}/par/Talk", 0)
        for name in names:
            said = daemon.wait(f"/{name}/cb/onStatus", "slip", since=since)
            assert "nobody spoke" in str(said.args[1])
        # Whatever a service would have made of it comes before the answer to what is typed now.
        for name in services:
            daemon.send(f"/{name}/par/Sendtext", "Hello?")
        for name in services:
            daemon.wait(f"/{name}/cb/onAssistantText", lambda text, final, _: final, since=since)
        told = daemon.client.messages[since:]
    for callback in ("onUserSpeechStarted", "onError"):
        assert [m for m in told if m.address.endswith(f"/cb/{callback}")] == []
    texts = [m.args[0] for m in told if m.address.endswith("/cb/onUserText")]
    assert set(texts) == {"Hello?"}
    for name, service in services.items():
        assert list(service.violations) == [], name
        assert [record.said for record in service.records] == [["That was typed."]], name
