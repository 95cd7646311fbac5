use crate::kit::{Run, sockdrill};
use crate::{eventually, marked};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// A run in a folder of its own, whose lines are read while it goes on.
struct Going {
    folder: TempDir,
    run: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    text: String,
}

/// Begins a run in an empty folder.
fn begin(arguments: &[&str]) -> Going {
    let folder = tempfile::tempdir().unwrap();
    begin_in(folder, arguments)
}

fn begin_in(folder: TempDir, arguments: &[&str]) -> Going {
    let mut run = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built");
    let lines = BufReader::new(run.stdout.take().unwrap()).lines();
    Going {
        folder,
        run,
        lines,
        text: String::new(),
    }
}

impl Going {
    /// Reads on until a line holds this.
    fn until(&mut self, part: &str) {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            self.text += &format!("{line}\n");
            if line.contains(part) {
                return;
            }
        }
        panic!("no line with `{part}`:\n{}", self.text);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.run), signal).expect("it runs");
    }

    /// Reads to the end: the exit code, and the errors.
    fn end(&mut self) -> (Option<i32>, String) {
        for line in self.lines.by_ref() {
            self.text += &format!("{}\n", line.unwrap());
        }
        let mut errors = String::new();
        let stderr = self.run.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        (self.run.wait().unwrap().code(), errors)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }
}

const ALL_FORMS: &[&str] = &[
    "--json",
    "r.json",
    "--junit",
    "r.xml",
    "--html",
    "r.html",
    "--artifacts",
    "failed",
    "--transcripts",
    "seen",
];

/// What is known when the first check has failed, and one that takes a minute has not yet passed.
#[rstest]
fn interrupted_check_is_reported_in_every_form(
    #[values(Signal::INT, Signal::TERM, Signal::HUP)] how: Signal,
) {
    if is_ignored(how) {
        return;
    }
    let arguments = [
        "check",
        "--speaks",
        "echo",
        "--only",
        "reset/mid-request",
        "--only",
        "timeout",
        "--jobs",
        "2",
    ];
    let server = [
        "--",
        PROGRAM,
        "serve",
        "echo",
        "--violate",
        "reset/mid-request",
        "--port",
        "{port}",
    ];
    let mut going = begin(&[&arguments, ALL_FORMS, &server].concat());
    going.until("fail          reset/mid-request");
    going.signal(how);
    let (code, errors) = going.end();
    assert_eq!(code, Some(130), "{}{errors}", going.text);
    assert!(
        errors.contains("interrupt again to end at once"),
        "{errors}"
    );
    let report = going.json("r.json");
    assert_eq!(report["interrupted"], true);
    let checks = report["checks"].as_array().unwrap();
    assert_eq!(checks[0]["verdict"], "fail", "{report:#}");
    let evidence = checks[0]["evidence"].to_string();
    assert!(evidence.contains("failed 3 of 3"), "{evidence}");
    let missing = checks
        .iter()
        .filter(|check| check["doubt"] == "interrupted");
    let missing = missing.count();
    assert!(missing > 0, "{report:#}");
    let said = format!(
        "interrupted: {missing} of {} checks were not tried to their end",
        checks.len()
    );
    assert!(going.text.contains(&said), "{}", going.text);
    assert!(going.read("r.html").contains(&said));
    assert!(going.read("r.xml").contains("the run was interrupted"));
    assert!(going.read("r.xml").contains("<failure"));
    assert!(
        going
            .read("failed/reset-mid-request.drill")
            .contains("reset")
    );
    let seen = going.folder.path().join("seen/reset-mid-request-001.json");
    assert!(seen.is_file());
}

/// As timeout(1) does, which signals its program and then the group that it is in.
#[test]
fn signals_that_come_together_are_one_interrupt() {
    let arguments = [
        "check",
        "echo",
        "--only",
        "timeout",
        "--only",
        "polite/exchange",
    ];
    let mut going = begin(&[&arguments[..], &["--json", "r.json"]].concat());
    going.until("pass          polite/exchange");
    going.signal(Signal::TERM);
    going.signal(Signal::INT);
    let (code, errors) = going.end();
    assert_eq!(code, Some(130), "{}{errors}", going.text);
    assert_eq!(going.json("r.json")["interrupted"], true);
}

#[test]
fn interrupted_cases_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let cases = "server: echo\n\ncase quick\n  clients: alice\n\n  alice connect\n  alice close\n\n\
                 case long\n  clients: alice\n\n  alice connect\n  pause 1h\n  alice close\n";
    std::fs::write(folder.path().join("two.drill"), cases).unwrap();
    let mut going = begin_in(folder, &["run", "two.drill", "--json", "r.json"]);
    going.until("pass          two::quick");
    going.signal(Signal::TERM);
    let (code, errors) = going.end();
    assert_eq!(code, Some(130), "{}{errors}", going.text);
    let report = going.json("r.json");
    assert_eq!(report["interrupted"], true);
    let doubts: Vec<_> = report["checks"].as_array().unwrap().iter().collect();
    assert_eq!(doubts[0]["verdict"], "pass");
    assert_eq!(doubts[1]["doubt"], "interrupted");
    let said = "interrupted: 1 of 2 cases were not tried to their end";
    assert!(going.text.contains(said), "{}", going.text);
}

/// Nothing can be known of a server that has not come up yet.
#[test]
fn run_that_is_interrupted_before_its_server_listens_reports_that() {
    let folder = tempfile::tempdir().unwrap();
    let up = folder.path().join("up");
    let server = [
        "--",
        "sh",
        "-c",
        "touch \"$0\"; exec sleep 600",
        up.to_str().unwrap(),
        "{port}",
    ];
    // In a namespace it would have a folder for what is temporary of its own.
    let options = [
        "--speaks",
        "echo",
        "--isolation",
        "host",
        "--only",
        "reset",
        "--json",
        "r.json",
    ];
    let mut going = begin_in(folder, &[&["check"], &options[..], &server].concat());
    assert!(eventually(|| up.exists()));
    going.signal(Signal::INT);
    let (code, errors) = going.end();
    assert_eq!(code, Some(130), "{}{errors}", going.text);
    let report = going.json("r.json");
    let checks = report["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    assert!(
        checks.iter().all(|check| check["doubt"] == "interrupted"),
        "{report:#}"
    );
    assert_eq!(marked(up.to_str().unwrap()), Vec::<String>::new());
}

/// It hangs where nobody reads what it writes, whatever its servers do.
#[rstest]
fn second_interrupt_ends_a_run_at_once(
    #[values(Signal::INT, Signal::TERM, Signal::HUP)] how: Signal,
) {
    if is_ignored(how) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let arguments = [
        "check",
        "echo",
        "--only",
        "polite/exchange",
        "--json",
        "fifo",
    ];
    let mut going = begin_in(folder, &arguments);
    going.until(" passed, ");
    going.signal(how);
    let mut errors = BufReader::new(going.run.stderr.take().unwrap()).lines();
    let said = errors.next().unwrap().unwrap();
    assert!(said.contains("interrupt again to end at once"), "{said}");
    // Those that come with the first are the same interrupt.
    let is_over = || {
        going.signal(how);
        going.run.try_wait().unwrap().is_some()
    };
    assert!(eventually(is_over), "it goes on");
    assert_eq!(going.run.wait().unwrap().code(), Some(130));
}

/// A check of a server that breaks what it tries, or keeps it.
fn checked(breaks: bool, options: &[&str], folder: &Path) -> Run {
    let mut run = sockdrill(&["check", "--speaks", "echo", "--only", "reset/mid-request"]);
    run.command.current_dir(folder);
    let run = run.args(options).args(["--", PROGRAM, "serve", "echo"]);
    let breaks = breaks.then_some(["--violate", "reset/mid-request"]);
    run.args(breaks.into_iter().flatten())
        .args(["--port", "{port}"])
        .run()
}

#[rstest]
#[case::passes(false, 3)]
#[case::fails(true, 1)]
fn report_that_cannot_be_written_is_told_and_keeps_no_other_from_being_written(
    #[case] breaks: bool,
    #[case] code: i32,
) {
    let folder = tempfile::tempdir().unwrap();
    let options = [
        "--json",
        "/dev/full",
        "--junit",
        "r.xml",
        "--html",
        "/dev/full",
    ];
    checked(breaks, &options, folder.path())
        .code(code)
        .complains("error: --json /dev/full: No space left on device")
        .complains("error: --html /dev/full: No space left on device");
    let junit = std::fs::read_to_string(folder.path().join("r.xml")).unwrap();
    assert!(junit.contains("reset/mid-request"), "{junit}");
}

#[test]
fn places_of_reports_are_tried_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("earlier.xml"), "earlier").unwrap();
    let options = [
        "--json",
        "none/r.json",
        "--junit",
        "earlier.xml",
        "--html",
        ".",
        "--artifacts",
        "earlier.xml",
        "--transcripts",
        "/proc/none",
    ];
    let mut run = sockdrill(&["check"]);
    run.command.current_dir(folder.path());
    run.args(options)
        .args(["--", "sh", "-c", "touch started; exec sleep 60", "{port}"])
        .run()
        .code(3)
        .complains(
            "error: --json none/r.json: there is no folder none; make it, or name another one",
        )
        .complains("error: --html .: this is a folder; name a file in it")
        .complains("error: --artifacts earlier.xml: earlier.xml is no folder")
        .complains("error: --transcripts /proc/none: ");
    let names = std::fs::read_dir(folder.path()).unwrap().flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["earlier.xml"]);
    let earlier = std::fs::read_to_string(folder.path().join("earlier.xml"));
    assert_eq!(earlier.unwrap(), "earlier");
}

/// What was seen is no less true where it cannot be saved. The limit counts in blocks of 512 bytes or of 1024, and the words that a
/// server is started with are held to it, too.
#[test]
fn trial_that_cannot_be_saved_is_told_and_changes_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let limited = Command::new("sh")
        .env_clear()
        .args(["-c", "ulimit -f 3; exec \"$0\" \"$@\"", PROGRAM])
        .args(["check", "echo", "--only", "polite/exchange"])
        .args(["--transcripts", "seen", "--junit", "r.xml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&limited.stderr);
    let text = String::from_utf8_lossy(&limited.stdout);
    assert_eq!(limited.status.code(), Some(3), "{text}{errors}");
    assert!(
        text.contains("pass          polite/exchange"),
        "{text}{errors}"
    );
    assert!(
        errors.contains("error: --transcripts seen: writing seen/"),
        "{errors}"
    );
    assert!(errors.contains("File too large"), "{errors}");
    assert!(folder.path().join("r.xml").is_file());
    let saved = std::fs::read_dir(folder.path().join("seen")).unwrap();
    assert_eq!(saved.count(), 0, "a part of a trial was left behind");
}

#[test]
fn run_that_does_not_start_leaves_no_empty_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = sockdrill(&["check"]);
    run.command.current_dir(folder.path());
    run.args([
        "--json",
        "r.json",
        "--artifacts",
        "a/b",
        "--",
        "no-such-program",
    ])
    .run()
    .code(3);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// `ulimit -f` counts in blocks of 512 bytes or of 1024.
#[test]
fn report_beyond_the_limit_on_files_is_told_and_the_earlier_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    checked(true, &["--json", "r.json"], folder.path()).code(1);
    std::fs::write(folder.path().join("all.json"), "earlier").unwrap();
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 2; exec \"$0\" \"$@\"", PROGRAM])
        .args([
            "report", "merge", "r.json", "--json", "all.json", "--junit", "all.xml",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("error: --json all.json: File too large"),
        "{errors}"
    );
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("all.json"), "earlier");
    assert!(!read("r.json").is_empty());
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 2, "a part of the report was left behind");
}

/// But for 32 and 33, which are the C library's own: who starts a program has them ignored (posix_spawn of glibc).
#[test]
fn servers_are_started_with_the_default_of_every_signal() {
    let demands = r#"grep -q '^SigIgn:.*[08]0000000$' /proc/self/status || exit 9; exec "$0" serve echo --port "$1""#;
    sockdrill(&["check", "--speaks", "echo", "--only", "polite/exchange"])
        .args(["--", "sh", "-c", demands, PROGRAM, "{port}"])
        .run()
        .code(0);
}

const DRIPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/external/drips.py");

#[test]
fn check_that_comes_to_no_end_has_its_budget_and_the_run_goes_on() {
    let run = sockdrill(&["check", "--check-budget", "10s", "--speaks", "echo"])
        .reporting()
        .args(["--only", "partial/large", "--only", "stop/int"])
        .args(["--", "python3", DRIPS, "echoes", "{port}"])
        .run()
        .prints("not concluded: it took longer than 10s (--check-budget)");
    let doubts: Vec<_> = run.report["checks"].as_array().unwrap().iter().collect();
    assert_eq!(doubts[0]["doubt"], "out-of-check-budget", "{run:?}");
    assert_eq!(doubts[1]["verdict"], "pass", "{run:?}");
}

/// What fails is told, whatever else of the check has no end.
#[test]
fn failure_stands_where_the_budget_of_its_check_is_used_up() {
    sockdrill(&["check", "--check-budget", "5s", "--speaks", "echo"])
        .args(["--only", "polite/exchange", "--only", "polite/again"])
        .args(["--", "python3", DRIPS, "later-ones", "{port}"])
        .run()
        .code(1)
        .prints("fail          polite/again");
}

#[test]
fn case_that_comes_to_no_end_has_its_budget_and_the_others_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let target = format!("command = [\"python3\", \"{DRIPS}\", \"endless\", \"{{port}}\"]\n");
    std::fs::write(folder.path().join("server.toml"), target).unwrap();
    let cases = "server: server.toml\n\n\
                 case endless\n  clients: alice\n\n  alice connect\n  alice expect \"{any}the end\" within 1h\n\n\
                 case short\n  clients: alice\n\n  alice connect\n  alice expect \".\"\n  alice reset\n";
    let file = folder.path().join("drips.drill");
    std::fs::write(&file, cases).unwrap();
    let run = sockdrill(&["run", "--check-budget", "4s"])
        .reporting()
        .arg(file)
        .run();
    let checks = run.report["checks"].as_array().unwrap();
    assert_eq!(checks[0]["doubt"], "out-of-check-budget", "{run:?}");
    let reason = checks[0]["reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "not concluded: it took longer than 4s (--check-budget)"
    );
    assert_ne!(checks[1]["doubt"], "out-of-check-budget", "{run:?}");
}

/// Whether who has started the tests keeps a signal from all that they start, as nohup(1) does; the program respects that.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    ignored >> (signal.as_raw() - 1) & 1 == 1
}

#[test]
fn two_reports_in_one_file_and_a_page_in_the_place_of_its_report_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("same");
    sockdrill(&["check", "echo", "--only", "polite/exchange"])
        .args([
            "--json".as_ref(),
            file.as_os_str(),
            "--html".as_ref(),
            file.as_os_str(),
        ])
        .run()
        .code(2)
        .complains("is named for two reports");
    sockdrill(&["check", "echo", "--only", "polite/exchange", "--json", "-"])
        .run()
        .code(2)
        .complains("`-` is none");
    let report = folder.path().join("report.html");
    sockdrill(&["check", "echo", "--only", "polite/exchange", "--json"])
        .arg(&report)
        .run()
        .code(0);
    sockdrill(&["report", "html"])
        .arg(&report)
        .run()
        .code(2)
        .complains("is the report itself");
}

#[test]
fn standard_output_that_takes_nothing_is_no_pass() {
    let mut full = sockdrill(&["list", "checks"]).command;
    full.stdout(
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap(),
    );
    let output = full.stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("the standard output cannot be written to"),
        "{told}"
    );
}
