//! What servers, files, processes and arguments are called and say is shown, and does nothing where it is written.

use crate::eventually;
use crate::kit::{Run, sockdrill};
use rstest::rstest;
use std::path::Path;

/// A server that gives its process a name, prints it, and serves; or only ends, where there is no port.
const SERVER: &str = r#"
import ctypes, os, socket, sys, threading
name = bytes.fromhex(sys.argv[1])
if name:
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
if len(sys.argv) < 3:
    os.write(2, b"words \x1b]0;title\x07 \xc2\x9b2J \xe2\x80\xae\x00 behind\r\n")
    sys.exit(3)
server = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=128)
def serve(client):
    with client:
        try:
            while data := client.recv(65536):
                client.sendall(data)
        except OSError:
            pass
while True:
    client = server.accept()[0]
    threading.Thread(target=serve, args=[client], daemon=True).start()
"#;

/// Names as processes have them, which hold fifteen bytes.
const PLAIN: &str = "";
const NO_UTF8: &[u8] = b"\xff\xfe) R 1";
const OF_LINES: &[u8] = b"\x1b[31m\nfail x)";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text would do something where it is shown.
fn is_active(text: &str) -> bool {
    let active = |c: char| {
        c.is_control() && !"\n\t".contains(c)
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.contains(active)
}

#[track_caller]
fn harmless(run: Run) -> Run {
    let holds = !is_active(&run.stdout) && !is_active(&run.stderr);
    run.demand(holds, "a control character reaches the terminal")
}

/// The checks that were tried on it, of which none fails. How many of them prove something is for the load of the host.
fn tried(name: &str) -> Vec<String> {
    let only = ["reset/mid-request", "polite", "crowd/one-silent"];
    let only = only.iter().flat_map(|only| ["--only", only]);
    let run = sockdrill(&["check", "--speaks", "echo"]).args(only);
    let server = ["--", "python3", "-c", SERVER, name, "{port}"];
    let run = harmless(run.reporting().args(server).run());
    let checks = run.report["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["verdict"] != "skip");
    let tried = checks.map(|check| {
        assert_ne!(check["verdict"], "fail", "{check}");
        check["id"].as_str().unwrap().to_owned()
    });
    tried.collect()
}

#[rstest]
#[case::no_utf8(NO_UTF8)]
#[case::with_lines_and_colours(OF_LINES)]
fn process_is_checked_whatever_it_is_called(#[case] name: &[u8]) {
    let named = tried(&hex(name));
    assert_eq!(tried(PLAIN), named);
    assert!(named.len() > 3, "{named:?}");
}

/// The name of who is in the way is part of an error.
#[test]
fn name_of_a_process_begins_no_line() {
    let mut holder = std::process::Command::new("python3")
        .args(["-c", SERVER, &hex(OF_LINES), "0"])
        .spawn()
        .unwrap();
    let mut port = None;
    let listens = eventually(|| {
        port = listening_port(holder.id());
        port.is_some()
    });
    assert!(listens, "it does not listen");
    let port = port.unwrap();
    let run = sockdrill(&["check", "--isolation", "host", "--speaks", "echo", "--"])
        .args(["sh", "-c", &format!("exit 1 # {port}")])
        .run();
    holder.kill().unwrap();
    holder.wait().unwrap();
    let name = format!(r"process {} (\x1b[31m\nfail x))", holder.id());
    harmless(run).code(3).complains(name);
}

/// The port that a process listens on, as `/proc` tells it.
fn listening_port(pid: u32) -> Option<u16> {
    let sockets = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let sockets = sockets.flatten().filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        let inode = target
            .to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?;
        Some(inode.to_owned())
    });
    let sockets: Vec<String> = sockets.collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    let mut rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| {
        row.get(3) == Some(&"0A") && sockets.iter().any(|own| row.get(9) == Some(&own.as_str()))
    })?;
    u16::from_str_radix(row[1].rsplit_once(':')?.1, 16).ok()
}

#[test]
fn last_words_of_a_server_are_shown() {
    let run = sockdrill(&[
        "check", "--speaks", "echo", "--", "python3", "-c", SERVER, "",
    ]);
    harmless(run.run())
        .code(3)
        .complains(r"words \x1b]0;title\x07 \u{9b}2J \u{202e}\x00 behind");
}

/// A file whose name and text are hostile, in a folder of its own.
fn hostile_file(folder: &Path, extension: &str, text: &str) -> std::path::PathBuf {
    let file = folder.join(format!("bad\x1b[31m\n\u{202e}.{extension}"));
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn file_is_named_and_quoted_harmlessly() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("\x1b]0;x\x07.drill");
    harmless(sockdrill(&["run"]).arg(&nowhere).run())
        .code(3)
        .complains(r"\x1b]0;x\x07.drill");
    for (extension, text) in [
        (
            "drill",
            "case \x1b[31mred\n  clients: a\x07lice\n\u{202e}\n",
        ),
        ("json", "{\"cases\": [\x1b[31m \u{9b}"),
    ] {
        let file = hostile_file(folder.path(), extension, text);
        harmless(sockdrill(&["run"]).arg(&file).run())
            .code(2)
            .complains("\u{5c}x1b");
    }
    for text in ["command = \x1b[31m", "\u{202e}\u{7f} = 1\x07"] {
        let file = hostile_file(folder.path(), "toml", text);
        harmless(sockdrill(&["check"]).arg(&file).run())
            .code(2)
            .complains("\u{5c}x1b");
        let speaks = sockdrill(&["check", "--speaks"]).arg(&file);
        harmless(speaks.args(["--", "true"]).run())
            .code(2)
            .complains("\u{5c}x1b");
    }
}

#[test]
fn arguments_are_quoted_harmlessly() {
    for arguments in [
        ["explain", "\x1b[31m\u{202e}x"],
        ["list", "\x1b[31m\u{202e}x"],
        ["check", "\x1b[31m\u{202e}x"],
        ["serve", "\x1b[31m\u{202e}x"],
        ["\x1b[31m\u{202e}x", "--\x07"],
    ] {
        harmless(sockdrill(&arguments).run())
            .code(2)
            .complains(r"\u{202e}x");
    }
    let started = ["check", "--speaks", "echo", "--", "\x1b[31m\nx"];
    harmless(sockdrill(&started).run())
        .code(3)
        .complains(r"\x1b[31m\nx");
}

/// Its process says what it likes in an alarm, which every report quotes.
#[test]
fn reports_hold_nothing_that_does_something() {
    let server = format!(
        "import os\nos.write(2, b'Traceback (most recent call last):\\n  File \"\\x1b[31m.py\", line 1, in f\\nE\\x07rror: \\xe2\\x80\\xae<b>\\xef\\xbf\\xbf\\x00\\n'){SERVER}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let scenario = file("a\x1b[31m\n.drill");
    let text = "case \u{202e}words\u{9b}\n  clients: alice\n\n  alice connect\n  alice send \"hello\"\n  alice expect \"other\"\n";
    std::fs::write(&scenario, text).unwrap();
    let run = sockdrill(&["run", "--speaks", "echo", "--verbose"]).arg(&scenario);
    let run = run
        .arg("--html")
        .arg(file("r.html"))
        .arg("--junit")
        .arg(file("r.xml"));
    let run = run
        .arg("--transcripts")
        .arg(file("transcripts"))
        .arg("--artifacts")
        .arg(file("artifacts"));
    let run = run.arg("--json").arg(file("r.json"));
    let server = ["--", "python3", "-c", &server, &hex(OF_LINES), "{port}"];
    harmless(run.args(server).run())
        .code(1)
        .prints(r"\u{202e}words\u{9b}");
    for name in ["r.html", "r.xml", "r.json"] {
        let text = std::fs::read_to_string(file(name)).unwrap();
        assert!(!is_active(&text), "{name}: {text}");
        assert!(text.contains("words"), "{name}: {text}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file("r.json")).unwrap()).unwrap();
    assert_eq!(json["checks"][0]["requirement"], "\u{202e}words\u{9b}");
    for transcript in std::fs::read_dir(file("transcripts")).unwrap() {
        let text = std::fs::read_to_string(transcript.unwrap().path()).unwrap();
        assert!(!is_active(&text), "{text}");
    }
    let program = sockdrill(&["repro"])
        .arg(&scenario)
        .args(["--", "./server", "{port}"])
        .run();
    let program = harmless(program).code(0).stdout;
    let compiled = std::process::Command::new("python3")
        .args([
            "-c",
            "import sys; compile(sys.argv[1], 'program', 'exec')",
            &program,
        ])
        .status();
    assert!(compiled.unwrap().success(), "{program}");
}
