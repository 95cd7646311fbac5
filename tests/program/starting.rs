//! A server that listens may not serve yet, and says so to whoever comes.

use crate::kit::{Run, sockdrill};
use crate::verdict;
use rstest::rstest;

/// A server that receives its first clients in such a way, in such of its lives, and what it promises.
fn check(how: &str, which: &str, promise: &str, only: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.toml");
    let server = std::fs::canonicalize("fixtures/external/starts_late.py").unwrap();
    let target = format!(
        "command = [\"python3\", {server:?}, \"{how}\", \"{which}\", \"{{dir}}\", \"{{port}}\"]\nready-within = \"3s\"\n\
         [profile]\ntransport = \"tcp\"\n[[profile.exchange]]\nsend = 'hello\\n'\nreply = '{{any}}HELLO\\n'\n\
         [profile.promises]\nserves = \"concurrently\"\nafter-exchange = \"stays-open\"\nidle-timeout = \"30s\"\n\
         stop = {{ signal = \"TERM\", within = \"5s\" }}\n{promise}\n"
    );
    std::fs::write(&file, target).unwrap();
    let only = only.iter().flat_map(|glob| ["--only", glob]);
    sockdrill(&["check", &file.to_string_lossy()])
        .args(only)
        .reporting()
        .run()
}

const RESTART: &str = "time-wait/restart-killed";
const TURNS_AWAY: &str = "starting = \"turns-away\"";

#[rstest]
#[case::and_closes("words")]
#[case::and_waits("waiting-words")]
fn server_that_turns_clients_away_at_first_is_ready_when_it_serves_one(#[case] how: &str) {
    let ids = ["polite", RESTART, "stop/term-idle", "reset/mid-request"];
    let run = check(how, "all", TURNS_AWAY, &ids).code(0);
    for id in [RESTART, "reset/mid-request", "polite/exchange"] {
        assert_eq!(verdict(&run, id), "pass: ");
    }
    let seen = run.report["observations"]["starting"].as_str().unwrap();
    assert!(seen.starts_with("turns clients away"), "{seen}");
}

/// Where nothing is promised it may be its way, and the report tells the line that promises it.
#[rstest]
#[case::and_closes("words")]
#[case::and_waits("waiting-words")]
fn client_that_is_turned_away_by_a_server_that_has_just_started_again_is_no_failure(
    #[case] how: &str,
) {
    let run = check(how, "again", "", &["polite", RESTART]).code(0);
    let verdict = verdict(&run, RESTART);
    assert!(verdict.starts_with("inconclusive: "), "{verdict}");
    let line = format!("if that is meant, promise {TURNS_AWAY}");
    assert!(verdict.ends_with(&line), "{verdict}");
}

/// What a client is answered that says something else than a polite one is no matter of starting.
#[test]
fn answer_to_a_client_that_is_not_polite_is_no_choice_of_a_server_that_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.drill");
    let case = "case odd words\n  clients: alice\n  waive: served \"the first client is of interest\"\n\n  alice connect\n  \
                alice send \"odd\\n\"\n  alice expect \"EVEN\\n\"\n";
    std::fs::write(&file, case).unwrap();
    sockdrill(&["run", &file.to_string_lossy(), "--speaks", "uppercase"])
        .args([
            "--",
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "uppercase",
            "--port",
            "{port}",
        ])
        .run()
        .code(1)
        .prints("fail          odd::odd words  alice expected \"EVEN\\n\", got \"ODD\\n\"");
}

/// Who comes first is then told from who is served.
#[rstest]
#[case::and_closes("words")]
#[case::and_waits("waiting-words")]
fn server_that_turns_its_very_first_client_away_is_drilled_and_the_line_is_told(#[case] how: &str) {
    let run = check(how, "first", "", &["polite", "reset/mid-request"]).code(0);
    assert_eq!(verdict(&run, "reset/mid-request"), "pass: ");
    let seen = run.report["observations"]["starting"].as_str().unwrap();
    assert!(seen.contains(TURNS_AWAY), "{seen}");
}

/// Neither silence nor a reset is an answer, whatever is promised, and who never serves has not started.
#[rstest]
#[case::an_end_without_words("silence", "again", "")]
#[case::an_end_without_words_promised("silence", "again", TURNS_AWAY)]
#[case::a_reset("reset", "again", "")]
#[case::a_reset_promised("reset", "again", TURNS_AWAY)]
#[case::promised_otherwise("words", "again", "starting = \"serves\"")]
#[case::never("words", "again-for-ever", "")]
#[case::never_promised("words", "again-for-ever", TURNS_AWAY)]
fn starting_excuses_nothing_but_words_of_a_server_that_comes_to_serve(
    #[case] how: &str,
    #[case] which: &str,
    #[case] promise: &str,
) {
    let run = check(how, which, promise, &["polite", RESTART]).code(1);
    let verdict = verdict(&run, RESTART);
    let is_promised = which == "again-for-ever" && promise == TURNS_AWAY;
    let reason = match is_promised {
        true => {
            "fail: the server did not start again: the server listens and has served nobody within 3"
        }
        false => "fail: a polite client was not served afterwards: ",
    };
    assert!(verdict.starts_with(reason), "{verdict}");
}

#[test]
fn server_that_never_serves_anybody_could_not_be_started() {
    check("words", "first-for-ever", TURNS_AWAY, &[])
        .code(3)
        .complains("the server listens and has served nobody within 3")
        .complains(
            "clients away, the last one with \"- still loading\\n\"; ready-within says how long",
        );
}

/// A server whose open files nobody may limit later is started with the limit, and what it says to that is no failure.
#[test]
fn server_that_cannot_start_with_few_descriptors_has_not_failed() {
    if !crate::gives_descriptors(256) {
        return;
    }
    let id = "backlog/descriptor-limit";
    // In a user namespace of its own we may limit whomever it comes to be.
    let run = sockdrill(&[
        "check", "--speaks", "echo", "--only", id, "--only", "polite",
    ])
    .args(["--isolation", "host"])
    .reporting()
    .args(["--", "python3", "fixtures/external/needs_room.py", "{port}"])
    .run();
    let verdict = verdict(&run, id);
    // A server that cannot change its user is limited while it runs, and serves on.
    let reason = "started with it, the server exited with status 1 before it had served anybody; its last output: there is no room \
                  for 256 descriptors";
    match rustix::process::geteuid().is_root() && !may_limit_others() {
        true => assert!(
            verdict.starts_with("inconclusive") && verdict.ends_with(reason),
            "{verdict}"
        ),
        false => assert!(!verdict.starts_with("fail"), "{verdict}"),
    }
}

/// An echo server at a Unix path that was bound to another name, so that the path is there only once it listens.
const PUT_AT_ITS_PATH: &str = "\
import os, socket, sys
path, how = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path + '.new')
server.listen(8)
os.rename(path + '.new', path) if how == 'renamed' else os.link(path + '.new', path)
while True:
    with server.accept()[0] as client:
        while data := client.recv(4096):
            client.sendall(data)
";

#[rstest]
#[case::renamed("renamed")]
#[case::linked("linked")]
fn unix_socket_is_found_under_the_name_that_it_has_by_now(#[case] how: &str) {
    let run = sockdrill(&["check", "--speaks", "echo", "--only", "polite/exchange"])
        .args(["--", "python3", "-c", PUT_AT_ITS_PATH, "{path}", how])
        .run();
    run.code(0).prints("pass          polite/exchange");
}

/// Whether root has CAP_SYS_RESOURCE here, which containers take from it.
fn may_limit_others() -> bool {
    const SYS_RESOURCE: u64 = 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() >> SYS_RESOURCE & 1 == 1
}

/// A server whose port the kernel chooses has another one each time it is started.
#[test]
fn server_that_is_started_again_is_found_where_it_listens_then() {
    let only = [
        "time-wait/restart-killed",
        "stop/stdin-closed",
        "stop/descriptors-closed",
        "backlog/descriptor-limit",
    ];
    let run = sockdrill(&["check", "--speaks", "echo", "--min-checks", "4"]);
    let run = run.args(only.iter().flat_map(|id| ["--only", id]));
    let server = [env!("CARGO_BIN_EXE_sockdrill"), "serve", "echo"];
    run.args(["--"])
        .args(server)
        .run()
        .code(0)
        .prints("4 passed");
}
