//! Reproducers do with Python alone what the scenario says: they find what is broken, and nothing where nothing is.
//!
//! - `shown::NAME`: the program exits with 1 and one sentence on a faulty server, and with 0 on a correct one, and for
//!   some of them so does sockdrill itself;
//! - `quiet::FILE`: the program of a scenario file exits with 0 on the reference server that the file names.

use crate::kit::sockdrill;
use crate::needing_python;
use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A case that tells a faulty server from a correct one.
struct Shown {
    name: &'static str,
    speaks: &'static str,
    /// The lines of the case.
    case: &'static str,
    faulty: &'static [&'static str],
    correct: &'static [&'static str],
    /// What the sentence says.
    says: &'static str,
    /// A line that the program must have.
    has: &'static str,
}

/// Runs a server that takes a fixed port on another one: its file, the port in it, the port to take.
const ON_PORT: &str =
    "import sys; exec(open(sys.argv[1]).read().replace(sys.argv[2], sys.argv[3]))";

/// Runs a server that ignores SIGHUP: its file, its argument.
const HUP_IGNORED: &str = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); del sys.argv[0]; \
                           exec(open(sys.argv[0]).read())";

/// A server that a signal to end makes die of another one.
const DIES_OF_ANOTHER_SIGNAL: &str = "\
import os, signal, socket
signal.signal(signal.SIGXCPU, signal.SIG_DFL)
signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGXCPU))
listener = socket.create_server((\"127.0.0.1\", 0))
while True:
    listener.accept()[0].close()
";

/// A server that gives each client a number to come with again, and bids it welcome a moment later; how it is wrong stands in the
/// last argument.
const GIVES_NUMBERS: &str = "\
import itertools, socketserver, sys, time
wrong = sys.argv[2]
numbers = itertools.count(41)
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            word, _, rest = line.strip().partition(b' ')
            if word == b'hello':
                self.server.number = next(numbers)
                self.say(f'number={self.server.number};\\n')
            elif word == b'wait':
                time.sleep(0 if wrong == 'hasty' else 0.4)
                self.say('done\\n')
            elif word == b'again':
                known = rest == str(self.server.number).encode()
                self.say('welcome\\n' if known and wrong != 'forgetful' else 'who?\\n')
            elif word == b'who':
                number = self.server.number if wrong == 'talkative' else 0
                self.say(f'one with {number}\\n')
            else:
                if wrong == 'silent':
                    time.sleep(60)
                return
    def say(self, text):
        self.wfile.write(text.encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    number = 0
Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever(None)
";

/// What sockdrill itself finds in the same case, too.
const FOUND_BY_BOTH: &[Shown] = &[
    Shown {
        name: "number_that_is_not_known_again",
        speaks: "discard",
        case: "clients: alice\n  alice connect\n  alice send \"hello\\n\"\n  alice expect \"number={n:[0-9]+};\\n\"\n  \
               alice send \"again {n}\\n\"\n  alice expect \"{:[a-v]+|welcome}\\n\" or \"sorry {line}\\n\" within 5s",
        faulty: &["python3", "-c", GIVES_NUMBERS, "{port}", "forgetful"],
        correct: &["python3", "-c", GIVES_NUMBERS, "{port}", "nothing"],
        says: "alice waited 5 s for {:[a-v]+|welcome} b'\\n' or b'sorry ' {line} b'\\n' and got b'who?\\n'",
        has: "    alice.send(b\"again \" + alice.told(\"n\") + b\"\\n\")",
    },
    Shown {
        name: "number_that_others_are_told",
        speaks: "discard",
        case: "clients: alice bob\n  alice connect\n  alice send \"hello\\n\"\n  \
               alice expect \"number={n:[0-9]+};\\n\"\n  bob connect\n  bob never \"{n}\"\n  bob send \"who\\n\"\n  \
               bob expect \"one with {line}\\n\"",
        faulty: &["python3", "-c", GIVES_NUMBERS, "{port}", "talkative"],
        correct: &["python3", "-c", GIVES_NUMBERS, "{port}", "nothing"],
        says: "bob got b'41', which must never come",
        has: "    bob.never(bob.told(\"n\"))",
    },
    Shown {
        name: "answer_that_comes_too_soon",
        speaks: "discard",
        case: "clients: alice\n  alice connect\n  alice send \"wait\\n\"\n  \
               alice expect \"done\\n\" after 200ms within 4s",
        faulty: &["python3", "-c", GIVES_NUMBERS, "{port}", "hasty"],
        correct: &["python3", "-c", GIVES_NUMBERS, "{port}", "nothing"],
        says: " s, not after 0.2 s",
        has: "    with NotBefore(alice, 0.2):",
    },
    Shown {
        name: "neither_an_answer_nor_an_end",
        speaks: "discard",
        case: "clients: alice\n  alice connect\n  alice send \"bye\\n\"\n  \
               alice expect \"bye\\n\" or fin or reset within 2s",
        faulty: &["python3", "-c", GIVES_NUMBERS, "{port}", "silent"],
        correct: &["python3", "-c", GIVES_NUMBERS, "{port}", "nothing"],
        says: "alice waited 2 s for b'bye\\n' or fin or reset and got nothing",
        has: "    alice.expect_one_of(Text(b\"bye\\n\"), EndBy(\"fin\", \"reset\"), within=2)",
    },
    Shown {
        name: "output_that_must_not_be",
        speaks: "discard",
        case: "clients: alice\n  server never output \"secret\"\n  alice connect\n  alice close",
        faulty: &[
            "sh",
            "-c",
            "echo a secret; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "discard",
            "--port",
            "{port}",
        ],
        correct: &[
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "discard",
            "--port",
            "{port}",
        ],
        says: "the server printed b'secret'",
        has: "    server.never_print(b\"secret\")",
    },
];

const SHOWN: &[Shown] = &[
    Shown {
        name: "external_server_that_is_dead_before_it_is_told_to_end",
        speaks: "echo",
        case: "clients: mallory\n  mallory connect\n  mallory send \"hel\"\n  mallory expect \"hel\"\n  \
               mallory reset\n  settle\n  server signal TERM\n  server expect exit",
        faulty: &["python3", "fixtures/external/dies_of_a_reset.py", "0"],
        correct: &[
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "echo",
            "--port",
            "{port}",
        ],
        says: "the server exited with status 1",
        has: "    server.signal(signal.SIGTERM)",
    },
    Shown {
        name: "external_server_that_a_signal_did_not_end",
        speaks: "echo",
        case: "clients: mallory\n  server signal HUP\n  mallory connect\n  mallory send \"hel\"\n  \
               mallory expect \"hel\"\n  mallory reset\n  settle",
        faulty: &[
            "python3",
            "-c",
            HUP_IGNORED,
            "fixtures/external/dies_of_a_reset.py",
            "0",
        ],
        correct: &[
            "sh",
            "-c",
            "trap '' HUP; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "echo",
            "--port",
            "{port}",
        ],
        says: "the server exited with status 1",
        has: "    server.signal(signal.SIGHUP)",
    },
    Shown {
        name: "server_that_dies_of_another_signal_than_it_is_sent",
        speaks: "echo",
        case: "clients: alice\n  server signal TERM\n  server require exit",
        faulty: &["python3", "-c", DIES_OF_ANOTHER_SIGNAL],
        correct: &[
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "echo",
            "--port",
            "{port}",
        ],
        says: "SIGXCPU",
        has: "        server.expect_exit()",
    },
    Shown {
        name: "external_server_that_dies_of_a_reset",
        speaks: "echo",
        case: "clients: alice mallory\n  mallory connect\n  mallory send \"hel\"\n  mallory reset\n  \
               alice connect\n  alice send \"hello\"\n  alice expect \"hello\"",
        // It is not told the port, which has to be found.
        faulty: &["python3", "fixtures/external/dies_of_a_reset.py", "0"],
        correct: &[
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "echo",
            "--port",
            "{port}",
        ],
        says: "the server exited with status 1",
        has: "    mallory.reset()",
    },
    Shown {
        name: "external_server_that_says_something_else_than_what_is_unasked",
        speaks: "line-idle",
        case: "clients: alice\n  alice connect\n  pause 1200ms\n  alice send \"hello\\n\"\n  alice expect \"hello\\n\"",
        faulty: &[
            "python3",
            "fixtures/external/asks_whether_you_are_there.py",
            "lines",
            "{port}",
        ],
        correct: &[
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "line-idle",
            "--port",
            "{port}",
        ],
        says: "wrong from byte 0 on",
        has: "UNASKED = [",
    },
    Shown {
        name: "reset_that_is_not_handled",
        speaks: "uppercase-in-turn",
        case: "clients: mallory\n  mallory connect\n  mallory send \"hel\"\n  mallory reset",
        faulty: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/reset_not_handled.py",
            "9003",
            "{port}",
        ],
        correct: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/reset_not_handled_fixed.py",
            "9003",
            "{port}",
        ],
        says: "the server exited with status 1",
        has: "    mallory.send(b\"hel\")",
    },
    Shown {
        name: "line_that_is_cut",
        speaks: "operator",
        case: "clients: alice\n  alice connect\n  alice send \"good morning\\n\" cut at 5\n  \
               alice expect \"operator: you said good morning\\n\"",
        faulty: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/one_read_one_message.py",
            "9007",
            "{port}",
        ],
        correct: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/one_read_one_message_fixed.py",
            "9007",
            "{port}",
        ],
        says: "wrong from byte",
        has: "    alice.send_segments(cut_at(b\"good morning\\n\", 5))",
    },
    Shown {
        name: "datagram_that_is_cut",
        speaks: "udp-echo",
        case: "clients: alice\n  alice connect\n  alice send pattern 2KiB seed 7\n  \
               alice expect pattern 2KiB seed 7",
        faulty: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/datagram_cut.py",
            "9012",
            "{port}",
        ],
        correct: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/datagram_cut_fixed.py",
            "9012",
            "{port}",
        ],
        says: "(1024 bytes) for the datagram",
        has: "    alice.expect_datagram(noise(2048, 7))",
    },
    Shown {
        name: "crowd_that_waits_for_one",
        speaks: "uppercase-threads",
        case: "clients: alice[5]\n  alice connect\n  alice send text 100B seed 3\n  \
               alice expect text 100B seed 3 in capitals within 2s",
        faulty: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/one_blocks_all.py",
            "9004",
            "{port}",
        ],
        correct: &[
            "python3",
            "-c",
            ON_PORT,
            "fixtures/faulty/one_blocks_all_fixed.py",
            "9004",
            "{port}",
        ],
        says: "] waited 2 s",
        has: "    side_by_side(alice, walk_1)",
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let shown = SHOWN.iter().map(|shown| {
        let name = format!("shown::{}", shown.name);
        needing_python(name, || is_shown(shown))
    });
    let both = FOUND_BY_BOTH.iter().map(|shown| {
        let name = format!("shown::{}", shown.name);
        needing_python(name, || is_found_by_both(shown))
    });
    let quiet = scenario_files().into_iter().map(|file| {
        let name = file.with_extension("").display().to_string();
        let name = format!("quiet::{}", name.replace('/', "::"));
        needing_python(name, move || is_quiet(&file))
    });
    let refused = [Trial::test("what_python_cannot_see_is_refused", is_refused)];
    let unable = needing_python(
        "server_that_does_not_start_shows_nothing".to_owned(),
        shows_nothing,
    );
    let shown = shown.chain(both);
    shown.chain(quiet).chain(refused).chain([unable]).collect()
}

fn scenario_files() -> Vec<PathBuf> {
    let folders = std::fs::read_dir("fixtures/scenarios")
        .into_iter()
        .flatten()
        .flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten());
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.retain(|file| is_for_a_reference_server(file));
    files.sort();
    files
}

/// Targets beside scenarios need more than a command: sysctls, or a server that is no reference for anything.
fn is_for_a_reference_server(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut settings = text
        .lines()
        .filter_map(|line| line.strip_prefix("server: "));
    settings.any(|server| sockdrill::ReferenceServer::find(server.trim()).is_some())
}

/// The program for a file, and what becomes of it.
fn reproduce(
    arguments: &[&str],
    file: &Path,
    command: &[&str],
) -> Result<(String, Output), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("reproducer.py");
    sockdrill(&["repro"])
        .args(arguments)
        .arg("--output")
        .args([path.as_path(), file])
        .args(behind_dashes(command))
        .run()
        .code(0);
    let program = std::fs::read_to_string(&path)?;
    let output = Command::new("python3").arg(&path).output()?;
    Ok((program, output))
}

/// The command of a server as the last arguments, none where the file names its server.
fn behind_dashes<'a>(command: &[&'a str]) -> Vec<&'a str> {
    match command {
        [] => Vec::new(),
        _ => [&["--"], command].concat(),
    }
}

fn demand(output: &Output, status: i32, says: &str) -> Result<(), Failed> {
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let is_as_demanded = output.status.code() == Some(status)
        && (said.contains(says) || complained.contains(says))
        && said.lines().count() == usize::from(status == 1);
    match is_as_demanded {
        true => Ok(()),
        false => Err(Failed::from(format!(
            "{}, not {status} and `{says}`\n{said}\n{complained}",
            output.status
        ))),
    }
}

fn case_file(folder: &Path, shown: &Shown) -> Result<PathBuf, Failed> {
    let file = folder.join("case.drill");
    std::fs::write(&file, format!("case what is shown\n  {}\n", shown.case))?;
    Ok(file)
}

fn is_shown(shown: &Shown) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = case_file(folder.path(), shown)?;
    let speaks = ["--speaks", shown.speaks];
    let (program, output) = reproduce(&speaks, &file, shown.faulty)?;
    demand(&output, 1, shown.says)?;
    if !program.lines().any(|line| line == shown.has) {
        return Err(Failed::from(format!(
            "no line `{}` in\n{program}",
            shown.has
        )));
    }
    let (_, output) = reproduce(&speaks, &file, shown.correct)?;
    demand(&output, 0, "")
}

fn is_found_by_both(shown: &Shown) -> Result<(), Failed> {
    is_shown(shown)?;
    let folder = tempfile::tempdir()?;
    let file = case_file(folder.path(), shown)?;
    for (command, status) in [(shown.faulty, 1), (shown.correct, 0)] {
        let run = sockdrill(&["run", "--speaks", shown.speaks]).arg(&file);
        run.args(behind_dashes(command)).run().code(status);
    }
    Ok(())
}

fn is_quiet(file: &Path) -> Result<(), Failed> {
    let (program, output) = reproduce(&[], file, &[])?;
    demand(&output, 0, "")?;
    match program.lines().find(|line| line.chars().count() > 79) {
        Some(line) => Err(Failed::from(format!("a long line: {line}"))),
        None => Ok(()),
    }
}

/// The limit of a Unix socket's accept queue stands in no file.
fn is_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("case.drill");
    std::fs::write(&file, "case depth\n\n  server expect backlog 5\n")?;
    sockdrill(&["repro"])
        .arg(&file)
        .args(["--", "./server", "{path}"])
        .run()
        .code(2)
        .complains("server expect backlog 5");
    Ok(())
}

fn shows_nothing() -> Result<(), Failed> {
    let file = Path::new("fixtures/scenarios/reset/mid-request.drill");
    let (_, output) = reproduce(&[], file, &["python3", "-c", "raise SystemExit(3)"])?;
    demand(
        &output,
        2,
        "the server exited with status 3 before it listened",
    )
}
