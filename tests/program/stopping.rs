//! What is in a server's hands when it is told to end: a request that it has read and not answered, and half of one.

use crate::kit::{Run, sockdrill};
use crate::verdict;
use rstest::rstest;

const SERVER: &str = "fixtures/external/is_told_to_end.py";

const PROFILE: &str = "transport = \"tcp\"\n[[exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n[promises]\n\
                       serves = \"concurrently\"\nafter-exchange = \"stays-open\"\n\
                       stop = { signal = \"TERM\", within = \"3s\", in-flight = \"completes\" }\n";

/// Holds a server to what the profile promises of its end.
fn check(command: &[&str], isolation: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.toml");
    std::fs::write(&file, PROFILE).unwrap();
    sockdrill(&["check", "--speaks", &file.to_string_lossy()])
        .args(["--isolation", isolation])
        .args(["--only", "stop/term-in-flight"])
        .args(["--only", "stop/term-mid-request"])
        .reporting()
        .arg("--")
        .args(command)
        .run()
}

#[rstest]
#[case::all_as_promised("completes", "pass", "pass")]
#[case::noted_after_it_was_read("slowly", "pass", "pass")]
#[case::the_request_is_lost("drops", "fail", "pass")]
#[case::half_a_request_holds_it("holds", "pass", "fail")]
fn request_that_was_read_is_answered_and_half_of_one_is_not_waited_for(
    #[case] how: &str,
    #[case] whole: &str,
    #[case] half: &str,
) {
    let run = check(&["python3", SERVER, how, "{port}"], "auto");
    let in_flight = verdict(&run, "stop/term-in-flight");
    assert!(in_flight.starts_with(whole), "{in_flight}");
    let mid_request = verdict(&run, "stop/term-mid-request");
    assert!(mid_request.starts_with(half), "{mid_request}");
}

/// Where no other server can run beside it, the one that is there is asked whether it takes its time.
#[test]
fn request_that_was_read_is_answered_on_the_plain_host_too() {
    let run = check(&["python3", SERVER, "drops", "{port}"], "host");
    let in_flight = verdict(&run, "stop/term-in-flight");
    assert!(in_flight.starts_with("fail"), "{in_flight}");
}

/// Nobody can be told to end between a request and an answer that follows within some microseconds.
#[test]
fn nothing_is_in_flight_in_a_server_that_answers_at_once() {
    let run = sockdrill(&["check", "chat", "--only", "stop/term-in-flight"])
        .reporting()
        .run();
    let verdict = verdict(&run, "stop/term-in-flight");
    assert!(
        verdict.starts_with("skip: it answers before it can be stopped"),
        "{verdict}"
    );
}

/// Runs for a tenth of a second before it ends, having slept for so long.
const RUNS_BEFORE_IT_ENDS: &str = "import os, signal, socket, sys, time\n\
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nos.nice(12)\n\
    s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
    def end(*_):\n    \
        time.sleep(float(sys.argv[2]))\n    \
        until = time.process_time() + 0.1\n    \
        while time.process_time() < until: pass\n    \
        os._exit(0)\n\
    signal.signal(signal.SIGTERM, end)\n\
    while True:\n    \
        c, _ = s.accept()\n    \
        while d := c.recv(4096): c.sendall(d)\n    \
        c.close()\n";

/// Takes the processor that the server has, and ends by itself where nobody ends it.
const TAKES_THE_PROCESSOR: &str = "import os, signal\nsignal.alarm(120)\n\
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass";

/// What comes of a server that sleeps for so long when it is told to end, and then gets a tenth of a processor.
fn starved_at_its_end(sleeps: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.toml");
    let text = "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n[promises]\n\
                stop = { signal = \"TERM\", within = \"1s\" }\n";
    std::fs::write(&file, text).unwrap();
    let takes = || {
        std::process::Command::new("python3")
            .args(["-c", TAKES_THE_PROCESSOR])
            .spawn()
    };
    let mut others = [takes().unwrap(), takes().unwrap()];
    let run = sockdrill(&["check", "--speaks", &file.to_string_lossy()])
        .args(["--only", "stop/term-idle"])
        .reporting()
        .args(["--", "python3", "-c", RUNS_BEFORE_IT_ENDS, "{port}", sleeps])
        .run();
    for other in &mut others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
    verdict(&run, "stop/term-idle")
}

/// Of the second that is promised it could use what is left without the time in which others had its processor.
#[test]
fn server_that_got_no_processor_is_not_late_for_that() {
    let verdict = starved_at_its_end("0.6");
    assert!(!verdict.starts_with("fail"), "{verdict}");
}

#[test]
fn server_that_sleeps_for_too_long_is_late_whatever_the_host_does() {
    let verdict = starved_at_its_end("2");
    assert!(!verdict.starts_with("pass"), "{verdict}");
}

/// Sleeps before each answer, while a thread beside it waits for the disk.
const SLEEPS_BESIDE_THE_DISK: &str = "import os, socket, sys, threading, time\n\
    def write():\n    \
        f = os.open(sys.argv[2] + '/f', os.O_CREAT | os.O_WRONLY)\n    \
        while True:\n        \
            os.pwrite(f, b'x' * 65536, 0)\n        \
            os.fsync(f)\n\
    s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
    threading.Thread(target=write, daemon=True).start()\n\
    while True:\n    \
        c, _ = s.accept()\n    \
        while d := c.recv(4096):\n        \
            time.sleep(2)\n        \
            c.sendall(d)\n    \
        c.close()\n";

/// What another thread could not use is no time of the one that sleeps; where they are not told apart, nothing is proven.
#[test]
fn server_that_is_always_late_is_not_passed_for_what_another_thread_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.drill");
    let scenario = "case a\n  clients: alice\n  waive: served \"it is slow\"\n\n  alice connect\n  alice send \"x\\n\"\n  \
                    alice expect \"x\\n\" within 1s\n";
    std::fs::write(&file, scenario).unwrap();
    let target = folder.path().join("late.toml");
    let script = folder.path().join("late.py");
    std::fs::write(&script, SLEEPS_BESIDE_THE_DISK).unwrap();
    let text = format!(
        "command = ['python3', '{}', '{{port}}', '{{dir}}']\n[lab]\nwrites = 'host'\n",
        script.display()
    );
    std::fs::write(&target, text).unwrap();
    let text = format!("server: late.toml\n\n{scenario}");
    std::fs::write(&file, text).unwrap();
    let run = sockdrill(&["run", &file.to_string_lossy()])
        .reporting()
        .run();
    let said = verdict(&run, "late::a");
    assert!(!said.starts_with("pass"), "{said}");
}
