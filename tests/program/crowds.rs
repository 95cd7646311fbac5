//! Who is answered while everybody else stays.

use crate::kit::{Run, sockdrill};
use crate::{speaking, verdict};
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

/// It holds 22, and has room for whoever comes once it has come to know of those who have left, which takes it a while.
#[rstest]
#[case::keeps_the_connection_meanwhile("keeps", &["crowd/churn", "reset/many"], "pass")]
#[case::wakes_by_itself_now_and_then("wakes", &["crowd/churn"], "pass")]
#[case::has_closed_it_before("closes", &["crowd/churn", "backlog/overflow-recovers", "time-wait/churn"], "pass")]
#[case::loses_a_place_now_and_then("never", &["crowd/churn"], "fail")]
fn server_with_room_for_some_has_its_time_to_notice_who_has_left(
    #[case] how: &str,
    #[case] ids: &[&str],
    #[case] said: &str,
) {
    const PROFILE: &str = "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n[promises]\nserves = \"concurrently\"\n\
                           most-connections = { in-all = 22, refused = \"closed\", text = 'FULL\\n' }\n";
    const SERVER: &str = "fixtures/external/lets_go_late.py";
    let run = speaking::check(
        PROFILE,
        &speaking::only(ids),
        &["python3", SERVER, how, "{port}"],
    );
    for id in ids {
        let told = verdict(&run, id);
        assert!(told.starts_with(said), "{id}: {told}");
    }
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

/// Who is served once the silent one has been given up was not served beside it.
#[rstest]
#[case::one_after_the_other("at-a-time", 7, "fail: alice's connection lies in the accept queue")]
#[case::before_that_can_be_told("at-a-time", 1, "inconclusive: something had come for the client")]
#[case::beside_each_other("at-once", 7, "pass")]
fn client_that_is_silent_keeps_nobody_waiting_until_it_is_given_up(
    #[case] how: &str,
    #[case] seconds: u32,
    #[case] said: &str,
) {
    let run = gives_up(how, seconds, "crowd/one-silent");
    let verdict = verdict(&run, "crowd/one-silent");
    assert!(verdict.starts_with(said), "{verdict}");
}

/// Holds a server that closes silent clients after so many seconds to one check.
fn gives_up(how: &str, seconds: u32, id: &str) -> Run {
    let profile = format!(
        "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"line\"\n[promises]\nserves = \"concurrently\"\n\
         idle-timeout = \"{seconds}s\"\n"
    );
    let server = "fixtures/external/gives_up_on_the_silent.py";
    let server = ["python3", server, how, &seconds.to_string(), "{port}"];
    speaking::check(&profile, &speaking::only(&[id]), &server)
}

#[rstest]
#[case::dropped(
    "first-only",
    "fail: alice expected \"hello from sockdrill\\n\", got nothing, then fin"
)]
#[case::answered("at-once", "pass")]
fn who_waits_for_an_answer_is_not_taken_for_idle(#[case] how: &str, #[case] said: &str) {
    let run = gives_up(how, 1, "partial/coalesced");
    let verdict = verdict(&run, "partial/coalesced");
    assert!(verdict.starts_with(said), "{verdict}");
}
