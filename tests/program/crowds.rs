//! Who is answered while everybody else stays.

use crate::kit::{Run, sockdrill};
use crate::verdict;
use rstest::rstest;

const SERVER: &str = "fixtures/external/has_a_pool.py";

/// Holds the server in one of its ways to one check, with what it promises beside.
fn check(how: &str, promises: &str, id: &str) -> Run {
    let profile = format!(
        "transport = \"tcp\"\n[[exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n[promises]\n\
         serves = \"concurrently\"\nafter-exchange = \"stays-open\"\n{promises}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool.toml");
    std::fs::write(&file, profile).unwrap();
    sockdrill(&["check", "--only", id, "--speaks", &file.to_string_lossy()])
        .reporting()
        .args(["--", "python3", SERVER, how, "{port}"])
        .run()
}

const FOUR: &str = "most-connections = { in-all = 4, refused = \"waits\" }";

#[rstest]
#[case::there_is_a_worker_for_each("grows", "", "pass")]
#[case::the_pool_was_cold("cold", "", "fail: crowd[")]
#[case::so_many_are_promised("four", FOUR, "pass")]
#[case::so_many_may_be_meant("four", "", "inconclusive: crowd[")]
fn all_who_come_to_a_server_that_has_just_started_are_answered(
    #[case] how: &str,
    #[case] promises: &str,
    #[case] said: &str,
) {
    let run = check(how, promises, "crowd/all-answered");
    let verdict = verdict(&run, "crowd/all-answered");
    assert!(verdict.starts_with(said), "{verdict}");
    let tells = said.starts_with("inconclusive");
    assert_eq!(verdict.contains(FOUR), tells, "{verdict}");
}

/// So many that the kernel is not left to find a port for each, five times over; each takes some KiB of the harness.
#[test]
fn crowd_of_thousands_that_speaks_once_is_served_by_a_server_for_many() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crowd.drill");
    let case = "server: echo\n\ncase thousands\n  clients: crowd[4200] alice\n\n  crowd connect\n  alice connect\n  \
                crowd send \"hello\\n\"\n  crowd expect \"hello\\n\"\n  alice send \"hi\"\n  alice expect \"hi\"\n";
    std::fs::write(&file, case).unwrap();
    let run = sockdrill(&["run", "--timings"]).reporting().arg(file).run();
    let peak = run.report["timings"]["peak_memory_bytes"].as_u64().unwrap();
    run.code(0)
        .demand(peak >> 20 < 96, &format!("it takes {} MiB", peak >> 20));
}
