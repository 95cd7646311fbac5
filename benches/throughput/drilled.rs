//! What sockdrill does to a server, run as its users run it.

use crate::Drilled;
use serde_json::Value;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many servers a round has.
const SERVERS: u32 = 100;

/// How many connections a round has.
const CONNECTIONS: u32 = 1_000;

/// How many drawn cases a round has.
const CASES: u32 = 100;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// A run, the report that it wrote, and how long it took.
struct Ran {
    report: Value,
    took: Duration,
}

impl Ran {
    fn of(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let json = folder.path().join("report.json");
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .arg("--timings")
            .arg("--json")
            .arg(&json);
        let begun = Instant::now();
        let status = command.stdout(Stdio::null()).status();
        let took = begun.elapsed();
        status.expect("the program is built");
        // There is none of a server that is not installed.
        let report = std::fs::read(json).unwrap_or_else(|_| b"null".to_vec());
        let report = serde_json::from_slice(&report).expect("the report is JSON");
        Self { report, took }
    }

    /// How long its checks took, one after the other.
    fn of_checks(&self) -> Duration {
        let checks = self.report["checks"].as_array().into_iter().flatten();
        let took = checks.filter_map(|check| check["duration_ms"].as_u64());
        Duration::from_millis(took.sum())
    }

    /// How long the one waits that waits longest for replies, and for the time that its scenarios want.
    fn longest_wait(&self) -> Duration {
        let checks = self.report["checks"].as_array().into_iter().flatten();
        let waits = checks.filter_map(|check| check["spent_ms"]["scenario"].as_u64());
        Duration::from_millis(waits.max().unwrap_or(0))
    }

    fn peak_bytes(&self) -> u64 {
        let peak = self.report["timings"]["peak_memory_bytes"].as_u64();
        peak.unwrap_or(0)
    }

    fn taking(&self, took: Duration) -> Drilled {
        let verdicts = self.report["checks"].as_array().into_iter().flatten();
        let verdicts = verdicts.filter_map(|check| check["verdict"].as_str());
        for other in verdicts.filter(|verdict| *verdict != "pass") {
            println!("(the next figure is of a run that did not pass: {other})");
        }
        Drilled {
            took,
            peak_bytes: self.peak_bytes(),
        }
    }
}

/// Runs cases, each on a server of its own.
fn run(cases: &[String], jobs: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let server = folder.path().join("server.toml");
    let command = [PROGRAM, "serve", "echo", "--port", "{port}"];
    let target = format!("command = {command:?}\nspeaks = \"echo\"\n");
    std::fs::write(&server, target).expect("a file");
    let file = folder.path().join("cases.drill");
    let mut text = "server: server.toml\n".to_owned();
    for (n, case) in cases.iter().enumerate() {
        let _ = write!(text, "\ncase number {n}\n{case}");
    }
    std::fs::write(&file, text).expect("a file");
    Ran::of(&["run", &file.to_string_lossy(), "--jobs", jobs])
}

/// A server from its start to its end, so many at a time.
pub(super) fn servers(jobs: u32) -> Drilled {
    let case = "  clients: alice\n\n  alice connect\n  alice send \"hello\"\n  alice expect \"hello\"\n  alice close\n";
    let cases = vec![case.to_owned(); SERVERS as usize];
    let ran = run(&cases, &jobs.to_string());
    ran.taking(ran.took / SERVERS)
}

/// A client that connects and does this, of many that do so one after the other.
pub(super) fn connections(steps: &str) -> Drilled {
    let case = |times: u32| {
        let mut case = format!("  clients: alice\n\n  repeat {times}\n    alice connect\n");
        for step in steps.lines() {
            let _ = writeln!(case, "    alice {step}");
        }
        case + "  end\n"
    };
    let one = run(&[case(1)], "1");
    let many = run(&[case(1 + CONNECTIONS)], "1");
    let more = many.of_checks().saturating_sub(one.of_checks());
    many.taking(more / CONNECTIONS)
}

/// So many MiB to the server and back.
pub(super) fn bytes(mebibytes: u32) -> Drilled {
    let case = |times: u32| {
        let mut case = "  clients: alice\n\n  alice connect\n".to_owned();
        for _ in 0..times {
            case += "  alice send pattern 16MiB seed 1 in the background\n  alice expect pattern 16MiB seed 1 within 60s\n";
        }
        case + "  alice close\n"
    };
    let none = run(&[case(0)], "1");
    let all = run(&[case(mebibytes / 16)], "1");
    all.taking(all.of_checks().saturating_sub(none.of_checks()))
}

/// A crowd that connects, and of which each says a word when all are there.
pub(super) fn crowd(members: u32) -> Drilled {
    let case = |members: u32| {
        format!(
            "  clients: crowd[{members}]\n\n  crowd connect\n  barrier\n  crowd send \"hello\"\n  barrier\n  \
             crowd expect \"hello\" within 60s\n  crowd close\n"
        )
    };
    let one = run(&[case(2)], "1");
    let all = run(&[case(members)], "1");
    all.taking(all.of_checks().saturating_sub(one.of_checks()))
}

/// A drawn case of a property.
pub(super) fn property(server: &str, check: &str) -> Drilled {
    let cases = CASES.to_string();
    let ran = Ran::of(&["check", server, "--only", check, "--cases", &cases]);
    ran.taking(ran.of_checks() / CASES)
}

/// What a whole battery takes, and uses of the host; a server that is not installed has none.
pub(super) fn print_battery(name: &str, server: &str) {
    let ran = Ran::of(&["check", server]);
    let timings = &ran.report["timings"];
    let Some(processor) = timings["processor_ms"].as_u64() else {
        return;
    };
    let (took, longest) = (ran.took.as_secs_f64(), ran.longest_wait().as_secs_f64());
    println!(
        "{name}: {took:.1} s, of which the longest wait is {longest:.1} s; {:.2} of a processor, {} MiB at most, {} servers",
        processor as f64 / 1e3 / took,
        ran.peak_bytes() >> 20,
        timings["starts_ms"].as_array().map_or(0, Vec::len)
    );
    println!("  its time in ms, summed: {}", timings["spent_ms"]);
}
