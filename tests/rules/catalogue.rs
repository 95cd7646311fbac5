use crate::kit::sockdrill;
use sockdrill::Check;
use sockdrill::{ReferenceServer, catalogue};

/// Every id that has ever been published. People have them in their command lines and lists of known failures, so none
/// is renamed or taken away.
const PERMANENT: &[&str] = &[
    "polite/exchange",
    "polite/again",
    "polite/stays-open",
    "reset/before-accept",
    "reset/after-connect",
    "reset/mid-request",
    "reset/before-reply",
    "reset/mid-reply",
    "reset/unread-reply",
    "reset/storm",
    "reset/many",
    "reset/half-open",
    "half-close/after-request",
    "half-close/mid-request",
    "half-close/silent",
    "half-close/reply-complete",
    "half-close/others-served",
    "half-close/unread-input",
    "partial/every-cut",
    "partial/byte-by-byte",
    "partial/one-by-one",
    "partial/coalesced",
    "partial/straddle",
    "partial/large",
    "partial/slow-reader",
    "partial/tiny-window",
    "partial/stalled-reader",
    "partial/backpressure",
    "partial/output-limit",
    "partial/stalled-writer",
    "partial/full-duplex",
    "timeout/idle-closes",
    "timeout/idle-mid-request",
    "timeout/login-closes",
    "timeout/request-closes",
    "timeout/activity-extends",
    "timeout/slow-reader-kept",
    "timeout/idle-kept",
    "timeout/drip",
    "timeout/silent-crowd",
    "timeout/late-send",
    "timeout/frozen-server",
    "time-wait/restart",
    "time-wait/restart-connected",
    "time-wait/restart-killed",
    "time-wait/second-instance",
    "time-wait/inherited-listener",
    "time-wait/port-reuse",
    "time-wait/churn",
    "backlog/depth",
    "backlog/burst",
    "backlog/overflow-recovers",
    "backlog/queue-drains",
    "backlog/descriptor-limit",
    "crowd/one-silent",
    "crowd/parallel",
    "crowd/all-answered",
    "crowd/no-crosstalk",
    "crowd/own-bytes",
    "crowd/connect-and-leave",
    "crowd/churn",
    "crowd/most-connections",
    "crowd/held",
    "crowd/one-at-a-time",
    "stop/term-idle",
    "stop/term-idle-client",
    "stop/sessions",
    "stop/term-in-flight",
    "stop/term-mid-request",
    "stop/term-stalled-reader",
    "stop/term-twice",
    "stop/int",
    "stop/stdin-closed",
    "stop/stdout-closed",
    "stop/descriptors-closed",
    "stop/hup-ignored-or-obeyed",
    "bytes/nul",
    "bytes/invalid-utf8",
    "bytes/all-values",
    "bytes/garbage",
    "bytes/endless-line",
    "bytes/throttled",
    "bytes/longest",
    "bytes/empty-write",
    "bytes/urgent",
    "datagram/empty",
    "datagram/largest",
    "datagram/garbage",
    "datagram/burst",
    "datagram/crowd",
    "datagram/sender-gone",
    "datagram/stalled-reader",
    "datagram/source-port-zero",
    "datagram/reply-source",
    "datagram/second-instance",
    "datagram/duplicate",
    "datagram/reorder",
    "datagram/no-amplification",
    "local/stale-path",
    "local/second-instance",
    "local/path-removed",
    "local/foreign-file",
    "local/passed-descriptors",
    "address/ipv6",
    "address/mapped",
    "address/only-where-told",
    "property/stream",
    "syscall/accept-aborted",
    "syscall/accept-network-errors",
    "syscall/accept-out-of-files",
    "syscall/accept-out-of-memory",
    "syscall/accept-waits-for-memory",
    "syscall/short-reads",
    "syscall/spurious-readiness",
    "syscall/short-writes",
    "syscall/peer-gone",
    "syscall/interrupted-wait",
    "syscall/peer-name",
    "syscall/set-option",
    "syscall/shutdown",
    "syscall/no-threads",
    "syscall/no-descriptors",
    "syscall/log-fails",
    "syscall/torture",
    "syscall/datagram-send-fails",
    "property/line",
    "property/datagram",
    "property/exchange",
];

/// The words of needs, which the lists for machines have; never renamed.
const NEEDS: &[&str] = &[
    "answered calls",
    "answers again",
    "asks for more than is held",
    "asks for much",
    "backlog",
    "closes",
    "completes in flight",
    "concurrent",
    "crowd",
    "datagram",
    "deep run",
    "dialogue",
    "dual stack",
    "exchanges",
    "half close answers",
    "holds clients",
    "idle promise",
    "idle timeout",
    "in flight",
    "input before end",
    "internet",
    "IPv6",
    "line model",
    "local",
    "login timeout",
    "long reply",
    "long request",
    "longest",
    "many connections",
    "model",
    "most connections",
    "no idle timeout",
    "no output limit",
    "one at a time",
    "one listener",
    "output limit",
    "own namespace",
    "own process",
    "own socket",
    "pipelining",
    "promises again",
    "promises open",
    "reply",
    "request",
    "request timeout",
    "same address",
    "sessions",
    "several at once",
    "shared process",
    "short idle timeout",
    "short reply",
    "stays open",
    "stops",
    "stops with clients",
    "stream",
    "stream model",
    "takes a crowd",
    "TCP",
    "throttling",
    "time for a burst",
    "time to be late",
    "told loopback",
    "Unix datagram",
    "wildcard",
];

/// The rows of a list for machines.
fn json(list: &[&str]) -> Vec<serde_json::Value> {
    let printed = sockdrill(list).args(["--format", "json"]).run().stdout;
    serde_json::from_str(&printed).unwrap()
}

/// The ids that there are: of checks, and of what is observed because no verdict on it would be fair.
fn ids() -> Vec<String> {
    let checks = catalogue().into_iter().map(|check| check.id.to_owned());
    let observations = json(&["list", "observations"]).into_iter();
    let observations = observations.filter_map(|row| row["id"].as_str().map(str::to_owned));
    checks.chain(observations).collect()
}

#[test]
fn permanent_ids_are_all_there() {
    let present = ids();
    let is_missing = |id: &&&str| !present.iter().any(|present| present == **id);
    let missing: Vec<_> = PERMANENT.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn ids_are_permanent_from_the_first_day() {
    let unlisted: Vec<_> = ids()
        .into_iter()
        .filter(|id| !PERMANENT.contains(&id.as_str()))
        .collect();
    assert!(unlisted.is_empty(), "add to PERMANENT: {unlisted:?}");
}

#[test]
fn words_of_needs_are_permanent_and_each_is_listed_once_with_its_reason() {
    let rows = json(&["list", "needs"]);
    let mut words: Vec<_> = rows
        .iter()
        .map(|row| row["need"].as_str().unwrap())
        .collect();
    words.sort_unstable_by_key(|word| word.to_lowercase());
    assert_eq!(words, NEEDS);
    for row in &rows {
        assert!(
            row["unmet"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{row}"
        );
    }
}

#[test]
fn no_id_stands_for_two_things() {
    let mut sorted = ids();
    sorted.sort_unstable();
    let twice: Vec<_> = sorted
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn counterexamples_stand_in_for_reference_servers_that_have_a_profile() {
    let profiles = json(&["list", "profiles"]);
    for check in catalogue() {
        let name = check.counterexample.instead_of;
        assert!(
            ReferenceServer::find(name).is_some(),
            "{}: {name}",
            check.id
        );
        assert!(
            profiles.iter().any(|row| row["name"] == name),
            "{}: {name}",
            check.id
        );
    }
}

#[test]
fn page_of_the_checks_is_what_the_program_prints() {
    let renew = "sockdrill list checks --format markdown > docs/checks.md";
    let printed = sockdrill(&["list", "checks", "--format", "markdown"])
        .run()
        .stdout;
    let page = std::fs::read_to_string("docs/checks.md").unwrap();
    assert!(
        page == printed,
        "docs/checks.md is out of date; renew it: {renew}"
    );
    let (_, needs) = page.split_once("## Needs").unwrap();
    let (needs, _) = needs.split_once("## Observations").unwrap();
    assert!(needs.contains("| TCP | the server does not listen on TCP |"));
    assert!(!needs.contains("|  |"), "a need without a reason: {needs}");
    let row = |check: &&Check| format!("| {} | {} |", check.id, check.needs_in_words());
    for check in catalogue() {
        assert!(page.contains(&row(&check)), "{}", check.id);
    }
}

#[test]
fn list_of_the_checks_for_machines_has_all_there_is_to_a_check() {
    let rows = json(&["list", "checks"]);
    assert_eq!(rows.len(), catalogue().len());
    for (row, check) in rows.iter().zip(catalogue()) {
        for (key, value) in [
            ("id", check.id),
            ("family", check.family()),
            ("requirement", check.requirement),
            ("why", check.why),
            ("provoked", check.method),
            ("quantities", check.quantities),
            ("cure", check.fix),
        ] {
            assert_eq!(row[key], value);
        }
        assert_eq!(
            row["needs"].as_array().map(Vec::len),
            Some(
                check
                    .needs_in_words()
                    .split(", ")
                    .filter(|need| !need.is_empty())
                    .count()
            )
        );
        assert!(["must", "should"].contains(&row["severity"].as_str().unwrap()));
        let counterexample = &row["counterexample"];
        assert_eq!(
            counterexample["instead_of"],
            check.counterexample.instead_of
        );
        let command = counterexample["command"].as_str().unwrap();
        assert!(command.contains(check.id), "{command}");
    }
}

#[test]
fn observation_is_explained_under_its_id_and_its_name() {
    for name in ["stop/hup-ignored-or-obeyed", "hup"] {
        sockdrill(&["explain", name])
            .run()
            .code(0)
            .prints("SIGHUP")
            .prints("never judged")
            .prints("`hup`");
    }
    sockdrill(&["list", "servers", "--format", "markdown"])
        .run()
        .code(2)
        .complains("only `list checks`");
}
