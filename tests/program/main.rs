//! The program, run from a command line: what it prints, writes and leaves behind, and the reference servers that it
//! serves.

#[path = "../kit.rs"]
mod kit;

#[path = "../host.rs"]
mod host;

/// What a server says itself of a defect.
mod alarm;
mod backends;
/// What users name and servers send is bounded.
mod bounds;
mod browser;
/// What is wrong only where much comes at a time.
mod bulk;
/// What is kept of a failure, run again and judged again.
mod bundle;
/// What a server says by itself to clients that are silent. Here stands what takes longest, since tests begin in the order of
/// their names.
mod by_itself;
/// What is not promised is observed, and never held against a server.
mod choices;
/// What people and scripts see: exit codes, reports, and errors that say what to do.
mod cli;
/// What a run comes to where not all of it could be done.
mod conclusions;
/// How much of a request was cut is counted from what was done.
mod coverage;
/// Who is answered while everybody else stays.
mod crowds;
/// Where requests are cut, and what is owed before the rest of one has come.
mod cuts;
/// What got better and worse from one report to another.
mod diff;
/// Cases of properties, many at once.
mod drawn;
/// A server that somebody else has started.
mod elsewhere;
/// Servers that seem to have ended, and what is left of those that have.
mod ended;
/// What a scenario file costs the server that it is for.
mod files;
/// How much is kept of what servers send.
mod floods;
/// What is foreign does nothing where it is written.
mod foreign;
/// What GitHub and GitLab show of a run.
mod forges;
/// What a server leaves behind, told from what it will use again or give back.
mod growth;
/// Known failures, selections, strictness and the least number of passes: what makes a run pass or fail.
mod guards;
/// Tests in Rust have a server and its clients in their hands.
mod handles;
/// JUnit files, as their readers have them.
mod junit;
/// Where servers run, and what is read from the kernel there.
mod lab;
/// The language of scenario files, where a server breaks what they say.
mod language;
/// What a server does a while after the end of a connection.
mod late;
/// What is learned of a server from a client of its own, and slips at the start.
mod learning;
/// However a run ends, and whatever the server does, no process outlives it.
mod leftovers;
/// The scenario of a check that failed is made smaller before it is shown.
mod lessened;
/// What is too long for a server, as it promises or has chosen.
mod longest;
mod look;
/// Several targets, one after the other and side by side.
mod matrix;
/// What a host refuses, and what servers side by side would share, is not held against them.
mod ours;
/// How much may wait for a client that does not read, as the server promises or has chosen.
mod output;
/// Tests of a package that has a server of its own.
mod own_package;
/// What clients have sent and received, as Wireshark reads it.
mod packets;
/// Pages and files that the program writes for people: the HTML report, what `init` writes, completions and the manual.
mod pages;
/// What is observed of servers, and not judged.
mod passport;
/// Who is turned away for a while for what came from the same address.
mod penalties;
/// What a project says of its servers and its runs, in a file and in the environment.
mod project;
/// What the kernel shows, and what it does not.
mod proof;
/// What a server and its target may do to the host.
mod reach;
/// What the front page and the pages of `docs` show is what the program prints.
mod readme;
/// The recipes for CI do what they say.
mod recipes;
/// Reference servers in this process keep their promises, whoever their clients are.
mod reference;
/// Every command that a report prints repeats its failure when it is pasted into a shell.
mod repeat;
/// However a run ends, what is known by then is reported, in every form that was asked for.
mod reported;
/// Which part of a run is tried, how often, and when it ends.
mod running;
/// What a failure shows: its line, both sides, and the event that was wrong.
mod shown;
/// A slip of the finger in every word that a profile, a target or the project file may have.
mod slips;
/// What measures how often a verdict is wrong.
mod soak;
mod speaking;
/// A run in parts, the report of all of them, a run that has to end in time, and where its time went.
mod spread;
/// A server that listens may not serve yet, and says so to whoever comes.
mod starting;
/// What is in a server's hands when it is told to end.
mod stopping;
/// What the kernel may answer to the system calls of servers.
mod syscalls;
/// Clients that speak TLS.
mod tls;
/// What is seen of a run while it lasts.
mod watching;
/// How the processes of a server end that are not its first one.
mod workers;

use kit::Run;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Whether this host gives a process so many descriptors, which are too many for a test that is about a crowd or a leak to go
/// without.
#[expect(
    clippy::print_stderr,
    reason = "a test of this kind cannot be ignored when it runs"
)]
fn gives_descriptors(needed: u64) -> bool {
    let gives = host::gives_descriptors(needed);
    assert!(
        gives || !host::is_required("descriptors"),
        "no {needed} descriptors, although they are required"
    );
    if !gives {
        eprintln!("not tried: it takes {needed} descriptors (ulimit -n)");
    }
    gives
}

/// The verdict on a check, with its reason.
fn verdict(run: &Run, id: &str) -> String {
    let checks = run.report["checks"].as_array().unwrap();
    let row = checks.iter().find(|row| row["id"] == id).unwrap();
    let reason = row["reason"].as_str().unwrap_or_default();
    format!("{}: {reason}", row["verdict"].as_str().unwrap())
}

/// The processes that have `marker` in their command line.
fn marked(marker: &str) -> Vec<String> {
    let folders = std::fs::read_dir("/proc").expect("this is Linux");
    let files = folders
        .flatten()
        .map(|folder| folder.path().join("cmdline"));
    let lines = files.filter_map(|file: PathBuf| std::fs::read(file).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(marker)).collect()
}

/// Waits until `holds`, or for twenty seconds at most, and says whether it came to hold.
fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        // Nothing tells when a process is gone that is not our child, so /proc is looked at again and again.
        std::thread::park_timeout(Duration::from_millis(5));
    }
    true
}
