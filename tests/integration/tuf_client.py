"""A directory of trusted metadata, and `releasemgr tuf` that works on it as any host would."""

import os
import subprocess

# A program without sanitizers, for other times: AddressSanitizer and a preloaded clock hang each other.
PLAIN = os.environ.get("RELEASEMGR_PLAIN")


def at(program, *when):
    """The command that runs @program by a clock of its own, as faketime(1) takes it."""
    return ["faketime", *when, PLAIN or program]


class Client:
    def __init__(self, program, directory, url):
        self.command, self.url = [program], url
        self.metadata, self.targets, self.root = directory / "metadata", directory / "targets", directory / "first-root.json"
        self.targets.mkdir(parents=True)

    def run(self, *arguments):
        return subprocess.run([*self.command, "tuf", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)

    def init(self, root):
        self.root.write_bytes(root)
        return self.run("init", "--metadata-dir", str(self.metadata), str(self.root))

    def refresh(self, *options):
        return self.run("refresh", "--metadata-dir", str(self.metadata), "--metadata-url", f"{self.url}/metadata", *options)

    def download(self, *names):
        return self.run("download", "--metadata-dir", str(self.metadata), "--metadata-url", f"{self.url}/metadata",
                        *(word for name in names for word in ("--target-name", name)), "--target-dir", str(self.targets),
                        "--target-base-url", f"{self.url}/targets")

    def kept(self):
        return sorted(file.name for file in self.metadata.iterdir() if file.name != ".lock")

    def downloaded(self):
        return {file.name: file.read_bytes() for file in self.targets.iterdir()}
