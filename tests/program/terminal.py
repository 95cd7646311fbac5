"""A terminal with a person at it, and a shell that has one job.

terminal.py COLUMNS STEPS -- COMMAND…

STEPS are JSON: each waits until a text has been shown since the step before, and then does something: `type` keys, send a `signal`,
or `continue` a job that has stopped, as `fg` does, or as `bg` does where it is "behind". What was shown, and how the terminal was at each step, comes out as JSON.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

# Far beyond what any step takes.
LIMIT = 300


def shell(terminal, command, orders, told):
    """The leader of the session: has the job in the foreground, and tells when it stops or ends."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(terminal, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        for stream in range(3):
            os.dup2(terminal, stream)
        os.execvp(command[0], command)
    os.write(told, b"%d\n" % job)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            os.write(told, b"ended %d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
        os.tcsetpgrp(terminal, os.getpid())
        os.write(told, b"stopped\n")
        if os.read(orders, 1) == b"c":
            os.tcsetpgrp(terminal, job)
        else:
            os.write(terminal, b"prompt> ")
        os.killpg(job, signal.SIGCONT)


def main():
    columns, steps, command = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[4:]
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    (orders, order), (hear, told) = os.pipe(), os.pipe()
    if os.fork() == 0:
        shell(terminal, command, orders, told)
    os.close(told)
    shown, notes, modes, seen, deadline = b"", b"", [], 0, time.monotonic() + LIMIT

    def is_raw():
        flags = termios.tcgetattr(terminal)[3]
        return not flags & termios.ICANON and not flags & termios.ECHO

    while b"ended" not in notes:
        if time.monotonic() > deadline:
            break
        if steps:
            step = steps[0]
            at = shown.find(step["until"].encode(), seen)
            has_come = at >= 0 and (not step.get("stopped") or b"stopped" in notes)
            if has_come:
                seen = at + len(step["until"].encode())
                modes.append(is_raw())
                job = int(notes.split(b"\n")[0])
                if "type" in step:
                    os.write(master, step["type"].encode())
                if "signal" in step:
                    os.kill(job, getattr(signal, step["signal"]))
                if "continue" in step:
                    os.write(order, b"b" if step["continue"] == "behind" else b"c")
                del steps[0]
                continue
        for ready in select.select([master, hear], [], [], 1)[0]:
            if ready == master:
                shown += os.read(master, 65536)
            else:
                notes += os.read(hear, 4096)
    while select.select([master], [], [], 0.2)[0]:
        shown += os.read(master, 65536)
    modes.append(is_raw())
    code = [int(line.split()[1]) for line in notes.split(b"\n") if line.startswith(b"ended")]
    result = {
        "shown": shown.decode("utf-8", "replace"),
        "raw": modes,
        "left": steps,
        "code": code[0] if code else None,
    }
    json.dump(result, sys.stdout)


main()
