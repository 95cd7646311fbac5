//! What is kept of a failure, run again and judged again.

use crate::kit::{Run, sockdrill};
use rstest::rstest;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A server that takes whatever one read brings for a line, and one that is mended.
const SHOUT: &str = "import socketserver, sys
class Broken(socketserver.BaseRequestHandler):
    def handle(self):
        while request := self.request.recv(4096):
            self.request.sendall(request.strip().upper() + b'\\n')
class Mended(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.strip().upper() + b'\\n')
socketserver.ThreadingTCPServer.allow_reuse_address = True
kind = Broken if sys.argv[2] == 'broken' else Mended
with socketserver.ThreadingTCPServer(('127.0.0.1', int(sys.argv[1])), kind) as server:
    server.serve_forever()
";

const CUT: &str = "case a line in two pieces
  clients: alice

  alice connect
  alice send \"hello\\n\" in pieces of 3B
  alice expect \"HELLO\\n\" within 1s
  alice close
";

const PROFILE: &str = "transport = \"tcp\"\nmodel = \"ascii-uppercase\"\nframing = \"line\"\n";

/// The folder of a user.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(place.path(name), text).unwrap();
        }
        place
    }

    /// With the server, a case, and a profile.
    fn of_shout() -> Self {
        Self::with(&[
            ("shout.py", SHOUT),
            ("cut.drill", CUT),
            ("shout.toml", PROFILE),
        ])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Runs the program in it.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Run {
        let mut run = sockdrill(words);
        run.command.current_dir(self.0.path());
        run.run()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

const BROKEN: [&str; 5] = ["--", "python3", "shout.py", "{port}", "broken"];
const MENDED: [&str; 5] = ["--", "python3", "shout.py", "{port}", "mended"];

/// What a case, and a check, fail by on the broken server, and the bundle of that.
const FAILURES: [(&[&str], &str); 2] = [
    (&["run", "cut.drill"], "found/cut--a-line-in-two-pieces"),
    (
        &[
            "check",
            "--speaks",
            "shout.toml",
            "--only",
            "partial/byte-by-byte",
        ],
        "found/partial-byte-by-byte",
    ),
];

#[test]
fn failure_is_replayed_on_its_server_and_passes_on_a_mended_one() {
    for (fails, bundle) in FAILURES {
        let place = Place::of_shout();
        place
            .run(&[fails, &["--artifacts", "found"], &BROKEN].concat())
            .code(1);
        let again = place.run(&["replay", bundle]).code(1);
        again
            .prints("it fails as it did (step-failed/wrong)")
            .prints("failed 3 of 3");
        place
            .run(&[&["replay", bundle], &MENDED[..]].concat())
            .code(0)
            .prints("it passes now; it had failed: alice expected ");
        // It runs in the folder in which the server ran, wherever it is called.
        let report = place.path("report.json");
        let run = sockdrill(&["replay"])
            .arg(place.path(bundle))
            .arg("--json")
            .arg(&report)
            .run()
            .code(1);
        run.prints("it fails as it did");
        let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        assert_eq!(report["seed"], 1);
        assert_eq!(report["checks"][0]["cause"]["key"], "step-failed/wrong");
        place
            .run(&["run", &format!("{bundle}/scenario.drill")])
            .code(1);
    }
}

#[test]
fn failure_is_judged_again_without_its_server() {
    for (fails, bundle) in FAILURES {
        let place = Place::of_shout();
        place
            .run(&[fails, &["--artifacts", "found"], &BROKEN].concat())
            .code(1);
        std::fs::remove_file(place.path("shout.py")).unwrap();
        place
            .run(&["judge", bundle])
            .code(1)
            .prints("fail          ")
            .prints("1 failed, 0 inconclusive, 0 skipped, as it was said then");
    }
}

#[test]
fn bundle_has_all_that_is_needed() {
    let place = Place::of_shout();
    let (fails, bundle) = FAILURES[1];
    let run = place
        .run(
            &[
                fails,
                &[
                    "--seed",
                    "7",
                    "--artifacts",
                    "found",
                    "--json",
                    "report.json",
                ],
                &BROKEN,
            ]
            .concat(),
        )
        .code(1);
    let expected = [
        "README.txt",
        "bundle.toml",
        "evidence.json",
        "evidence.txt",
        "output.raw",
        "output.txt",
        "reproduce.py",
        "scenario.drill",
        "target.toml",
        "trace.pcapng",
        "transcript.json",
    ];
    assert_eq!(place.names(bundle), expected);
    let read = |name: &str| place.read(&format!("{bundle}/{name}"));
    let index: toml::Table = read("bundle.toml").parse().unwrap();
    assert_eq!(index["id"].as_str(), Some("partial/byte-by-byte"));
    assert_eq!(index["settings"]["seed"].as_integer(), Some(7));
    assert_eq!(
        index["folder"].as_str(),
        place.0.path().canonicalize().unwrap().to_str()
    );
    assert!(
        index["host"].as_str().unwrap().starts_with("Linux "),
        "{index}"
    );
    let readme = read("README.txt");
    for name in &expected[1..] {
        assert!(readme.contains(name), "{name}\n{readme}");
    }
    for command in [
        "sockdrill replay",
        "sockdrill judge",
        "tshark -r",
        "python3 ",
    ] {
        assert!(readme.contains(&format!("\n    {command}")), "{readme}");
    }
    let target: toml::Table = read("target.toml").parse().unwrap();
    assert_eq!(target["profile"]["model"].as_str(), Some("ascii-uppercase"));
    let told = read("evidence.txt");
    // What is printed is broken into lines as wide as a terminal.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&run.stdout).contains(&words(&told)), "{told}");
    let report: Value = serde_json::from_str(&place.read("report.json")).unwrap();
    let evidence: Value = serde_json::from_str(&read("evidence.json")).unwrap();
    for key in [
        "id",
        "verdict",
        "cause",
        "evidence",
        "scenario",
        "transcript",
    ] {
        assert_eq!(evidence[key], report["checks"][0][key], "{key}");
    }
    place
        .run(&["fmt", "--check", &format!("{bundle}/scenario.drill")])
        .code(0);
    let mut python = Command::new("python3");
    python
        .arg(format!("{bundle}/reproduce.py"))
        .current_dir(place.0.path());
    assert_eq!(python.output().unwrap().status.code(), Some(1));
}

/// What only sockdrill can say is no Python program, and the bundle says why.
#[test]
fn bundle_without_a_program_says_why() {
    let file = "case a hello\n  clients: alice\n\n  alice connect\n  alice start-tls\n  alice expect secured within 2s\n";
    let place = Place::with(&[("shout.py", SHOUT), ("a.drill", file)]);
    place
        .run(&[&["run", "a.drill", "--artifacts", "found"], &MENDED[..]].concat())
        .code(1);
    let why = place.read("found/a--a-hello/no-program.txt");
    assert!(why.contains("start-tls") && why.contains("TLS"), "{why}");
    assert!(!place.path("found/a--a-hello/reproduce.py").exists());
}

#[test]
fn bundle_takes_the_place_of_an_earlier_one_and_of_nothing_else() {
    let place = Place::of_shout();
    let (fails, bundle) = FAILURES[0];
    let fails = [fails, &["--artifacts", "found"], &BROKEN].concat();
    place.run(&fails).code(1);
    std::fs::write(place.path(bundle).join("left.txt"), "").unwrap();
    place.run(&fails).code(1);
    assert!(!place.path(bundle).join("left.txt").exists());
    let expected = [
        "cut--a-line-in-two-pieces",
        "cut--a-line-in-two-pieces.drill",
    ];
    assert_eq!(place.names("found"), expected);
    // Somebody's own folder stays.
    std::fs::remove_file(place.path(bundle).join("bundle.toml")).unwrap();
    place
        .run(&fails)
        .code(1)
        .complains("something else is there, which has no bundle.toml");
    assert!(place.path(bundle).join("README.txt").exists());
}

#[test]
fn names_of_files_are_no_longer_than_file_systems_take_and_differ() {
    let case = |end: &str| {
        CUT.replace(
            "a line in two pieces",
            &format!("{} {end}", "wo ".repeat(100)),
        )
    };
    // Both are the same once what is no letter is left out.
    let twice = [CUT, &CUT.replace("two pieces", "two: pieces")].concat();
    let files = format!("{}{}{twice}", case("one"), case("two"));
    let place = Place::with(&[("shout.py", SHOUT), ("cut.drill", &files)]);
    place
        .run(&[&["run", "cut.drill", "--artifacts", "found"], &BROKEN[..]].concat())
        .code(1);
    let names = place.names("found");
    let bundles = names
        .iter()
        .filter(|name| place.path("found").join(name).is_dir());
    assert_eq!((bundles.count(), names.len()), (4, 8), "{names:?}");
}

/// Its scenario stands beside it, and is one of the folder already.
#[test]
fn folder_of_scenarios_is_run_without_its_bundles() {
    let place = Place::of_shout();
    let (fails, bundle) = FAILURES[0];
    place
        .run(&[fails, &["--artifacts", "found"], &BROKEN].concat())
        .code(1);
    let listed = place
        .run(&[&["run", "found", "--list"], &BROKEN[..]].concat())
        .code(0);
    assert_eq!(listed.stdout.lines().count(), 1, "{}", listed.stdout);
    place
        .run(&["run", bundle, "--list"])
        .code(0)
        .prints("scenario::a line in two pieces");
}

#[test]
fn hostile_output_is_kept_and_does_nothing() {
    let hostile = "import os, socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        os.write(1, b'\\x00\\x1b[31m\\xff</script>\\n')
        self.request.recv(4096)
        os.write(2, b'y' * 1000000)
        self.request.sendall(b'\\x1b[2Jno\\n')
socketserver.ThreadingTCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(('127.0.0.1', int(sys.argv[1])), Handler) as server:
    server.serve_forever()
";
    let place = Place::with(&[("shout.py", hostile), ("cut.drill", CUT)]);
    let bundle = "found/cut--a-line-in-two-pieces";
    place
        .run(&[&["run", "cut.drill", "--artifacts", "found"], &BROKEN[..]].concat())
        .code(1);
    let raw = std::fs::read(place.path(bundle).join("output.raw")).unwrap();
    assert!(raw.starts_with(b"\x00\x1b[31m\xff</script>\n"), "{raw:?}");
    let told = place.read(&format!("{bundle}/output.txt"));
    assert!(
        told.contains("\\x00\\x1b[31m") && told.contains(" bytes more, which were not kept"),
        "{told}"
    );
    for file in place.names(bundle) {
        let bytes = std::fs::read(place.path(bundle).join(&file)).unwrap();
        let is_for_people = !["output.raw", "trace.pcapng"].contains(&file.as_str());
        let acts = bytes
            .iter()
            .any(|byte| byte.is_ascii_control() && !b"\n\t".contains(byte));
        assert!(!(is_for_people && acts), "{file}");
    }
    place
        .run(&["replay", bundle])
        .code(1)
        .prints("it fails as it did");
    place
        .run(&["judge", bundle])
        .code(1)
        .prints("as it was said then");
}

#[test]
fn transcripts_of_a_folder_and_of_a_file_are_judged_again() {
    let place = Place::of_shout();
    place
        .run(&[&["run", "cut.drill", "--transcripts", "seen"], &BROKEN[..]].concat())
        .code(1);
    let judged = place.run(&["judge", "seen"]).code(1);
    judged
        .prints("fail          cut::a line in two pieces")
        .prints("3 failed, 0 inconclusive, 0 skipped, as it was said then")
        .prints("(cut--a-line-in-two-pieces-001.json)");
    place
        .run(&["judge", "seen/cut--a-line-in-two-pieces-001.json"])
        .code(1)
        .prints("1 failed");
    place
        .run(
            &[
                &["run", "cut.drill", "--transcripts", "passed"],
                &MENDED[..],
            ]
            .concat(),
        )
        .code(0);
    place
        .run(&["judge", "passed"])
        .code(0)
        .prints("1 passed, 0 failed, 0 inconclusive, 0 skipped, as it was said then");
}

#[test]
fn verdict_that_is_another_one_than_then_is_told() {
    let place = Place::of_shout();
    place
        .run(&[&["run", "cut.drill", "--transcripts", "seen"], &BROKEN[..]].concat())
        .code(1);
    let file = "seen/cut--a-line-in-two-pieces-001.json";
    let text = place.read(file);
    let mut saved: Value = serde_json::from_str(&text).unwrap();
    saved["verdict"] = serde_json::json!({ "kind": "pass" });
    std::fs::write(place.path(file), saved.to_string()).unwrap();
    place
        .run(&["judge", file])
        .code(1)
        .prints("    it was said then: pass")
        .prints("of which 1 not as it was said then");
}

#[rstest]
#[case::nowhere(&["replay", "found/none"], 2, "found/none is not there; name a bundle")]
#[case::judge_nowhere(&["judge", "found/none"], 2, "found/none is not there; name a bundle")]
#[case::file(&["replay", "cut.drill"], 2, "cut.drill is no folder")]
#[case::no_bundle(&["replay", "."], 2, ". is no bundle: there is no bundle.toml in it, which says what failed; a bundle is a folder below that of --artifacts, with bundle.toml, scenario.drill, target.toml and transcript.json in it")]
#[case::no_trial(&["judge", "found"], 4, "found is neither a bundle of --artifacts, in which bundle.toml is, nor a folder of --transcripts")]
#[case::no_json(&["judge", "cut.drill"], 2, "cut.drill: ")]
fn what_is_no_bundle_is_told(#[case] words: &[&str], #[case] code: i32, #[case] message: &str) {
    let place = Place::of_shout();
    std::fs::create_dir(place.path("found")).unwrap();
    place.run(words).code(code).complains(message);
}

#[test]
fn folder_around_a_bundle_and_one_that_has_lost_its_index_say_what_to_name() {
    let place = Place::of_shout();
    let (fails, bundle) = FAILURES[0];
    place
        .run(&[fails, &["--artifacts", "found"], &BROKEN].concat())
        .code(1);
    let is_one = format!("; {bundle} is one");
    place.run(&["judge", "found"]).code(4).complains(&is_one);
    place.run(&["replay", "found"]).code(2).complains(&is_one);
    std::fs::remove_file(place.path(&format!("{bundle}/bundle.toml"))).unwrap();
    place.run(&["judge", bundle]).code(2).complains(format!(
        "{bundle} has the transcript.json of a bundle and no bundle.toml, which says what failed; name the whole bundle, or \
         {bundle}/transcript.json alone"
    ));
    place.run(&["replay", bundle]).code(2);
    place
        .run(&["judge", &format!("{bundle}/transcript.json")])
        .code(1);
}

#[rstest]
#[case::format("bundle.toml", Some(("format = 1", "format = 9")), "this is format 9, and 1 is understood")]
#[case::word("bundle.toml", Some(("strict = false", "strikt = false")), "strikt")]
#[case::isolation("bundle.toml", Some(("isolation = \"auto\"", "isolation = \"moon\"")), "there is no `moon`; write auto, namespace or host")]
#[case::no_toml("bundle.toml", Some(("format = 1", "format = ")), "bundle.toml")]
#[case::scenario("scenario.drill", Some(("alice send", "alice sned")), "sned")]
#[case::target("target.toml", Some(("command", "comand")), "comand")]
#[case::no_scenario("scenario.drill", None, "there is no scenario.drill in it")]
#[case::no_transcript("transcript.json", None, "there is no transcript.json in it")]
fn bundle_that_was_edited_says_where_it_is_wrong(
    #[case] file: &str,
    #[case] change: Option<(&str, &str)>,
    #[case] message: &str,
) {
    let place = Place::of_shout();
    let (fails, bundle) = FAILURES[0];
    place
        .run(&[fails, &["--artifacts", "found"], &BROKEN].concat())
        .code(1);
    let path = format!("{bundle}/{file}");
    match change {
        Some((from, to)) => {
            let text = place.read(&path);
            assert!(text.contains(from), "{text}");
            std::fs::write(place.path(&path), text.replacen(from, to, 1)).unwrap();
        }
        None => std::fs::remove_file(place.path(&path)).unwrap(),
    }
    place.run(&["replay", bundle]).code(2).complains(message);
}

#[test]
fn what_stands_behind_the_server_is_bundled_with_it() {
    let proxy = "import socket, sys, threading
def serve(client):
    behind = socket.create_connection(('127.0.0.1', int(sys.argv[2])))
    while request := client.recv(4096):
        behind.sendall(request)
        client.sendall(behind.recv(4096))
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
";
    let store = "command = [\"python3\", \"shout.py\", \"{port}\", \"broken\"]\nprofile.transport = \"tcp\"\n";
    let target = "command = [\"python3\", \"proxy.py\", \"{port}\", \"{store.port}\"]\nprofile.transport = \"tcp\"\n";
    let case = format!("server: proxy.toml\nbackend: store store.toml\n\n{CUT}");
    let place = Place::with(&[
        ("shout.py", SHOUT),
        ("proxy.py", proxy),
        ("store.toml", store),
        ("proxy.toml", target),
        ("cut.drill", &case),
    ]);
    place
        .run(&["run", "cut.drill", "--artifacts", "found"])
        .code(1);
    let bundle = "found/cut--a-line-in-two-pieces";
    for file in ["store.toml", "proxy.toml", "cut.drill"] {
        std::fs::remove_file(place.path(file)).unwrap();
    }
    place
        .run(&["replay", bundle])
        .code(1)
        .prints("it fails as it did");
    place
        .run(&["judge", bundle])
        .code(1)
        .prints("as it was said then");
}

/// What is observed is never judged, neither when it is seen nor later.
#[test]
fn trials_of_observations_are_no_failures_when_they_are_judged_again() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str, check: &str| {
        let text = std::fs::read_to_string(format!("fixtures/transcripts/{name}.json")).unwrap();
        let mut trial: Value = serde_json::from_str(&text).unwrap();
        trial["check"] = check.into();
        std::fs::write(
            folder.path().join(format!("{name}.json")),
            trial.to_string(),
        )
        .unwrap();
    };
    copy("pass-datagrams", "datagram/empty");
    copy("fail-accept-queue-left", "time_wait");
    sockdrill(&["judge"])
        .arg(folder.path())
        .run()
        .code(0)
        .prints("observed      time_wait")
        .prints("1 passed, 0 failed");
    copy("fail-accept-queue-left", "backlog/depth");
    sockdrill(&["judge"]).arg(folder.path()).run().code(1);
}
