"""Starts the daemons for a test, on free ports of the loopback, in a folder of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

# Seconds until a test gives up waiting for what must come.
PATIENCE = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """One process and its log."""

    def __init__(self, words, log):
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                words, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def await_text(self, wanted):
        end = time.monotonic() + PATIENCE
        while wanted not in self.text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"no '{wanted}' in {self.log}:\n{self.text()}")
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Cluster:
    """One coordinator node and one participant with two key-value shards."""

    def __init__(self, build_dir):
        self.folder = tempfile.mkdtemp(prefix="concordat-contract-")
        self.client_port = free_port()
        self.participant_port = free_port()
        self.daemons = []
        address = f"127.0.0.1:{self.client_port}"
        self.node = self._start("node", [
            os.path.join(build_dir, "coordinator/daemon/concordatd"), "--id", "1",
            "--members", f"1=127.0.0.1:{free_port()}/{address}",
            "--data-dir", os.path.join(self.folder, "data"),
            "--segment-bytes", "4194304"], "info ready node=1")
        self.participant = self._start("rm", [
            os.path.join(build_dir, "participant/daemon/concordat-rm"),
            "--listen", f"127.0.0.1:{self.participant_port}",
            "--coordinators", address,
            "--resource", f"a=kv://{self.folder}/a",
            "--resource", f"b=kv://{self.folder}/b"], "ready on")

    def _start(self, name, words, line):
        daemon = Daemon(words, os.path.join(self.folder, name + ".log"))
        self.daemons.append(daemon)
        daemon.await_text(line)
        return daemon

    def stop(self):
        for daemon in self.daemons:
            daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
