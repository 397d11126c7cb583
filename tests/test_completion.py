"""Completion, by the shells themselves where they are here."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_cli import run

pytestmark = pytest.mark.native("starts shells")
_BASH = """
eval "$(edgecnn completion bash)"
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_edgecnn_completion edgecnn
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
_ZSH = """
zmodload zsh/zpty
zpty shell "zsh -f -i"
zpty -w shell 'PS1=; autoload -U compinit && compinit -u -D; eval "$(edgecnn completion zsh)"; print REA""DY'
zpty -r -m shell said '*READY*'
zpty -w -n shell {typed}$'\\t'
zpty -r -m shell said {expected}  # waits for it
"""


@pytest.fixture
def path_with_edgecnn(tmp_path: Path) -> str:
    (tmp_path / "bin").mkdir()
    (script := tmp_path / "bin" / "edgecnn").write_text(
        f"#!{sys.executable}\nimport sys\nfrom edgecnn.cli import main\nsys.argv[0] = 'edgecnn'\nmain()\n"
    )
    script.chmod(0o755)
    return f"{script.parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["edgecnn", "ev"], ["evaluate"]),
        (["edgecnn", "build", "im"], ["imagenet"]),
        (["edgecnn", "build", "mi"], ["mine.py"]),
        (["edgecnn", "demo", "m.tflite", "--view", "w"], ["web", "window"]),
        (["edgecnn", "demo", "m.tflite", "--camera", "syn"], ["synthetic"]),
        (["edgecnn", "bench", "m.tflite", "--target", "tensorflow,lit"], ["tensorflow,litert"]),
        (["edgecnn", "explain", "m.tflite", "--method", ""], ["rise", "occlusion", "grad-cam"]),
        (["edgecnn", "show", "--j"], ["--json"]),
    ],
)
def test_bash_completes(typed: list[str], offered: list[str], tmp_path: Path, path_with_edgecnn: str) -> None:
    (tmp_path / "mine.py").touch()
    program = _BASH.format(words=" ".join(shlex.quote(word) for word in typed))
    environment = {**os.environ, "PATH": path_with_edgecnn, "PYTHONPATH": str(Path(__file__).parent.parent)}
    completed = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert completed.stdout.split() == offered
    assert completed.stderr == ""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("edgecnn ev", ["evaluate"]),
        ("edgecnn build im", ["imagenet"]),
        ("edgecnn build mi", ["mine.py"]),
        ("edgecnn demo m.tflite --view w", ["web", "window"]),
        ("edgecnn show --j", ["--json"]),
    ],
)
@pytest.mark.skipif(shutil.which("fish") is None, reason="apt install --no-install-recommends fish")
def test_fish_completes(typed: str, offered: list[str], tmp_path: Path, path_with_edgecnn: str) -> None:
    (tmp_path / "mine.py").touch()
    program = f"edgecnn completion fish | source; complete -C {shlex.quote(typed)}"
    environment = {**os.environ, "PATH": path_with_edgecnn, "PYTHONPATH": str(Path(__file__).parent.parent)}
    environment |= {"HOME": str(tmp_path), "TERM": "dumb"}
    completed = subprocess.run(
        ["fish", "--no-config", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert [line.split("\t")[0] for line in completed.stdout.splitlines()] == offered


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("edgecnn ev", "evaluate"), ("edgecnn build mi", "mine.py"), ("edgecnn show --j", "--json")],
)
@pytest.mark.skipif(shutil.which("zsh") is None, reason="apt install --no-install-recommends zsh")
def test_zsh_completes(typed: str, expected: str, tmp_path: Path, path_with_edgecnn: str) -> None:
    (tmp_path / "mine.py").touch()
    program = _ZSH.format(typed=shlex.quote(typed), expected=shlex.quote(f"*{typed.rpartition(' ')[0]} {expected}*"))
    environment = {**os.environ, "PATH": path_with_edgecnn, "PYTHONPATH": str(Path(__file__).parent.parent)}
    environment |= {"HOME": str(tmp_path), "TERM": "dumb"}
    subprocess.run(["zsh", "-f", "-c", program], check=True, cwd=tmp_path, env=environment, timeout=30)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_reads_what_is_printed(shell: str) -> None:
    program = run("completion", shell)
    assert program.exit_code == 0
    assert "_EDGECNN_COMPLETE" in program.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=program.stdout, text=True, check=True, capture_output=True)


def test_another_shell_is_refused() -> None:
    assert run("completion", "powershell").exit_code == 2
