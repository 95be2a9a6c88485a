"""A script that speaks the training protocol, told by its arguments what to do.

Each argument is one act: say:TEXT, raw:HEX, steps:N, err:TEXT, sleep:SECONDS, wait (for a line or the end of
stdin, and report it), deaf (ignore terminate), write:PATH (when stdin ends), exit:CODE, kill.
"""
# ruff: noqa: T201

import os
import signal
import sys
import time
from pathlib import Path

from infosam.reporting import to_json
from infosam.types import Preparing, Step


def act(kind: str, text: str) -> None:
    match kind:
        case "say":
            os.write(1, text.encode())
        case "raw":
            os.write(1, bytes.fromhex(text))
        case "steps":
            for number in range(1, int(text) + 1):
                print(to_json(Step(number, int(text), {"loss": 1 / number}, 1e-4, 0.01, 1.0)), flush=True)
        case "err":
            print(text, file=sys.stderr)
        case "sleep":
            time.sleep(float(text))
        case "wait":
            print(to_json(Preparing("heard " + repr(sys.stdin.readline()), 0, 1)), flush=True)
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "write":
            sys.stdin.read()
            Path(text).write_text("checkpoint")
        case "exit":
            sys.exit(int(text))
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)


for argument in sys.argv[1:]:
    act(*(argument.split(":", 1) if ":" in argument else (argument, "")))
