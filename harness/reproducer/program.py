"""The parts of a reproducer; a program has those that its steps need."""

import ctypes
import errno
import fcntl
import ipaddress
import itertools
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

# States in the kernel's tables (include/net/tcp_states.h).
TIME_WAIT = 6
CLOSED = 7
CLOSE_WAIT = 8
LISTEN = 10

# The ends of a connection that errors of a read tell of.
ENDS = {errno.ECONNRESET: "reset", errno.ETIMEDOUT: "timeout"}


class Broken(Exception):
    """The server broke a promise."""


class Unable(Exception):
    """This program could not do its part."""


def time_for(within):
    """Return how long to wait; where no limit is written, far longer."""
    return LOOK_ON_FOR if within is None else within


def not_in_time(within, what):
    """Return what it means that something has not come in time.

    Where no limit is written, it may come yet, and nothing is proven.
    """
    if within is None:
        return Unable(
            f"{what}, which proves nothing where no limit is written"
        )
    return Broken(what)


class Required:
    """What must hold for the case to show anything."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is Broken:
            raise Unable(f"the case shows nothing here: {error}") from None


class NotBefore:
    """What comes to a client sooner than so many seconds is wrong.

    They begin with what the client did last.
    """

    def __init__(self, client, seconds):
        self.client = client
        self.seconds = seconds

    def __enter__(self):
        earliest = self.client.acted + self.seconds
        self.client.due = max(self.client.due, earliest)
        return self

    def __exit__(self, kind, error, trace):
        waited = self.client.came - self.client.acted
        if kind is None and waited < self.seconds:
            raise Broken(
                f"{self.client.name} got it after {waited:.3f} s, not after "
                f"{self.seconds:g} s"
            )


class Row:
    """A row of one of the kernel's socket tables."""

    def __init__(self, line):
        words = line.split()
        self.ip, self.port = address_of(words[1])
        self.remote_port = address_of(words[2])[1]
        self.state = int(words[3], 16)
        self.queue = int(words[4].partition(":")[2], 16)
        self.inode = int(words[9])


def address_of(text):
    """Return the address and port that the kernel writes as `text`."""
    ip, port = text.split(":")
    words = [ip[at:at + 8] for at in range(0, len(ip), 8)]
    packed = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    return ipaddress.ip_address(packed), int(port, 16)


def rows(*tables):
    """Return the rows of tables such as /proc/net/tcp."""
    found = []
    for table in tables:
        try:
            with open(f"/proc/net/{table}") as file:
                found += [Row(line) for line in file.readlines()[1:]]
        except FileNotFoundError:
            pass  # No IPv6 here.
    return found


def find_tcp(server):
    """Return where the server listens on TCP, once it does."""
    return find_inet(server, LISTEN, "tcp", "tcp6")


def find_udp(server):
    """Return where the server is bound to UDP, once it is."""
    return find_inet(server, CLOSED, "udp", "udp6")


def find_any(server):
    """Return where the server is reached over TCP, or else over UDP."""
    return find_tcp(server) or find_udp(server)


def find_inet(server, state, *tables):
    """Return the address of the server's socket in this state."""
    mine = server.inodes()
    ours = [row for row in rows(*tables)
            if row.state == state and row.inode in mine and row.port]
    if server.was_told("{port}", "{addr}"):
        ours = [row for row in ours if row.port == server.port]
    if server.listener is not None:
        ours = [row for row in ours if server.listener in
                (str(row.port), f"{row.ip}:{row.port}")]
    if len({row.port for row in ours}) > 1:
        ports = sorted({row.port for row in ours})
        raise Unable(f"{server.name} listens on several ports: {ports}")
    for row in sorted(ours, key=lambda row: row.ip.version):
        ip = str(row.ip)
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ip, ip), row.port
    return None


def find_path(server):
    """Return the path that the server is bound to, once it is."""
    mine = server.inodes()
    with open("/proc/net/unix") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    paths = {words[7] for words in lines
             if len(words) > 7 and int(words[6]) in mine
             and words[7].startswith("/")}
    if server.was_told("{path}"):
        paths &= {server.path}
    if len(paths) > 1:
        raise Unable(f"the server listens at several paths: {sorted(paths)}")
    return paths.pop() if paths else None


def descendants(pid):
    """Return (pid, state, ticks of processor time) of all below `pid`."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                words = file.read().rpartition(")")[2].split()
        except OSError:
            continue  # It has ended in between.
        ticks = int(words[11]) + int(words[12])
        child = (int(name), words[0], ticks)
        children.setdefault(int(words[1]), []).append(child)
    found, waiting = [], [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child[0])
    return found


def descriptors(pid):
    """Return the open descriptors of a process and what they are."""
    found = {}
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    except OSError:
        pass  # It has ended in between.
    return found


def close_all(*numbers):
    """Close these descriptors."""
    for number in numbers:
        os.close(number)


def program_of(pid):
    """Return the file that a process runs."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def in_words(status):
    """Return how a process ended, as a person says it."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"was ended by signal {-status} ({name})"
    return f"exited with status {status}"


def keep_orphans():
    """Become the parent of processes that lose theirs (prctl(2))."""
    subreaper = 36
    ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0)


class Server:
    """The server under test."""

    name = "the server"
    command, environment, files = COMMAND, ENVIRONMENT, FILES
    open_files, listener, ready_within = OPEN_FILES, LISTENER, READY_WITHIN
    one_connection = ONE_CONNECTION
    backends = {}
    # What it means that it ends without being asked to.
    blame = Broken

    def __init__(self, find):
        self.find = find
        self.clients = []
        self.process = None
        self.address = None
        self.may_end = False
        self.signals = set()
        self.outputs = []
        self.unprintable = []
        self.wrongs = []
        self.captured = {}
        self.folder = tempfile.mkdtemp(prefix="reproducer-")
        self.path = os.path.join(self.folder, "socket")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def was_told(self, *names):
        """Return whether the command says where to listen."""
        texts = [*self.command, *self.environment.values(),
                 *self.files.values()]
        return any(name in text for name in names for text in texts)

    def filled(self, text):
        """Return `text` with the names in it replaced."""
        values = {
            "{port}": str(self.port),
            "{addr}": f"127.0.0.1:{self.port}",
            "{path}": self.path,
            "{dir}": self.folder,
        }
        for name, backend in self.backends.items():
            values[f"{{{name}.port}}"] = str(backend.port)
            values[f"{{{name}.addr}}"] = f"127.0.0.1:{backend.port}"
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    def spawn(self, output, **streams):
        """Start a process of the server; what it prints goes to `output`."""
        for name, text in self.files.items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(self.filled(text))
        environment = {**os.environ, "PORT": str(self.port)}
        for name, text in self.environment.items():
            environment[name] = self.filled(text)
        reader, writer = os.pipe()
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": writer,
            "stderr": writer,
            **streams,
        }
        command = [self.filled(word) for word in self.command]
        try:
            process = subprocess.Popen(
                command, env=environment, start_new_session=True, **streams
            )
        except OSError as error:
            raise Unable(f"{self.name} did not start: {error}") from None
        finally:
            os.close(writer)
        threading.Thread(
            target=keep_output, args=[reader, output], daemon=True
        ).start()
        if self.open_files is not None:
            limit = (self.open_files, self.open_files)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limit)
        return process

    def start(self, **streams):
        """Start the server and wait until the kernel shows it listening.

        A connection to try it would use up the only one that some take.
        """
        self.address = None
        self.output = bytearray()
        self.outputs.append(self.output)
        self.process = self.spawn(self.output, **streams)
        deadline = time.monotonic() + self.ready_within
        while self.address is None:
            ended = self.process.poll()
            if ended is not None:
                how = in_words(ended)
                raise Unable(f"{self.name} {how} before it listened")
            if time.monotonic() > deadline:
                raise Unable(self.no_listener())
            time.sleep(0.02)
            self.address = self.find(self)
        self.may_end = False
        self.signals = set()

    def no_listener(self):
        """Return what is said of a server that is not seen to listen."""
        kinds = {"find_udp": "UDP", "find_path": "a Unix socket",
                 "find_any": "TCP or UDP"}
        kind = kinds.get(self.find.__name__, "TCP")
        return (
            f"{self.name} has no listener on {kind} within "
            f"{self.ready_within:g} s; where it speaks over another "
            "transport, have this program written anew "
            "with --speaks, or of a target file that says `transport`"
        )

    def start_again(self, **streams):
        """Start the server where it ran before."""
        self.expect_life(0)
        self.sweep()
        self.wait_until_let_go()
        try:
            self.start(**streams)
        except Unable as error:
            raise self.blame(f"started again, {error}") from None

    def wait_until_let_go(self):
        """Wait until the kernel has put its listening socket away.

        It does so some time after the end where an io_uring had it.
        """
        port = self.address[1] if isinstance(self.address, tuple) else None
        deadline = time.monotonic() + STEP_WITHIN
        while time.monotonic() < deadline and any(
            row.state == LISTEN and row.port == port
            for row in rows("tcp", "tcp6")
        ):
            time.sleep(0.001)

    def start_without_reader(self):
        """Start it with an output that nobody reads once it listens."""
        reader, writer = os.pipe()
        try:
            self.start_again(stdout=writer)
        finally:
            os.close(writer)
            os.close(reader)

    def start_without_input(self):
        """Start it with an input that is a pipe at its end."""
        reader, writer = os.pipe()
        os.close(writer)
        try:
            self.start_again(stdin=reader)
        finally:
            os.close(reader)

    def start_without_stdin(self):
        """Start it with descriptor 0 closed."""
        self.start_again(preexec_fn=lambda: close_all(0))

    def start_without_streams(self):
        """Start it with descriptors 0, 1 and 2 closed."""
        self.start_again(preexec_fn=lambda: close_all(0, 1, 2))

    def start_second(self):
        """Start a second instance, which must fail."""
        second = self.spawn(bytearray())
        try:
            if second.wait(STEP_WITHIN) == 0:
                raise Broken("a second instance exited with status 0")
        except subprocess.TimeoutExpired:
            raise Broken("a second instance runs beside the first") from None
        finally:
            second.kill()
            second.wait()

    def shares_port(self, second):
        """Tell whether a second instance listens at the same port."""
        pids = {pid for pid, _, _ in descendants(second.pid)} | {second.pid}
        names = [name for pid in pids for name in descriptors(pid).values()]
        if isinstance(self.address, str):
            return False
        bound = [row for row in rows("tcp", "tcp6") if row.state == LISTEN]
        bound += [row for row in rows("udp", "udp6") if row.state == CLOSED]
        return any(row.port == self.address[1]
                   and f"socket:[{row.inode}]" in names for row in bound)

    def is_deaf_beside(self, second):
        """Return whether of many datagrams the first one gets none."""
        mine = [row.inode for row in rows("udp", "udp6")
                if row.state == CLOSED and row.port == self.address[1]]
        pids = {pid for pid, _, _ in descendants(second.pid)} | {second.pid}
        names = [name for pid in pids for name in descriptors(pid).values()]
        mine = [inode for inode in mine if f"socket:[{inode}]" not in names]
        if not mine:
            return False
        self.signal_all(signal.SIGSTOP)
        v6 = ":" in self.address[0]
        family = socket.AF_INET6 if v6 else socket.AF_INET
        senders = [socket.socket(family, socket.SOCK_DGRAM)
                   for _ in range(32)]
        for sender in senders:
            sender.sendto(b"", self.address)
        got = any(row.queue for row in rows("udp", "udp6")
                  if row.inode in mine)
        second.kill()
        self.signal_all(signal.SIGCONT)
        for sender in senders:
            sender.close()
        return not got

    def start_second_sharing(self):
        """Start a second instance, which must listen at the same port."""
        second = self.spawn(bytearray())
        try:
            self.wait_for(
                lambda: self.shares_port(second), STEP_WITHIN,
                "a second instance does not listen at the same port"
            )
        finally:
            second.kill()
            second.wait()

    def at_path(self):
        """Return what stands at the path that the server is bound to."""
        try:
            found = os.lstat(self.address)
        except (OSError, TypeError):
            return None
        return found.st_dev, found.st_ino

    def start_second_taking_over(self):
        """Start a second instance, which must have the address."""
        stood = self.at_path()
        second = self.spawn(bytearray())
        try:
            self.wait_for(
                lambda: self.at_path() not in (None, stood)
                or self.shares_port(second), STEP_WITHIN,
                "a second instance does not take the address over"
            )
        finally:
            second.kill()
            second.wait()

    def start_second_either_way(self):
        """Start a second instance, which must fail or share the port."""
        second = self.spawn(bytearray())
        stood = self.at_path()
        try:
            self.wait_for(
                lambda: second.poll() or self.shares_port(second)
                or self.at_path() != stood,
                STEP_WITHIN,
                "a second instance neither fails nor shares the port"
            )
            if self.at_path() != stood:
                raise Broken("a second instance takes the path away")
            if second.poll() is None and self.is_deaf_beside(second):
                raise Broken("a second instance takes the datagrams away")
        finally:
            second.kill()
            second.wait()

    def start_beside_helpers(self):
        """Kill all that run the server's program, and start it again."""
        self.expect_life(0)
        self.may_end = True
        self.signals.add(signal.SIGKILL)
        program = program_of(self.process.pid)
        own = [pid for pid, _, _ in self.tree() if program_of(pid) == program]
        for pid in own:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.wait_for(
            lambda: not self.is_held(), STEP_WITHIN,
            "a helper keeps the listening socket"
        )
        self.start_again()

    def is_held(self):
        """Return whether a process has the listening socket."""
        mine = self.inodes()
        return any(row.state == LISTEN and row.port == self.address[1]
                   and row.inode in mine for row in rows("tcp", "tcp6"))

    def start_over_file(self):
        """Start it where a file of somebody else stands at its path."""
        self.expect_life(0)
        self.sweep()
        self.may_end = True
        self.signals.add(signal.SIGKILL)
        if os.path.lexists(self.path):
            os.unlink(self.path)
        with open(self.path, "w") as file:
            file.write("somebody's data\n")
        try:
            self.start_second()
        finally:
            if not os.path.isfile(self.path):
                raise Broken("the server removed a file that is not its own")

    def tree(self):
        """Return the living processes of the server."""
        return [process for process in descendants(os.getpid())
                if process[1] not in "ZX"]

    def inodes(self):
        """Return the numbers of the sockets that the server has open."""
        names = [name for process in self.tree()
                 for name in descriptors(process[0]).values()]
        return {int(name[8:-1]) for name in names
                if name.startswith("socket:[")}

    def signal_all(self, number):
        """Send a signal to every process of the server."""
        for pid, _, _ in self.tree():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def signal(self, number):
        """Send the server a signal; SIGKILL goes to all of it."""
        self.expect_life(0)
        if self.process.poll() is not None:
            raise Unable(f"{self.name} had ended before it got a signal")
        self.signals.add(number)
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.signal_all(number)
        if number in (signal.SIGHUP, signal.SIGUSR1):
            # It ends nobody who is still there a moment later.
            try:
                self.process.wait(SILENCE)
                self.may_end = True
            except subprocess.TimeoutExpired:
                pass
        else:
            self.may_end = True

    def signal_again(self, number):
        """Send the server a signal, unless it has ended as asked."""
        self.expect_life(0)
        if self.process.poll() is None:
            self.signal(number)

    def stop(self):
        """Stop every process of the server, as the kernel shows."""
        deadline = time.monotonic() + 5
        while any(state not in "Tt" for _, state, _ in self.tree()):
            if time.monotonic() > deadline:
                raise Unable(f"{self.name} could not be stopped")
            self.signal_all(signal.SIGSTOP)
            time.sleep(0.002)

    def resume(self):
        """Let every process of the server run on."""
        self.signal_all(signal.SIGCONT)

    def settle(self):
        """Give the server the time to come to rest, but not for ever."""
        begun = since = time.monotonic()
        before, unsent = None, 0
        while time.monotonic() < min(since + SETTLE_WITHIN,
                                     begun + SERVED_WITHIN):
            left = sum(client.unsent for client in self.clients
                       if not client.due)
            if left != unsent:
                # The server takes what clients have still to write.
                unsent, since = left, time.monotonic()
            now = self.tree()
            resting = all(state in "ST" for _, state, _ in now)
            if not left and before == now and resting:
                return
            before = now
            time.sleep(0.05)

    def wait_for(self, holds, within, otherwise):
        """Wait until `holds()`; the server is broken if it does not."""
        limit = time_for(within)
        deadline = time.monotonic() + limit
        while not holds():
            if time.monotonic() > deadline:
                raise not_in_time(within, f"{otherwise} within {limit:g} s")
            time.sleep(0.005)

    def expect_exit(self, status=None, within=None):
        """Expect the first process to end, with this status if any."""
        self.may_end = True
        limit = time_for(within)
        try:
            ended = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise not_in_time(
                within, f"{self.name} did not exit within {limit:g} s"
            ) from None
        if self.is_violent(ended) or status not in (None, ended):
            raise Broken(f"{self.name} {in_words(ended)}")

    def expect_output(self, text, within=None):
        """Expect the server to print this, or to have done so."""
        self.wait_for(
            lambda: text in self.output, within,
            f"{self.name} did not print {shown(text)}"
        )

    def expect_gone(self, within=None):
        """Expect nothing of the server to be left, nor its path."""
        self.may_end = True

        def is_gone():
            self.process.poll()
            return not self.tree()

        self.wait_for(is_gone, within, "processes of the server did not end")
        if isinstance(self.address, str) and os.path.lexists(self.address):
            raise Broken("the server left its socket's path behind")

    def listener_queue(self):
        """Return how many connections wait to be accepted."""
        return sum(row.queue for row in rows("tcp", "tcp6")
                   if row.state == LISTEN and row.port == self.address[1])

    def expect_accept_queue(self, length, within=None):
        """Expect this many connections to wait to be accepted."""
        self.wait_for(
            lambda: self.listener_queue() == length, within,
            f"the accept queue did not come to hold {length}"
        )

    def listener_limit(self):
        """Return the accept queue's limit, by sock_diag(7)."""
        limits = []
        for family in (socket.AF_INET, socket.AF_INET6):
            ends = struct.pack(">H54x", self.address[1])
            body = struct.pack(
                "=BBBxI", family, socket.IPPROTO_TCP, 0, 1 << LISTEN
            ) + ends[:48]
            head = struct.pack("=IHHII", 16 + len(body), 20, 0x301, 1, 0)
            limits += dump_of_listeners(head + body, self.address[1])
        return min(limits, default=None)

    def expect_backlog(self, limit, within=None):
        """Expect the accept queue to be limited to this many."""
        if self.listener_limit() != limit:
            raise Broken(
                f"the backlog is {self.listener_limit()}, not {limit}"
            )

    def never_print(self, text):
        """Hold it to that it has not printed this, and does not."""
        self.unprintable.append(text)

    def expect_nothing_forbidden(self):
        """Expect that nothing came which must never come."""
        self.settle()
        for text in self.unprintable:
            if any(text in output for output in self.outputs):
                raise Broken(
                    f"the server printed {shown(text)}, which it must never"
                )
        if self.wrongs:
            raise Broken(self.wrongs[0])

    def count_in_state(self, state):
        """Return how many connections are in a state on its side."""
        return sum(row.state == state and row.port == self.address[1]
                   for row in rows("tcp", "tcp6"))

    def expect_time_wait(self, within=None):
        """Expect a connection in TIME_WAIT on the server's side."""
        self.wait_for(
            lambda: self.count_in_state(TIME_WAIT) > 0, within,
            "no connection of the server came to TIME_WAIT"
        )

    def expect_no_time_wait(self, within=None):
        """Expect no connection in TIME_WAIT on the server's side."""
        self.wait_for(
            lambda: self.count_in_state(TIME_WAIT) == 0, within,
            "the server did not get rid of TIME_WAIT"
        )

    def expect_no_close_wait(self, within=None):
        """Expect the server to have closed what its clients have left."""
        self.wait_for(
            lambda: self.count_in_state(CLOSE_WAIT) == 0, within,
            "the server did not close connections that clients have left"
        )

    def expect_rest(self, within=None):
        """Expect every process to sleep and to use no processor."""
        deadline = time.monotonic() + time_for(within)
        while True:
            before = sum(ticks for _, _, ticks in self.tree())
            time.sleep(0.25)
            now = self.tree()
            used = sum(ticks for _, _, ticks in now) - before
            if used <= 1 and all(state not in "RD" for _, state, _ in now):
                return
            if time.monotonic() > deadline:
                percent = used * 100 // (os.sysconf("SC_CLK_TCK") // 4)
                raise not_in_time(
                    within,
                    f"the server does not rest: {percent} % of a processor"
                )

    def limit_open_files(self, room):
        """Limit its open files to this many more than it has now."""
        self.limited = []
        for pid, _, _ in self.tree():
            limit, free = 0, room
            used = descriptors(pid)
            while free:
                free -= limit not in used
                limit += 1
            try:
                before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                after = (limit, before[1])
                resource.prlimit(pid, resource.RLIMIT_NOFILE, after)
            except PermissionError as error:
                raise Unable(f"limiting open files: {error}") from None
            self.limited.append((pid, limit, before))

    def restore_open_files(self):
        """Give every process the limit back that it had."""
        for pid, _, before in self.limited:
            try:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            except ProcessLookupError:
                pass

    def expect_descriptor(self, least, within=None):
        """Expect a process to have an open file of this number."""
        self.wait_for(
            lambda: any(max(descriptors(process[0]), default=0) >= least
                        for process in self.tree()), within,
            f"no process has descriptor {least}"
        )

    def expect_out_of_files(self, within=None):
        """Expect a process that has all the files that it may have."""
        def is_out():
            return any(
                sum(number < limit for number in descriptors(pid))
                >= limit - 1
                for pid, limit, _ in self.limited
            )

        self.wait_for(is_out, within, "the server had files to spare")

    def is_violent(self, ended):
        """Return whether it ended by a crash, or by somebody's SIGKILL."""
        return -ended in CRASHES or (
            -ended == signal.SIGKILL and signal.SIGKILL not in self.signals
        )

    def unasked_end(self, grace):
        """Return how the server ended without being asked to, if so."""
        if self.address is None:
            return None
        try:
            ended = self.process.wait(grace)
        except subprocess.TimeoutExpired:
            return None
        asked = self.may_end or -ended in self.signals
        if asked and not self.is_violent(ended):
            return None
        if self.one_connection and ended == 0:
            return None
        return f"{self.name} {in_words(ended)}"

    def expect_life(self, grace=0.2):
        """Expect the server to live, unless it was asked to end."""
        end = self.unasked_end(grace)
        if end is not None:
            raise self.blame(end)

    def part(self):
        """Let every client leave."""
        for client in self.clients:
            client.release()
        self.clients.clear()

    def sweep(self):
        """End every process of the server."""
        while self.tree():
            self.signal_all(signal.SIGKILL)
            time.sleep(0.002)
        if self.process is not None:
            self.process.wait()


class Backend(Server):
    """A server that stands behind the one under test."""

    blame = Unable
    one_connection = False

    def __init__(self, name, backends, how):
        super().__init__(how["find"])
        vars(self).update(how)
        self.name = f"the backend {name}"
        self.backends = backends

    def tree(self):
        """Return its living processes, those without a parent too."""
        if self.process is None:
            return []
        first = self.process.pid
        below = {first, *(pid for pid, _, _ in descendants(first))}
        return [process for process in super().tree()
                if process[0] in below or session_of(process[0]) == first]


class Proxy(Server):
    """The server under test, with others that stand behind it."""

    def __init__(self, find):
        super().__init__(find)
        self.backends = {}
        for name, how in BACKENDS.items():
            self.backends[name] = Backend(name, self.backends, how)

    def start(self, **streams):
        """Start what is to stand behind the server, and the server."""
        for backend in self.backends.values():
            if backend.process is None:
                backend.start()
        super().start(**streams)

    def tree(self):
        """Return the living processes of the server alone."""
        behind = {pid for backend in self.backends.values()
                  for pid, _, _ in backend.tree()}
        return [process for process in super().tree()
                if process[0] not in behind]

    def settle(self):
        """Give all the time to come to rest, as each may wake others."""
        super().settle()
        for backend in self.backends.values():
            backend.settle()
        super().settle()

    def unasked_end(self, grace):
        """Return how the server ended, unless it has been left alone."""
        for backend in self.backends.values():
            end = backend.unasked_end(min(grace, 0.2))
            if end is not None:
                raise Unable(f"{end}, and nobody had told it to end")
        return super().unasked_end(grace)


def session_of(pid):
    """Return the session of a process."""
    try:
        return os.getsid(pid)
    except OSError:
        return None  # It has ended in between.


def keep_output(reader, output):
    """Pass on what comes from a pipe, and keep the first MiB of it."""
    with open(reader, "rb", buffering=0) as file:
        while data := file.read(1 << 16):
            sys.stderr.buffer.write(data)
            sys.stderr.flush()
            output += data[:(1 << 20) - len(output)]


def dump_of_listeners(request, port):
    """Return the limits of the listeners on a port."""
    limits = []
    sock_diag = 4
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, sock_diag
    ) as kernel:
        kernel.settimeout(STEP_WITHIN)
        kernel.send(request)
        while True:
            answer = kernel.recv(1 << 16)
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind != 20:
                    return limits
                if struct.unpack_from(">H", answer, 20)[0] == port:
                    limits += struct.unpack_from("=I", answer, 76)
                answer = answer[(length + 3) & ~3:]


def shown(data):
    """Return bytes as a person reads them, cut where they are many."""
    data = bytes(data)
    if len(data) <= 48:
        return repr(data)
    return f"{data[:24]!r} ... {data[-8:]!r} ({len(data)} bytes)"


def with_holes(parts, lines):
    """Return a text as a person reads it, with the holes in it."""
    words = [shown(parts[0])] if parts[0] or len(parts) == 1 else []
    for number, part in enumerate(parts[1:], 1):
        words.append("{line}" if number in lines else "{any}")
        words += [shown(part)] if part else []
    return " ".join(words)


def ready(waiting, timeout=None):
    """Wait for events of sockets; return those that have some."""
    poll = select.poll()
    for waits, events in waiting.items():
        poll.register(waits, events)
    if timeout is not None:
        timeout *= 1000
    numbers = [number for number, _ in poll.poll(timeout)]
    return [waits for waits in waiting if waits.fileno() in numbers]


class Client:
    """A client, which reads all the time unless it stalls."""

    def __init__(self, server, name, member=None):
        self.server = server
        self.name = name if member is None else f"{name}[{member}]"
        self.member = member or 0
        self.group = name
        self.news = threading.Condition()
        self.socket = None
        self.local = None
        self.threads = []
        self.ears = []
        self.forget()
        server.clients.append(self)

    def forget(self):
        """Forget an earlier connection."""
        self.is_connected = False
        self.failure = None
        self.send_failure = None
        self.stream = bytearray()
        self.datagrams = []
        self.late = []
        self.stranger = None
        self.end = None
        self.unsent = 0
        self.due = 0
        self.acted = self.came = time.monotonic()
        self.chunk, self.pause = 1 << 16, 0
        self.leaving = False

    def note(self, **facts):
        """Write facts down, and tell those who wait for them."""
        with self.news:
            vars(self).update(facts)
            self.news.notify_all()

    def hear(self, **facts):
        """Write down what comes from the server, and when."""
        self.note(came=time.monotonic(), **facts)

    def begin(self, task, *arguments):
        """Do something while the steps go on."""
        thread = threading.Thread(target=task, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def open(self, kind, settings, to=None):
        """Make a socket for the server's address."""
        self.release()
        self.forget()
        self.peer, family = self.server.address, socket.AF_UNIX
        if not isinstance(self.peer, str):
            self.peer = (to or self.peer[0], self.peer[1])
            v6 = ":" in self.peer[0]
            family = socket.AF_INET6 if v6 else socket.AF_INET
        self.socket = socket.socket(family, kind)
        self.socket.setblocking(False)
        self.wake, self.nudge = socket.socketpair()
        try:
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )
            for setting in settings:
                setting(self)
            if ADDRESSES is not None and family == socket.AF_INET:
                self.come_apart()
        except OSError as error:
            raise Unable(f"{self.name} has no socket: {error}") from None
        return family

    def come_apart(self):
        """Come from where nobody came from, unless the case says where."""
        if self.socket.getsockname()[1] == 0:
            number = 0x7F010000 + 257 * next(ADDRESSES)
            self.socket.bind((str(ipaddress.IPv4Address(number)), 0))

    def start_connecting(self, *settings, to=None):
        """Ask for a connection and go on."""
        family = self.open(socket.SOCK_STREAM, settings, to)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )
        outcome = self.socket.connect_ex(self.peer)
        self.local = self.socket.getsockname()
        self.begin(self.read_all, outcome)

    def connect(self, *settings, to=None):
        """Connect, and wait for the handshake."""
        self.start_connecting(*settings, to=to)
        self.expect_connected()

    def read_all(self, outcome):
        """Finish the handshake, then read until the end."""
        while outcome in (errno.EINPROGRESS, errno.EAGAIN):
            # A full Unix backlog is EAGAIN; there is no event for its end.
            again = outcome == errno.EAGAIN
            events = {self.wake: select.POLLIN}
            if not again:
                events[self.socket] = select.POLLOUT
            ready(events, 0.005 if again else None)
            if self.leaving:
                return
            if again:
                outcome = self.socket.connect_ex(self.peer)
            elif ready({self.socket: select.POLLOUT}, 0):
                outcome = self.socket.getsockopt(
                    socket.SOL_SOCKET, socket.SO_ERROR
                )
        # What a reset says that comes behind a complete handshake.
        gone = {errno.ECONNRESET: "reset", errno.EPIPE: "fin"}.get(outcome)
        if outcome and not gone:
            self.hear(failure=outcome)
            return
        self.hear(is_connected=True)
        while self.wait_for_data():
            try:
                data = self.socket.recv(self.chunk)
            except BlockingIOError:
                continue
            except OSError as error:
                self.hear(end=ENDS.get(error.errno, "unreachable"))
                return
            if not data:
                self.hear(end=gone or "fin")
                return
            for ear in self.ears:
                ear(data)
            with self.news:
                self.stream += data
                self.came = time.monotonic()
                self.news.notify_all()
            if self.pause:
                ready({self.wake: select.POLLIN}, self.pause)

    def wait_for_data(self):
        """Wait for something to read; False where there is no more."""
        while not self.leaving:
            events = {self.wake: select.POLLIN}
            if self.chunk:
                events[self.socket] = select.POLLIN
            able = ready(events)
            if self.wake in able:
                self.wake.recv(64)
            elif able:
                return True
        return False

    def set_pace(self, chunk, pause=0):
        """Read so many bytes at a time, with a pause in seconds."""
        self.chunk, self.pause = chunk, pause
        if self.socket is not None:
            self.nudge.send(b"!")

    def stall(self):
        """Stop reading; data piles up in the kernel's queues."""
        self.set_pace(0, 0)

    def read_again(self):
        """Read again, at full speed."""
        self.set_pace(1 << 16, 0)

    def send(self, data):
        """Send all of `data`; what goes wrong is written down."""
        self.acted = time.monotonic()
        self.send_all(data)

    def send_all(self, data, within=10):
        """Send while the server reads."""
        rest = memoryview(data)
        deadline = time.monotonic() + within
        while rest:
            if self.socket is None:
                self.note(send_failure="not connected")
                return
            try:
                rest = rest[self.socket.send(rest):]
                self.unsent = len(rest)
            except BlockingIOError:
                if self.leaving or time.monotonic() > deadline:
                    self.note(send_failure="the server does not read")
                    return
                ready({self.socket: select.POLLOUT}, 0.02)
            except OSError as error:
                self.note(send_failure=error.strerror)
                return

    def send_in_background(self, data):
        """Send while the steps go on."""
        self.acted = time.monotonic()
        self.unsent = len(data)
        self.begin(self.send_all, data, float("inf"))

    def send_slowly_in_background(self, segments, every=0):
        """Send segments with a pause between them, while the steps go on."""
        self.acted = time.monotonic()
        self.unsent = sum(map(len, segments))
        self.begin(self.send_with_pauses, segments, every)

    def send_segments(self, segments):
        """Send segments, each when the server has read the one before."""
        self.acted = time.monotonic()
        for number, segment in enumerate(segments):
            if number:
                self.wait_until_read()
                time.sleep(0.005)
            self.send_all(segment)

    def send_slowly(self, segments, every):
        """Send segments with a pause in seconds between them."""
        self.acted = time.monotonic()
        self.send_with_pauses(segments, every)

    def send_with_pauses(self, segments, every):
        """Send segments, and let time pass between them."""
        for number, segment in enumerate(segments):
            if number:
                self.due = time.monotonic() + every
                time.sleep(every)
            self.send_all(segment)
            self.due = time.monotonic()

    def send_urgent(self, byte):
        """Send one out-of-band byte."""
        self.acted = time.monotonic()
        try:
            self.socket.send(byte, socket.MSG_OOB)
        except OSError as error:
            self.note(send_failure=error.strerror)

    def send_descriptor(self, byte):
        """Send one byte together with an open file."""
        self.acted = time.monotonic()
        with open(os.devnull) as gift:
            try:
                socket.send_fds(self.socket, [byte], [gift.fileno()])
            except OSError as error:
                self.note(send_failure=error.strerror)

    def send_without_source(self, data):
        """Send a datagram from port 0, or from a socket without a name."""
        self.acted = time.monotonic()
        where = self.server.address
        try:
            if isinstance(where, str):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
                    gone.sendto(data, where)
                return
            family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
            with socket.socket(
                family, socket.SOCK_RAW, socket.IPPROTO_UDP
            ) as raw:
                if family == socket.AF_INET6:
                    checksum = 7
                    raw.setsockopt(socket.IPPROTO_IPV6, checksum, 6)
                head = struct.pack("!HHHH", 0, where[1], 8 + len(data), 0)
                raw.sendto(head + data, (where[0], 0))
        except PermissionError as error:
            raise Unable(f"port 0: {error}") from None

    def row(self):
        """Return the server's end of the connection in the kernel."""
        for row in rows("tcp", "tcp6"):
            if (row.port, row.remote_port) == (self.peer[1], self.local[1]):
                return row
        return None

    def is_accepted(self):
        """Return whether a process has the server's end."""
        row = self.row()
        return row is not None and row.inode != 0

    def is_read(self):
        """Return whether the server has read all that was sent."""
        if self.socket is None:
            return False
        packed = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
        if any(packed):
            return False
        if isinstance(self.peer, str):
            return True
        row = self.row()
        return row is not None and row.inode != 0 and row.queue == 0

    def unread(self):
        """Return how many bytes wait for the server to read them."""
        if isinstance(self.peer, str):
            packed = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
            return int.from_bytes(packed, sys.byteorder)
        row = self.row()
        return row.queue if row else 0

    def wait_until_read(self):
        """Wait until the server has read all, two seconds at most."""
        deadline = time.monotonic() + 2
        while not self.is_read() and not self.end:
            if self.socket is None or time.monotonic() > deadline:
                return
            time.sleep(0.001)

    def half_close(self):
        """Send FIN and go on reading."""
        self.acted = time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except (AttributeError, OSError):
            pass  # The connection is gone already.

    def reset(self):
        """Close with RST."""
        if self.socket is not None:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        self.release()

    def vanish(self):
        """Be gone without FIN or RST, by TCP_REPAIR."""
        tcp_repair = 19
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, tcp_repair, 1)
        except PermissionError:
            raise Unable("to vanish takes root (CAP_NET_ADMIN)") from None
        self.release()

    def release(self):
        """Close the socket, once nobody uses it any more."""
        if self.socket is None:
            return
        self.leaving = True
        self.nudge.send(b"!")
        for thread in self.threads:
            thread.join()
        self.threads.clear()
        for each in (self.socket, self.wake, self.nudge):
            each.close()
        self.socket = None

    def close(self):
        """Close the connection."""
        self.release()

    def never(self, data):
        """Hold the server to it that this does not come from here on."""
        heard, over = b"", None

        def ear(news):
            nonlocal heard, over
            is_whole = self.socket.type == socket.SOCK_DGRAM
            if over is not self.socket or is_whole:
                heard, over = b"", self.socket
            heard += news
            if data in heard:
                self.server.wrongs.append(
                    f"{self.name} got {shown(data)}, which must never come"
                )
            heard = heard[max(len(heard) - len(data) + 1, 0):]

        if data:
            self.ears.append(ear)

    def so_far(self):
        """Return what has come and was not expected, in words."""
        if self.datagrams:
            return f"the datagram {shown(self.datagrams[0])}"
        return shown(self.stream) if self.stream else "nothing"

    def wait_for(self, seen, within, wanted):
        """Wait until `seen()` is true, and return what it is."""
        limit = time_for(within)
        deadline = time.monotonic() + limit
        with self.news:
            while not (found := seen()):
                if within in (None, STEP_WITHIN):
                    # Who still speaks, or gets what is wanted, has time.
                    deadline = max(deadline, self.due + limit)
                if time.monotonic() > deadline:
                    raise not_in_time(
                        within,
                        f"{self.name} waited {limit:g} s for {wanted} "
                        f"and got {self.so_far()}"
                    )
                self.news.wait(0.01)
            return found

    def why_no_more(self):
        """Return why no more bytes can come, if that is so."""
        if self.failure is not None:
            return os.strerror(self.failure)
        if self.end is not None:
            return f"the end of the connection ({self.end})"
        return self.send_failure

    def wrong_from(self, wanted, start):
        """Return where what has come from `start` on is not as wanted."""
        got = bytes(self.stream[start:len(wanted)])
        if wanted.startswith(got, start):
            return None
        pairs = enumerate(zip(wanted[start:], got), start)
        return next(at for at, (one, two) in pairs if one != two)

    def pass_over_unasked(self, at):
        """Drop what the server says here by itself, if it does."""
        for _, pattern in UNASKED:
            said = re.match(pattern, bytes(self.stream[at:]))
            if said:
                del self.stream[at:at + said.end()]
                return True
        return False

    def may_be_unasked(self, at):
        """Return whether that may have begun here."""
        got = bytes(self.stream[at:])
        return any(first.startswith(got[:len(first)])
                   for first, _ in UNASKED)

    def has_more(self):
        """Return whether something has come that nobody expects."""
        while self.pass_over_unasked(0):
            pass
        over = self.end or not self.may_be_unasked(0)
        return bool(self.datagrams or self.stream and over)

    def expect_bytes(self, *parts, lines=(), within=None):
        """Expect bytes next; between parts may stand any others.

        Before the parts whose numbers are among `lines` stands no newline.
        """
        wanted = with_holes(parts, lines)
        used = right = 0

        def seen():
            nonlocal used, right
            at = self.wrong_from(parts[0], right)
            if at is not None:
                line = parts[0].rfind(b"\n", 0, at) + 1
                right = min(right, line)
                if self.pass_over_unasked(line):
                    return seen()
                if self.may_be_unasked(line) and not self.why_no_more():
                    return False
                around = shown(self.stream[max(at - 16, 0):at + 16])
                raise Broken(
                    f"{self.name} got {around}, wrong from byte {at} on, "
                    f"for {wanted}"
                )
            used = len(parts[0])
            if right < min(used, len(self.stream)):
                right = min(used, len(self.stream))
                self.due = max(self.due, time.monotonic())
            for number, part in enumerate(parts[1:], 1):
                at = self.stream.find(part, used)
                passed = self.stream[used:max(at, 0)]
                if number in lines and b"\n" in passed:
                    raise Broken(
                        f"{self.name} got {self.so_far()} for {wanted}"
                    )
                used = at + len(part) if at >= 0 else len(self.stream) + 1
            if used <= len(self.stream):
                return True
            if self.why_no_more():
                raise Broken(
                    f"{self.name} got {self.so_far()} and then "
                    f"{self.why_no_more()} for {wanted}"
                )
            return False

        self.wait_for(seen, within, wanted)
        with self.news:
            del self.stream[:used]

    def expect_one_of(self, *ways, within=None):
        """Expect one of these, the first that fits; keep what it names."""
        wanted = " or ".join(map(str, ways))
        begun = time.monotonic()

        def seen():
            quiet = time.monotonic() - max(begun, self.came)
            over = self.end is not None or quiet > min(SILENCE, time_for(within) / 2)
            may_come = False
            for way in ways:
                found = way.look(self, over)
                if found and (over or not may_come):
                    return found
                may_come = may_come or found is not False
            if not may_come:
                why = self.why_no_more()
                then = f" and then {why}" if why else ""
                raise Broken(
                    f"{self.name} got {self.so_far()}{then} for {wanted}"
                )
            if self.stream:
                # Who gets a part of what is wanted has time for the rest.
                self.due = max(self.due, self.came)
            return None

        used, kept = self.wait_for(seen, within, wanted)
        with self.news:
            self.drop_first(used)
        for name, data in kept.items():
            # Who captures it last is the last one here.
            captured = self.server.captured.setdefault(name, {})
            captured.pop(self, None)
            captured[self] = data

    def drop_first(self, used):
        """Drop so many bytes of what has come."""
        del self.stream[:used]

    def look_for_text(self, text, over):
        """Return how much a text takes of what has come, and captures.

        None: it may still come; False: it cannot any more.
        """
        while True:
            found = text.walk(bytes(self.stream), over)
            if found is None:
                return False if self.why_no_more() else None
            if found or not self.pass_over_unasked(0):
                break
        may_come = self.may_be_unasked(0) and not self.why_no_more()
        return None if not found and may_come else found

    def told(self, name):
        """Return what it has captured, or else whoever did so last."""
        captured = self.server.captured[name]
        last = list(captured)[-1]
        own = last.group == self.group and self in captured
        return captured[self if own else last]

    def expect_silence(self, within=SILENCE):
        """Expect neither bytes nor an end for a while."""
        with self.news:
            self.news.wait_for(
                lambda: self.has_more() or self.end, within
            )
            if self.has_more() or self.stream:
                raise Broken(
                    f"{self.name} got {self.so_far()} for silence"
                )
            if self.end:
                raise Broken(
                    f"{self.name}'s connection ended ({self.end}) "
                    "where nothing should happen"
                )

    def expect_open(self, within=SILENCE):
        """Expect that the connection does not end for a while."""
        with self.news:
            self.news.wait_for(lambda: self.end, within)
            if self.end:
                raise Broken(
                    f"{self.name}'s connection ended ({self.end}) "
                    "where it was to stay open"
                )

    def expect_connected(self, within=None):
        """Expect the handshake to be complete."""
        def seen():
            if self.failure is not None:
                raise Broken(
                    f"{self.name} could not connect: "
                    f"{os.strerror(self.failure)}"
                )
            return self.is_connected

        self.wait_for(seen, within, "its connection")

    def expect_refused(self, within=None):
        """Expect the connection to be refused."""
        def seen():
            if self.is_connected:
                raise Broken(f"{self.name} was connected, not refused")
            return self.failure is not None

        self.wait_for(seen, within, "a refusal")
        if self.failure != errno.ECONNREFUSED:
            raise Broken(
                f"{self.name} was not refused: {os.strerror(self.failure)}"
            )

    def expect_pending(self, within=SILENCE):
        """Expect the handshake to be unanswered for a while."""
        with self.news:
            self.news.wait_for(
                lambda: self.is_connected or self.failure, within
            )
            if self.is_connected or self.failure:
                raise Broken(f"{self.name}'s connection was answered")

    def expect_accepted(self, within=None):
        """Expect a process of the server to have the connection."""
        self.wait_for(
            lambda: self.end == "fin" or self.is_accepted(), within,
            "its connection to be accepted"
        )

    def expect_read(self, within=None):
        """Expect the server to have read all that was sent."""
        def seen():
            if self.end:
                raise Broken(
                    f"{self.name}'s connection ended ({self.end}) before "
                    "the server had read all"
                )
            return self.is_read()

        self.wait_for(seen, within, "the server to read all")

    def expect_held_back(self, within=None):
        """Expect the server to stop reading before it has read all."""
        limit = time_for(within)
        deadline = time.monotonic() + limit
        last, since = None, None
        while not (self.end or self.send_failure):
            now = time.monotonic()
            seen = (self.unsent, self.unread())
            if seen != last:
                last, since = seen, now
            if any(seen) and now - since > 1:
                return
            if not self.unsent and self.is_read():
                raise Broken(f"the server read all that {self.name} sent")
            if now > deadline:
                raise not_in_time(
                    within, f"the server read on and on for {limit:g} s"
                )
            time.sleep(0.005)

    def expect_end(self, *kinds, within=None, all_bytes_first=False):
        """Expect the connection to end in one of these ways."""
        def seen():
            if all_bytes_first and self.has_more():
                raise Broken(
                    f"{self.name} got {self.so_far()} before the end"
                )
            return self.end is not None

        self.wait_for(seen, within, "the end of its connection")
        if self.end not in kinds:
            wanted = " or ".join(kinds)
            raise Broken(
                f"{self.name}'s connection ended by {self.end}, not {wanted}"
            )


class DatagramClient(Client):
    """A client that sends and receives datagrams."""

    def start_connecting(self, *settings, to=None):
        """Open a socket."""
        family = self.open(socket.SOCK_DGRAM, settings, to)
        if family == socket.AF_UNIX:
            # An unnamed socket cannot be answered: the kernel names it.
            self.socket.bind("")
        elif not self.socket.getsockname()[1]:
            v6 = family == socket.AF_INET6
            self.socket.bind(("::" if v6 else "0.0.0.0", 0))
        self.local = self.socket.getsockname()
        self.hear(is_connected=True)
        self.begin(self.read_all, 0)

    def expect_full(self, within=None):
        """Expect that no more fits the queue of what it does not read."""
        def seen():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
                asker.connect(self.socket.getsockname())
                return not select.select([], [asker], [], 0)[1]

        self.wait_for(seen, within, "its queue to be full of replies")

    def read_all(self, outcome):
        """Receive datagrams."""
        while self.wait_for_data():
            try:
                data, sender = self.socket.recvfrom(1 << 17)
            except OSError:
                continue
            if not isinstance(self.peer, str) and sender[0] != self.peer[0]:
                self.note(stranger=sender[0])
            for ear in self.ears:
                ear(data)
            with self.news:
                self.datagrams.append(data)
                self.came = time.monotonic()
                self.news.notify_all()
            if self.pause:
                ready({self.wake: select.POLLIN}, self.pause)

    def send_all(self, data, within=10):
        """Send a datagram; what goes wrong is written down."""
        deadline = time.monotonic() + within
        while True:
            try:
                self.socket.sendto(data, self.peer)
                return
            except BlockingIOError:
                if self.leaving or time.monotonic() > deadline:
                    self.note(send_failure="the server does not read")
                    return
                ready({self.socket: select.POLLOUT}, 0.02)
            except (AttributeError, OSError) as error:
                self.note(send_failure=str(error))
                return

    def is_accepted(self):
        """Return whether a process has the server's end."""
        return True

    def is_read(self):
        """Return whether the server has read every datagram."""
        if isinstance(self.peer, str):
            packed = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
            return not any(packed)
        mine = [row.queue for row in rows("udp", "udp6")
                if row.port == self.peer[1]]
        return bool(mine) and not any(mine)

    def pass_over_late(self, parts, lines):
        """Drop what comes first, was taken to be lost, and is not next."""
        while self.datagrams and self.datagrams[0] in self.late:
            if is_made_of(parts, lines, self.datagrams[0]):
                return
            self.late.remove(self.datagrams[0])
            del self.datagrams[0]

    def drop_first(self, used):
        """Drop so many datagrams."""
        del self.datagrams[:used]

    def look_for_text(self, text, over):
        """Return that it takes the next datagram, and what it captures.

        None: it may still come; False: it cannot any more.
        """
        while self.datagrams:
            kept = text.walk_whole(self.datagrams[0])
            if kept is not None:
                return 1, kept
            if self.datagrams[0] not in self.late:
                return False
            self.late.remove(self.datagrams[0])
            del self.datagrams[0]
        return False if self.send_failure else None

    def expect_datagram(self, *parts, lines=(), within=None,
                        or_silence=False):
        """Expect a datagram next; between parts may stand any bytes.

        Before the parts whose numbers are among `lines` stands no newline.
        """
        if within is None and or_silence:
            # Silence is no fault, so it is not waited for as long.
            within = SILENCE
        wanted = f"the datagram {with_holes(parts, lines)}"

        def comes():
            self.pass_over_late(parts, lines)
            return self.datagrams

        def seen():
            return self.stranger or comes() or self.send_failure

        if or_silence:
            with self.news:
                if not self.news.wait_for(comes, within):
                    self.late.append(b"".join(parts))
                    return
        self.wait_for(seen, within, wanted)
        if self.stranger:
            raise Broken(f"{self.name} was answered from {self.stranger}")
        if not self.datagrams:
            raise Broken(f"{self.name} could not send: {self.send_failure}")
        if not is_made_of(parts, lines, self.datagrams[0]):
            raise Broken(f"{self.name} got {self.so_far()} for {wanted}")
        with self.news:
            del self.datagrams[0]


def is_made_of(parts, lines, data):
    """Return whether `data` is these parts with any bytes between."""
    if len(parts) == 1:
        return data == parts[0]
    last = len(data) - len(parts[-1])
    at = len(parts[0])
    if not data.startswith(parts[0]) or not data.endswith(parts[-1]):
        return False
    for number, part in enumerate(parts[1:], 1):
        end = last if number == len(parts) - 1 else data.find(part, at)
        if end < at or number in lines and b"\n" in data[at:end]:
            return False
        at = end + len(part)
    return True


class Hole:
    """Bytes that a pattern takes; what has a name is captured."""

    def __init__(self, pattern, name=None):
        self.text = repr(pattern)[2:-1].replace("\\\\", "\\")
        self.pattern = re.compile(pattern)
        self.name = name

    def __str__(self):
        if self in (ANY, LINE):
            return "{any}" if self is ANY else "{line}"
        return "{%s:%s}" % (self.name or "", self.text)

    def may_be(self, data):
        """Return whether it takes all of `data`."""
        return self.pattern.fullmatch(data) is not None

    def taken(self, data, part):
        """Return how much it takes before `part`, None if not known yet.

        It is the least that it can; where nothing stands behind it, the most.
        """
        if not part:
            fits = (at for at in range(len(data), -1, -1)
                    if self.may_be(data[:at]))
            return next(fits, None)
        at = data.find(part)
        while at >= 0 and not self.may_be(data[:at]):
            at = data.find(part, at + 1)
        return at if at >= 0 else None


# What stands for any bytes, and for any without a newline.
ANY = Hole(rb"[\s\S]*")
LINE = Hole(rb"[^\n]*")


class Text:
    """A text with holes, as a way in which something may come."""

    def __init__(self, *parts):
        self.first, self.rest = b"", []
        for part in parts:
            if isinstance(part, Hole):
                self.rest.append((part, b""))
            elif self.rest:
                hole, before = self.rest.pop()
                self.rest.append((hole, before + part))
            else:
                self.first += part

    def __str__(self):
        words = [shown(self.first)] if self.first or not self.rest else []
        for hole, part in self.rest:
            words += [str(hole), shown(part)] if part else [str(hole)]
        return " ".join(words)

    def look(self, client, over):
        """Return what it takes of what has come to a client."""
        return client.look_for_text(self, over)

    def walk(self, data, over):
        """Return how many bytes it takes, and what it captures of them.

        None: the rest may still come; False: it is something else. What
        nothing stands behind ends when all is `over`.
        """
        if not data.startswith(self.first):
            return None if self.first.startswith(data) else False
        at, kept = len(self.first), {}
        for hole, part in self.rest:
            taken = hole.taken(data[at:], part)
            if taken is None or not (part or over):
                return None
            if hole.name:
                kept[hole.name] = data[at:at + taken]
            at += taken + len(part)
        return at, kept

    def walk_whole(self, data):
        """Return what it captures of all of `data`, None if not that."""
        if not self.rest:
            return {} if data == self.first else None
        begins = Text(self.first)
        *begins.rest, (hole, last) = self.rest
        at, kept = begins.walk(data, True) or (len(data) + 1, {})
        end = len(data) - len(last)
        rest = data[at:end]
        if end < at or not (data.endswith(last) and hole.may_be(rest)):
            return None
        return {**kept, hole.name: rest} if hole.name else kept


class EndBy:
    """The end of a connection, as a way in which it may go on."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def __str__(self):
        return " or ".join(self.kinds)

    def look(self, client, over):
        """Return whether it has come, and nothing before it.

        None: it may still come; False: it cannot any more.
        """
        if client.has_more():
            return False
        if client.end is None:
            return None
        return (0, {}) if client.end in self.kinds else False


def receive_buffer(size):
    """Bound the receive buffer before the handshake."""
    return lambda client: client.socket.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, size
    )


def segment_size(size):
    """Bound the segments."""
    return lambda client: client.socket.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_MAXSEG, size
    )


def source(ip):
    """Come from this address."""
    return lambda client: client.socket.bind((ip, 0))


def same_port():
    """Come from the port of the connection before."""
    return lambda client: client.socket.bind(client.local)


def side_by_side(clients, walk):
    """Let each client walk at its own pace; wait for all of them."""
    failures = []

    def run(client):
        try:
            walk(client)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=[client], daemon=True)
               for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # What the server has broken is told before what was not to be seen.
    failures.sort(key=lambda failure: not isinstance(failure, Broken))
    if failures:
        raise failures[0]


def noise(size, seed, member=0):
    """Return bytes from SplitMix64, the same for the same seed."""
    word = (1 << 64) - 1
    state = seed ^ (member << 32)
    made = bytearray()
    while len(made) < size:
        state = (state + 0x9E3779B97F4A7C15) & word
        mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & word
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & word
        made += (mixed ^ (mixed >> 31)).to_bytes(8, "little")
    return bytes(made[:size])


def letters(size, seed, member=0):
    """Return lower-case letters, the same for the same seed."""
    return bytes(97 + byte % 26 for byte in noise(size, seed, member))


def line(size, seed, member=0):
    """Return lower-case letters with a newline at the end."""
    return letters(size, seed, member)[:-1] + b"\n"


def lines_of(size, each, seed, member=0):
    """Return lines of lower-case letters, no two of which are alike."""
    made = bytearray(letters(size, seed, member))
    made[each - 1::each] = b"\n" * (size // each)
    made[-1:] = b"\n"
    return bytes(made)


def cut_at(data, *positions):
    """Return the segments of `data`, cut before these positions."""
    ends = [*positions, len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends)
            if start < end and data[start:end]]


def pieces(data, size):
    """Return `data` in pieces of this size."""
    return [data[at:at + size] for at in range(0, len(data), size)]


def perform(case, find):
    """Perform a case on a server of its own; return what is broken."""
    server = SERVER(find)
    try:
        server.start()
        case(server)
    except Broken as broken:
        if THREADS_FAILED:
            raise Unable(THREADS_FAILED[0]) from None
        return server.unasked_end(1) or str(broken)
    except Unable:
        end = server.unasked_end(1)
        if end is None:
            raise
        return end
    finally:
        put_away(server)
    if THREADS_FAILED:
        raise Unable(THREADS_FAILED[0])
    return None


def put_away(server):
    """End the server, and leave nothing behind; nobody interrupts that."""
    signals = (signal.SIGALRM, *ENDING)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    for one in (server, *server.backends.values()):
        one.sweep()
        shutil.rmtree(one.folder, ignore_errors=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    server.part()


# What ends this program before its time, and what a thread of it failed by.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
THREADS_FAILED = []


class Ended(BaseException):
    """Somebody ended this program."""


def heed_signals():
    """End in good order when somebody, or the clock, ends this program."""
    signal.signal(signal.SIGALRM, out_of_time)
    for number in ENDING:
        # What nohup(1) has set aside stays so.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, ended_by)


def ended_by(number, _):
    """Leave what was begun, and put it away."""
    raise Ended(number)


def out_of_time(*_):
    """Give up; a time limit of its own holds for every step, too."""
    raise Unable(f"this program took longer than {TIME_LIMIT} s")


def as_mistake(error):
    """Return an error that this program did not count on, in words."""
    return f"this program failed: {type(error).__name__}: {error}"


def keep_failure(failed):
    """Write down what a thread of this program failed by."""
    THREADS_FAILED.append(as_mistake(failed.exc_value))


def verdict():
    """Return 0 if the server keeps its promises, 1 if not."""
    heed_signals()
    threading.excepthook = keep_failure
    signal.alarm(TIME_LIMIT)
    keep_orphans()
    for case in CASES:
        broken = perform(case, FIND)
        if broken is not None:
            print(f"{case.__doc__[:-1]}: {broken}.")
            return 1
    return 0


def main():
    """Return 0 if the server keeps its promises, 1 if not, 2 if unknown."""
    try:
        return verdict()
    except Unable as unable:
        why, status = unable, 2
    except Ended as ended:
        number = ended.args[0]
        why = f"ended by {signal.Signals(number).name}"
        status = 128 + number
    except Exception as error:
        why, status = as_mistake(error), 2
    print(f"nothing was shown: {why}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
