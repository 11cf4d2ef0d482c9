"""`openstack` or `baremetal`, answered by warm_openstack.py.

Hands over arguments, environment, directory and streams; ends with the command's exit code.

python -I -S warm_command.py SOCKET PROGRAM words…
"""

import array
import json
import os
import socket
import struct
import sys

LENGTH = struct.Struct("!I")
BROKEN = 70

asked = {"program": sys.argv[2], "words": sys.argv[3:], "environment": dict(os.environ), "directory": os.getcwd()}  # noqa: PTH109
body = json.dumps(asked).encode()
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    streams = array.array("i", [0, 1, 2])
    connection.sendmsg([LENGTH.pack(len(body))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    connection.sendall(body)
    answer = connection.recv(LENGTH.size)
sys.exit(LENGTH.unpack(answer)[0] if len(answer) == LENGTH.size else BROKEN)
