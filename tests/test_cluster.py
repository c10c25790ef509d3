"""Real schedulers and workers of Dask: the same bits, whoever dies, joins late or is unlike us."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from clusters import cluster, kill
from faulty import guilty, install, install_here
from runs import (
    COINS,
    KLSIM,
    built,
    environment,
    faulty,
    klsim,
    parts,
    tables,
    text,
    told,
    waited_for,
)

from sim.engines import Engine
from sim.store.parts import part_name

PATIENCE = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"}
QUICK = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
"""A scheduler that gives a block up with its first worker."""

KINDS = {
    "bags": {
        **COINS["bags"],
        "late": {
            "kind": "delayed_returns",
            "balls": {"red": 20, "blue": 30},
            "hold": 3,
            "sizes": [5, 8],
        },
    },
    "models": {**COINS["models"], "seen": {"kind": "drawn", "bag": COINS["bags"]["back"]}},
}
"""Bulk draws, a SimPy bag, and models of which only draws are known."""

NO_KLSIM = """
import sys
class Nobody:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sim":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Nobody())
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A scheduler with two workers that nobody kills; others may join and leave."""
    installed = install(tmp_path_factory.mktemp("installed"))
    with cluster(**QUICK) as started:
        for _ in range(2):
            started.add(nanny=True, paths=(installed,))
        yield started


def begun(config: Path, out: Path, engine: str, *paths: Path) -> subprocess.Popen[bytes]:
    command = [KLSIM, "run", config, "--out", out, "--engine", engine]
    env = environment(*paths)
    return subprocess.Popen(command, stdout=-3, stderr=subprocess.PIPE, env=env)


def other_numpy(folder: Path) -> Path:
    """Return what makes a worker say that it has another numpy."""
    numpy = folder / "other" / "numpy-9.9.9.dist-info"
    numpy.mkdir(parents=True)
    (numpy / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9.9\n")
    return numpy.parent


def quiet(config: Path, out: Path, name: str) -> dict[str, bytes]:
    """Return the tables of a run in one process."""
    assert klsim("run", config, "--out", out, "--engine", "serial").returncode == 0
    return tables(out / name)


def written(path: Path, plain: dict[str, object], **changes: object) -> Path:
    path.write_text(text(plain, **changes))
    return path


# The same bits


def test_two_workers_of_a_scheduler_leave_the_bytes_of_one_process(pair, tmp_path):
    config = written(tmp_path / "coins.yaml", COINS, **KINDS)
    done = klsim("run", config, "--out", tmp_path / "there", "--engine", pair.engine)
    assert done.returncode == 0, done.stderr
    assert "klsim" not in done.stderr  # progress, where it takes long
    assert tables(tmp_path / "there" / "coins") == quiet(config, tmp_path / "here", "coins")
    assert pair.state()["tasks"] == pair.state()["clients"] == []


def test_an_extension_sends_what_is_there_and_leaves_the_bytes_of_a_fresh_run(pair, tmp_path):
    config = written(tmp_path / "coins.yaml", COINS)
    quiet(config, tmp_path / "there", "coins")
    written(config, COINS, sizes=[5, 20, 30], trials=13_000)
    done = klsim("extend", config, "--out", tmp_path / "there", "--engine", pair.engine)
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "there" / "coins") == quiet(config, tmp_path / "here", "coins")


# Workers come and go


SLOW = faulty(400, one={"pause": 0.1}, two={"pause": 0.1})
"""A hundred blocks of a tenth of a second."""


def test_a_run_goes_on_after_workers_are_killed_and_late_ones_take_their_part(tmp_path):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "slow.yaml", SLOW, trials=120)
    folder = tmp_path / "there" / "faulty"
    with cluster() as started:
        first = started.add(paths=(installed,))
        run = begun(config, tmp_path / "there", started.engine, installed)
        assert waited_for(lambda: len(parts(folder)) >= 2)
        started.add(paths=(installed,))
        kill(first)
        assert waited_for(lambda: len(parts(folder)) >= 8)
        kill(started.workers[-1])  # nobody is left
        started.add(paths=(installed,))
        said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 0, said
    done = klsim("run", config, "--out", tmp_path / "here", "--workers", "1", paths=(installed,))
    assert done.returncode == 0, done.stderr
    assert tables(folder) == tables(tmp_path / "here" / "faulty")


def test_without_workers_it_waits_its_time_and_says_how_to_start_some(tmp_path):
    config = written(tmp_path / "coins.yaml", COINS)
    with cluster() as started:
        done = klsim("run", config, "--out", tmp_path, "--engine", started.engine)
        assert done.returncode == 1
        assert f"no worker there for 2 s; start some with: dask worker {started.address}" in (
            done.stderr
        )
        assert not parts(tmp_path / "coins")
        kill(started.scheduler)
        done = klsim("run", config, "--out", tmp_path, "--engine", started.engine)
    assert done.returncode == 1
    assert "no scheduler answers there" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scheduler_that_dies_is_named_and_the_run_goes_on_elsewhere(tmp_path):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "slow.yaml", SLOW)
    folder = tmp_path / "there" / "faulty"
    with cluster() as started:
        started.add(paths=(installed,))
        run = begun(config, tmp_path / "there", started.engine, installed)
        assert waited_for(lambda: len(parts(folder)) >= 3)
        kill(started.scheduler)
        said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 1
    [line] = told(said)
    assert line.startswith(f"klsim: {started.engine}: the scheduler is gone")
    assert "every finished block is kept" in line
    kept = parts(folder)
    assert 3 <= len(kept) < 100
    written(config, SLOW, trials=40)  # fewer: it would take long
    done = klsim("run", config, "--out", tmp_path / "here", "--workers", "1", paths=(installed,))
    assert done.returncode == 0, done.stderr
    here = parts(tmp_path / "here" / "faulty")
    assert all(kept[name] == here[name] for name in kept.keys() & here.keys())


def test_a_scheduler_that_no_longer_answers_is_not_waited_for_for_ever(tmp_path):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "slow.yaml", SLOW)
    with cluster() as started:
        started.add(paths=(installed,))
        run = begun(config, tmp_path, started.engine, installed)
        assert waited_for(lambda: len(parts(tmp_path / "faulty")) >= 2)
        started.scheduler.send_signal(signal.SIGSTOP)
        said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 1
    why = r"\((timed out after 2 s\.|TimeoutError)\)"  # as Dask says it, or Python
    assert re.search(rf"{re.escape(started.engine)}: the scheduler is gone {why}; every", said)
    assert "Traceback" not in said


def test_somebody_else_who_only_listens_is_not_waited_for_for_ever(tmp_path):
    config = written(tmp_path / "coins.yaml", COINS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        done = klsim("run", config, "--out", tmp_path, "--engine", f"dask://{address}")
    assert done.returncode == 1
    [line] = told(done.stderr)
    assert line.startswith(f"klsim: dask://{address}: no scheduler answers there")


@pytest.mark.parametrize(
    ("name", "value"), [("TIMEOUTS__CONNECT", "soon"), ("DEFAULT_SCHEME", "tls")]
)
def test_settings_of_dask_that_do_not_fit_are_told(name, value, tmp_path, monkeypatch):
    monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__{name}", value)
    config = written(tmp_path / "coins.yaml", COINS)
    done = klsim("run", config, "--out", tmp_path, "--engine", "dask://127.0.0.1:1")
    assert done.returncode == 1
    [line] = told(done.stderr)
    assert line.startswith("klsim: dask://127.0.0.1:1: ")


@pytest.mark.parametrize("name", ["dask", "distributed", "cloudpickle"])
def test_without_dask_it_says_what_to_install(name, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NO_KLSIM.replace('"sim"', repr(name)))
    config = written(tmp_path / "coins.yaml", COINS)
    done = klsim(
        *("run", config, "--out", tmp_path, "--engine", "dask://127.0.0.1:1"), paths=(tmp_path,)
    )
    assert done.returncode == 2
    assert "pip install 'klsim[dask]'" in done.stderr
    assert "Traceback" not in done.stderr


# Workers that are unlike


def test_a_worker_that_computes_otherwise_is_refused_and_the_others_do_the_work(pair, tmp_path):
    config = written(tmp_path / "coins.yaml", COINS, trials=40_000)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "sitecustomize.py").write_text(NO_KLSIM)
    strange = [
        pair.add(paths=(other_numpy(tmp_path),)),
        pair.add(paths=(tmp_path / "none",)),
    ]
    try:
        done = klsim("run", config, "--out", tmp_path / "there", "--engine", pair.engine)
    finally:
        for worker in strange:
            kill(worker)
    assert done.returncode == 0, done.stderr
    first, second = sorted(line.partition(" is not used: ")[2] for line in told(done.stderr))
    assert first == "klsim is not installed there, or not this version"
    assert second.startswith("numpy 9.9.9 there, ")
    assert tables(tmp_path / "there" / "coins") == quiet(config, tmp_path / "here", "coins")


def test_a_machine_with_other_arithmetic_is_refused_at_the_start_and_later(tmp_path):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "slow.yaml", SLOW, trials=160)
    with cluster() as started:
        other = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"}
        started.add(paths=(installed,), **other)
        done = klsim(
            "run", config, "--out", tmp_path, "--engine", started.engine, paths=(installed,)
        )
        if not done.returncode:
            pytest.skip("this processor has no second arithmetic")
        assert done.returncode == 1
        assert "no worker there computes the same bits as this process:" in done.stderr
        assert "numeric canary" in done.stderr
        assert "Traceback" not in done.stderr
        assert not parts(tmp_path / "faulty")
        kill(started.workers.pop())
        started.add(paths=(installed,))
        run = begun(config, tmp_path, started.engine, installed)
        assert waited_for(lambda: len(parts(tmp_path / "faulty")) >= 2)
        started.add(paths=(installed,), **other)
        said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 0, said
    assert said.count("is not used: numeric canary") == 1


def test_a_good_worker_that_comes_back_is_waited_for_though_a_refused_one_is_there(tmp_path):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "slow.yaml", SLOW, trials=120)
    with cluster() as started:
        started.add(paths=(other_numpy(tmp_path), installed))
        good = started.add(paths=(installed,))
        run = begun(config, tmp_path, started.engine, installed)
        assert waited_for(lambda: len(parts(tmp_path / "faulty")) >= 4)
        kill(good)
        started.add(paths=(installed,))
        said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 0, said
    assert said.count("is not used: numpy 9.9.9 there") == 1
    assert len(parts(tmp_path / "faulty")) == 30


# Blocks that kill, and people who stop


def test_a_block_that_kills_every_worker_is_named_and_the_others_are_kept(
    pair, tmp_path, monkeypatch
):
    installed = tmp_path / "installed"
    install_here(installed, monkeypatch)
    plain = faulty(80, good={}, bad={"fault": "kill", "share": 0.1})
    (first, *more) = guilty(built(plain), "bad")
    config = written(tmp_path / "bad.yaml", plain)
    done = klsim("run", config, "--out", tmp_path, "--engine", pair.engine, paths=(installed,))
    assert done.returncode == 1
    named = [f"klsim: block {index} of bag 'bad': every worker" for index in (first, *more)]
    [line] = told(done.stderr)
    assert line.startswith(tuple(named))
    kept = parts(tmp_path / "faulty")
    assert part_name("bad", first) not in kept
    assert len(kept) >= 10


def test_a_block_that_is_given_up_is_made_before_a_bag_runs_on_for_nothing(tmp_path):
    installed = install(tmp_path / "installed")
    plain = faulty(2000, one={"pause": 0.005}) | {"stop": {"bias_mcse": 1, "max_trials": 8000}}
    config = written(tmp_path / "until.yaml", plain)
    with cluster(**QUICK) as started:
        for _ in range(2):
            started.add(paths=(installed,))
        run = begun(config, tmp_path, started.engine, installed)
        assert waited_for(lambda: len(parts(tmp_path / "faulty")) >= 20)
        kill(started.workers[0])
        said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 0, said
    record = json.loads((tmp_path / "faulty" / "run.json").read_text())
    assert record["stop"]["bags"]["one"]["trials"] == 2000
    assert record["computed"] == 250


def test_a_block_that_raises_is_named_with_its_error(pair, tmp_path):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "bad.yaml", faulty(16, bad={"fault": "odd", "share": 1.0}))
    done = klsim("run", config, "--out", tmp_path, "--engine", pair.engine, paths=(installed,))
    assert done.returncode == 1
    assert "of bag 'bad' failed: Odd: the bag is torn; every finished" in done.stderr


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_run_that_is_stopped_leaves_nothing_on_the_scheduler(pair, tmp_path, signal_):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "slow.yaml", SLOW, trials=4000)
    run = begun(config, tmp_path, pair.engine, installed)
    assert waited_for(lambda: len(parts(tmp_path / "faulty")) >= 2)
    assert pair.state()["tasks"]
    run.send_signal(signal_)
    said = run.communicate(timeout=30)[1].decode()
    assert run.returncode == 130
    [line] = told(said)
    assert line.startswith("klsim: interrupted; every finished block is kept")
    state = pair.state()
    assert state["tasks"] == state["clients"] == []


def test_a_run_that_is_killed_leaves_nothing_on_the_scheduler_either(pair, tmp_path):
    installed = install(tmp_path / "installed")
    config = written(tmp_path / "slow.yaml", SLOW, trials=4000)
    run = begun(config, tmp_path, pair.engine, installed)
    assert waited_for(lambda: len(parts(tmp_path / "faulty")) >= 2)
    run.kill()
    run.communicate()
    assert waited_for(lambda: pair.state()["tasks"] == [])


# The name of the engine


@pytest.mark.parametrize(
    "name", ["dask://", "dask://host", "dask://h:99999", "dask://a b:1", "tcp://h:1", "cluster"]
)
def test_what_is_no_engine_is_said_so(name, tmp_path):
    config = written(tmp_path / "coins.yaml", COINS)
    done = klsim("run", config, "--out", tmp_path, "--engine", name)
    assert done.returncode == 2
    assert f"dask://HOST:PORT; got {name!r}" in done.stderr
    with pytest.raises(ValueError, match="expected an engine"):
        Engine(name)


def test_a_number_of_workers_is_not_for_those_of_a_scheduler(tmp_path):
    config = written(tmp_path / "coins.yaml", COINS)
    done = klsim(
        "run", config, "--out", tmp_path, "--engine", "dask://127.0.0.1:1", "--workers", "2"
    )
    assert done.returncode == 2
    assert "dask worker HOST:PORT" in done.stderr
