"""Runs a program at a terminal and answers what it asks.

terminal.py STEPS PROGRAM [ARGUMENTS]: STEPS is a JSON list of [text to wait for, keys to send]. Prints what the terminal
shows, and exits as the program does; with 124 where a step's text never came.
"""
import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

LIMIT_SECONDS = 60

steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
# Without a size, the questions break their lines after each character.
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
unseen = b""
has_ended = False
until = time.monotonic() + LIMIT_SECONDS
while not has_ended and time.monotonic() < until:
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            # Linux reports the end of a terminal's program as an error.
            chunk = b""
        has_ended = chunk == b""
        unseen += chunk
        os.write(1, chunk)
    if steps and steps[0][0].encode() in unseen:
        unseen = b""
        os.write(terminal, steps.pop(0)[1].encode())
if not has_ended:
    os.kill(pid, 9)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(124 if steps or not has_ended else status)
