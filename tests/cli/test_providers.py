"""`voiced providers`: what is missing, whose key, what a minute costs, where it is billed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.rig import ROOT
from voiced import cli
from voiced.cli.provider_page import filled, price_list
from voiced.cli.providers import catalogue
from voiced.errors import ExitCode
from voiced.providers import prices

CLOUDS = {
    "gemini_live": ("gemini", "https://aistudio.google.com/usage"),
    "openai_realtime": ("openai", "https://platform.openai.com/usage"),
    "xai_grok": ("xai", "https://console.x.ai/usage"),
    "hume_evi": ("hume", "https://beta.hume.ai/settings/billing"),
}


@pytest.fixture(autouse=True)
def prices_of_the_file():
    yield
    prices.overrule({})


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for server in ("GEMINI", "OPENAI", "XAI", "HUME"):
        monkeypatch.delenv(f"{server}_API_KEY", raising=False)
    file = tmp_path / "voiced.toml"
    file.write_text(
        f'[storage]\nstate_dir = "{tmp_path}/state"\n'
        '[prices.openai_realtime."gpt-realtime-2.1"]\naudio_in = 16.0\n'
        '[prices.gemini_live."gemini-9"]\naudio_in = 1.0\naudio_out = 2.0\n'
    )
    keys = tmp_path / "state" / "keys"
    keys.mkdir(parents=True)
    (keys / "openai").write_text("a-planted-key-0123456789")
    (keys / "openai").chmod(0o600)
    return file


def test_a_person_sees_key_price_and_billing(config: Path, capsys) -> None:
    assert cli.main(["providers", "--config", str(config)]) == ExitCode.DONE
    told = capsys.readouterr().out
    parts = dict.fromkeys(CLOUDS, "")
    name = ""
    for line in told.splitlines():
        name = name if line.startswith(" ") else line.split()[0]
        parts[name] = parts.get(name, "") + line + "\n"
    assert "openai, from its file" in parts["openai_realtime"]
    assert "none: voiced key set gemini" in parts["gemini_live"]
    # 16 USD for a million tokens, 600 a minute.
    assert "~in 0.01 USD/min out 0.077 USD/min" in parts["openai_realtime"]
    for provider, (_, billing) in CLOUDS.items():
        assert billing in parts[provider]
    assert "planted" not in told


def test_a_program_gets_the_same(config: Path, capsys) -> None:
    assert cli.main(["providers", "--json", "--config", str(config)]) == ExitCode.DONE
    report = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    for provider, (server, billing) in CLOUDS.items():
        assert (report[provider]["key_server"], report[provider]["billing_url"]) == (
            server, billing,
        )  # fmt: skip
        assert report[provider]["pricing_url"].startswith("https://")
    assert report["openai_realtime"]["key_source"] == "file"
    assert report["gemini_live"]["key_source"] == ""
    assert report["local"]["key_server"] == ""


def test_a_price_of_ones_own_is_on_the_card_for_models_that_no_menu_has(config: Path) -> None:
    cards = {card.name: card for card in catalogue(str(config))}
    priced = cards["gemini_live"].pricing["gemini-9"]
    assert priced.output_usd_min == pytest.approx(2e-6 * 25 * 60)
    assert "whisper-1" not in cards["openai_realtime"].pricing


def test_every_price_of_the_file_is_on_the_page_with_its_doubt() -> None:
    told = price_list("openai_realtime")
    assert "| `gpt-realtime-2.1` | 4 / 0.4 / 24 | 32 / 0.4 / 64 | 5 / 0.5 |" in told
    assert "2026-11-22" in told
    (doubtful,) = [line for line in told.splitlines() if "unverified" in line]
    assert "gpt-4o-mini-transcribe" in doubtful
    assert "service ends 2027-01-20, use gpt-realtime-2.1." in told


def test_only_the_parts_of_the_page_are_written_anew() -> None:
    page = "by hand\n<!-- prices hume_evi -->\nold\n<!-- end -->\nmore\n<!-- facts no_one -->\n"
    page += "old\n<!-- end -->\nby hand"
    fresh = filled(page, {})
    assert fresh.startswith("by hand\n<!-- prices hume_evi -->\n| | USD")
    assert fresh.endswith("<!-- end -->\nmore\n<!-- facts no_one -->\n<!-- end -->\nby hand")
    assert filled(fresh, {}) == fresh


def test_the_page_is_fresh() -> None:
    page = ROOT / "docs" / "providers.md"
    done = subprocess.run(
        [sys.executable, "-m", "voiced.cli", "providers", "--markdown", str(page)],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == page.read_text(encoding="utf-8"), "run make docs"
