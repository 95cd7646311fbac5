//! What the kernel may answer to the system calls of servers, whatever they are written in, and whoever drills them.

use crate::kit::{Run, sockdrill};
use crate::{eventually, host, marked};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// The user that owns nothing (`nobody`).
const NOBODY: u32 = 65_534;

/// A server of many kinds, by its first argument.
const IN_C: &str = "fixtures/external/echoes.c";

const IN_GO: &str = r#"package main

import (
	"io"
	"net"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			continue
		}
		go func() {
			defer client.Close()
			buffer := make([]byte, 4096)
			for {
				count, err := client.Read(buffer)
				if err != nil {
					return
				}
				if _, err := io.WriteString(client, string(buffer[:count])); err != nil {
					return
				}
			}
		}()
	}
}
"#;

const IN_JAVA: &str = r#"import java.io.IOException;
import java.net.*;

public class Server {
    static void serve(Socket client) {
        byte[] buffer = new byte[4096];
        try (client) {
            for (int count; (count = client.getInputStream().read(buffer)) > 0; ) {
                client.getOutputStream().write(buffer, 0, count);
            }
        } catch (IOException gone) {
            // That is its own end.
        }
    }

    public static void main(String[] words) throws IOException {
        InetAddress host = InetAddress.getByName("127.0.0.1");
        ServerSocket listener = new ServerSocket(Integer.parseInt(words[0]), 64, host);
        while (true) {
            try {
                Socket client = listener.accept();
                new Thread(() -> serve(client)).start();
            } catch (IOException aborted) {
                // The next one comes.
            }
        }
    }
}
"#;

/// Whoever reads until a read brings less than there is room for has read all (epoll(7)), and waits for the next edge.
const EDGES_IN_PYTHON: &str = r#"import select, socket, sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
listener.setblocking(False)
events = select.epoll()
events.register(listener, select.EPOLLIN)
clients, owed = {}, {}
EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


def end(number):
    clients.pop(number).close()
    del owed[number]


def read(number):
    while True:
        data = clients[number].recv(4096)
        owed[number] += data
        if len(data) < 4096:
            return data != b""


def write(number):
    while owed[number]:
        wanted = owed[number][:4096]
        sent = clients[number].send(wanted)
        owed[number] = owed[number][sent:]
        if sent < len(wanted):
            return


while True:
    for number, event in events.poll():
        try:
            if number == listener.fileno():
                client, _ = listener.accept()
                client.setblocking(False)
                clients[client.fileno()], owed[client.fileno()] = client, b""
                events.register(client, EDGES)
                continue
            goes_on = True
            if event & ~select.EPOLLOUT:
                try:
                    goes_on = read(number)
                except BlockingIOError:
                    pass
            write(number)
            if not goes_on:
                end(number)
        except BlockingIOError:
            pass
        except OSError:
            if number in clients:
                end(number)
"#;

/// Clients come while a connection is aborted; then all of what one says is read byte by byte.
const ABORTED_THEN_SHORT: &str = "\
case aborted, then short
  clients: mallory[3] alice

  server fail accept with ECONNABORTED
  mallory connect without-waiting
  server require answered
  mallory close
  server restore-calls
  server shorten read to 1B always
  alice connect
  alice send \"hello from alice\\n\"
  alice expect \"hello from alice\\n\"
  server require answered
  alice close
";

/// A folder with a scenario in it, which every user may read.
fn folder_with(case: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("case.drill"), case).unwrap();
    folder
}

/// Runs the scenario of a folder on a server.
fn run(folder: &Path, server: &[&str]) -> Run {
    sockdrill(&["run", "--verbose", "--speaks", "echo"])
        .arg(folder.join("case.drill"))
        .arg("--")
        .args(server)
        .arg("{port}")
        .run()
}

/// A server of a folder, which a compiler has made there; none where there is no such compiler.
fn built(folder: &Path, source: (&str, &str), compiler: &[&str]) -> Option<PathBuf> {
    let (name, text) = source;
    std::fs::write(folder.join(name), text).unwrap();
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).current_dir(folder);
    let is_there = match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{compiler:?}: {output:?}");
            true
        }
        Err(_) => false,
    };
    assert!(
        is_there || !host::is_required(compiler[0]),
        "no {}, although it is required",
        compiler[0]
    );
    is_there.then(|| folder.join("server"))
}

fn in_c(folder: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(IN_C).unwrap();
    let compiler = [
        "cc", "-O1", "-static", "-pthread", "-o", "server", "echoes.c",
    ];
    built(folder, ("echoes.c", &text), &compiler)
}

/// Demands that a connection was aborted and that reads were short.
fn demand_answers(run: Run) {
    run.code(0)
        .prints("of listener answered ECONNABORTED, ")
        .prints("of connections answered 1B of ")
        .prints("`server shorten read to 1B always`: proven, ");
}

#[rstest]
#[case::of_threads("threads")]
#[case::of_processes("processes")]
#[case::of_edges("edges")]
#[case::with_a_filter_of_its_own("filter")]
fn static_server_has_its_calls_answered(#[case] kind: &str) {
    let folder = folder_with(ABORTED_THEN_SHORT);
    if let Some(server) = in_c(folder.path()) {
        demand_answers(run(folder.path(), &[server.to_str().unwrap(), kind]));
    }
}

#[test]
fn go_server_has_its_calls_answered() {
    let folder = folder_with(ABORTED_THEN_SHORT);
    let compiler = ["go", "build", "-o", "server", "server.go"];
    if let Some(server) = built(folder.path(), ("server.go", IN_GO), &compiler) {
        // A runtime of its own, without a C library.
        demand_answers(run(folder.path(), &[server.to_str().unwrap()]));
    }
}

#[test]
fn java_server_has_its_calls_answered() {
    // A JVM starts some dozen threads, and takes one connection after the other in calls that wait.
    let folder = folder_with(ABORTED_THEN_SHORT);
    let compiler = ["javac", "Server.java"];
    if built(folder.path(), ("Server.java", IN_JAVA), &compiler).is_some() {
        let classes = folder.path().to_str().unwrap();
        let server = ["java", "-XX:+UseSerialGC", "-cp", classes, "Server"];
        demand_answers(run(folder.path(), &server));
    }
}

#[rstest]
#[case::namespace("auto")]
#[case::host("host")]
fn ordinary_user_has_calls_answered(#[case] isolation: &str) {
    let folder = folder_with(ABORTED_THEN_SHORT);
    let Some(server) = in_c(folder.path()) else {
        return;
    };
    let program = folder.path().join("sockdrill");
    // By another process: a child that is forked meanwhile would hold our descriptor, and ETXTBSY be the answer (execve(2)).
    let copied = Command::new("cp").arg(PROGRAM).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(program);
    command
        .args(["run", "--verbose", "--speaks", "echo", "--isolation"])
        .arg(isolation)
        .arg(folder.path().join("case.drill"))
        .arg("--")
        .arg(server)
        .args(["threads", "{port}"])
        .env("XDG_STATE_HOME", folder.path())
        .current_dir("/");
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("answered ECONNABORTED, "), "{told}");
    assert!(told.contains("answered 1B of "), "{told}");
}

/// All of it, in pieces of one byte, each of them found by an edge.
const LITTLE_BY_LITTLE: &str = "\
case read little by little
  clients: alice

  server shorten read to 1B always
  alice connect
  alice send pattern 1KiB seed 1
  alice expect pattern 1KiB seed 1
  server require answered
  alice half-close
  alice expect fin

case write little by little
  clients: alice

  server shorten write to 1B always
  alice connect
  alice send pattern 1KiB seed 1
  alice expect pattern 1KiB seed 1
  server require answered
  alice half-close
  alice expect fin

case both
  clients: alice

  server shorten read to 64B always
  server shorten write to 7B always
  alice connect
  alice send pattern 1KiB seed 1
  alice expect pattern 1KiB seed 1
  server require answered
  alice half-close
  alice expect fin
";

#[rstest]
#[case::in_c(true)]
#[case::in_python(false)]
fn server_that_waits_for_edges_is_told_of_what_a_short_read_has_left(#[case] in_c: bool) {
    let folder = folder_with(LITTLE_BY_LITTLE);
    let script = folder.path().join("edges.py");
    std::fs::write(&script, EDGES_IN_PYTHON).unwrap();
    let built = match in_c {
        true => self::in_c(folder.path()).map(|server| (server, "edges".to_owned())),
        false => Some(("python3".into(), script.display().to_string())),
    };
    if let Some((program, first)) = built {
        run(folder.path(), &[program.to_str().unwrap(), &first])
            .code(0)
            .prints("3 passed")
            .prints("of connections answered 1B of 4KiB, ")
            .prints("of connections answered 1B of 1KiB, ")
            .prints("`server shorten read to 1B always`: proven, ")
            .prints("`server shorten write to 1B always`: proven, ");
    }
}

/// Where a connection was aborted somebody sleeps from then on, for as long as the second argument says.
const TELLS_BY_A_CHILD: &str = r#"import socket, subprocess, sys, threading

def serve(client):
    while data := client.recv(4096):
        client.sendall(data)

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    try:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=[client], daemon=True).start()
    except ConnectionAbortedError:
        subprocess.Popen(["sleep", sys.argv[2]])
"#;

#[rstest]
fn nothing_is_left_of_a_run_that_is_killed_while_it_answers(
    #[values("namespace", "host")] isolation: &str,
) {
    let case = "case long\n  clients: mallory[3] alice\n\n  server shorten read to 1B always\n  \
                server fail accept with ECONNABORTED\n  mallory connect without-waiting\n  alice connect\n  \
                repeat 1000000\n    alice send \"hello\"\n    alice expect \"hello\"\n  end\n";
    let folder = folder_with(case);
    let script = folder.path().join("tells.py");
    std::fs::write(&script, TELLS_BY_A_CHILD).unwrap();
    // Nobody else sleeps for so long.
    let long = format!("{}{}", 2_000_000 + std::process::id(), isolation.len());
    let mut run = Command::new(PROGRAM)
        .args(["run", "--speaks", "echo", "--isolation", isolation])
        .arg(folder.path().join("case.drill"))
        .args(["--", "python3"])
        .arg(&script)
        .args(["{port}", &long])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sleeps = format!("sleep {long}");
    let is_aborted = eventually(|| !marked(&sleeps).is_empty());
    kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
    run.wait().unwrap();
    assert!(is_aborted, "no connection was aborted");
    let marker = &long;
    assert!(
        eventually(|| marked(marker).is_empty()),
        "{:?}",
        marked(marker)
    );
}

/// One that is never made proves nothing of this server, unless nothing was to be proven by it.
#[test]
fn call_that_a_server_never_makes_is_inconclusive() {
    let case = |tail: &str| {
        format!(
            "case never\n  clients: alice\n\n  server fail getpeername with ENOTCONN{tail}\n  alice connect\n  \
             alice send \"hello\"\n  alice expect \"hello\"\n"
        )
    };
    let told = |tail: &str| {
        let folder = folder_with(&case(tail));
        let server = [PROGRAM, "serve", "echo", "--port"];
        run(folder.path(), &server)
    };
    told("")
        .code(3)
        .prints("inconclusive")
        .prints("there was no call for `server fail getpeername with ENOTCONN`: ");
    told(" if-any").code(0).prints("1 passed");
}

#[test]
fn check_is_skipped_where_a_server_never_makes_its_call() {
    let run = sockdrill(&["check", "echo", "--only", "syscall/no-threads", "--verbose"]).run();
    run.prints("skip")
        .prints("there was no call for `server fail fork with EAGAIN * 3`");
}

/// What a maintainer is given to see it without sockdrill.
#[test]
fn program_of_the_handbook_shows_a_server_that_ends_over_an_error_of_accept() {
    let folder = folder_with("");
    let text = std::fs::read_to_string("docs/rare-answer.c").unwrap();
    let compiler = ["cc", "-O1", "-o", "server", "rare-answer.c"];
    let Some(program) = built(folder.path(), ("rare-answer.c", &text), &compiler) else {
        return;
    };
    let server = [
        PROGRAM,
        "serve",
        "echo",
        "--violate",
        "syscall/accept-network-errors",
        "--port",
        "0",
    ];
    let run = Command::new(program)
        .args(["accept", "ENETDOWN", "1", "--"])
        .args(server)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("call 1: ENETDOWN"), "{said}");
    assert!(
        said.contains("the server ended with status 3; 1 answers"),
        "{said}"
    );
}
