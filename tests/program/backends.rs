//! Servers that stand behind the drilled one.

use crate::kit::{Run, sockdrill};
use rstest::rstest;

const PROXY: &str = "fixtures/scenarios/backend/proxy.py";
const ORIGIN: &str = "fixtures/scenarios/backend/origin.py";

/// The target of the proxy in one of its ways, with this behind it.
fn target(way: &str, origin: &str) -> String {
    format!(
        "command = ['python3', '{PROXY}', '{{port}}', '{{origin.addr}}', '{way}']\n\
         [profile]\ntransport = 'tcp'\n[[profile.exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n\
         [backends.origin]\ncommand = ['python3', {origin}]\n"
    )
}

/// Runs a case on the proxy of such a target.
fn run(target: &str, steps: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("proxy.toml"), target).unwrap();
    let file = folder.path().join("a.drill");
    let text = format!(
        "server: proxy.toml\nbackend: origin\n\ncase a\n  clients: alice\n\n  alice connect\n{steps}"
    );
    std::fs::write(&file, text).unwrap();
    sockdrill(&["run", &file.to_string_lossy()])
        .reporting()
        .run()
}

fn usual() -> String {
    target("", &format!("'{ORIGIN}', '{{port}}'"))
}

const ASKS: &str = "  alice send \"hi\\n\"\n  alice expect \"HI\\n\"\n";

#[test]
fn what_the_backend_was_not_asked_for_is_held_against_the_server() {
    let steps = format!("{ASKS}  origin expect output \"asked for hi\" within 2s\n");
    run(&usual(), &steps).code(0);
    let forgets = target("forgets", &format!("'{ORIGIN}', '{{port}}'"));
    run(&forgets, &steps)
        .code(1)
        .prints("the backend origin has not printed \"asked for hi\" within 2s");
}

/// It is no fault of the server's, whatever that makes of it.
#[test]
fn backend_that_ends_by_itself_proves_nothing_and_says_why() {
    let steps = "  alice send \"END\\n\"\n  alice expect \"GONE\\n\"\n";
    run(&usual(), steps)
        .prints("inconclusive  a::a")
        .prints("exited with status 1, and nobody had told it to; its last output: out of ideas");
}

#[test]
fn backend_that_was_told_to_end_is_there_again_for_the_next_case() {
    let steps = "  origin signal TERM\n  origin expect exit\n  alice send \"hi\\n\"\n  \
                 alice expect \"NOBODY THERE\\n\"\n";
    run(&usual(), steps).code(0);
    let nobody = "  origin signal TERM\n  origin expect exit\n  origin signal TERM\n";
    run(&usual(), nobody)
        .prints("inconclusive")
        .prints("it had ended before");
}

#[test]
fn case_whose_backend_does_not_start_could_not_run_and_names_it() {
    let fails = target("", "'-c', 'import sys; sys.exit(\"no licence\")'");
    run(&fails, ASKS)
        .prints("the backend origin, which is started before the server")
        .prints("no licence");
}

/// Isolated or not, what stands behind it has a port that is free.
#[rstest]
#[case::in_a_namespace("namespace")]
#[case::on_the_plain_host("host")]
fn checks_have_what_stands_behind_the_server(#[case] isolation: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, usual()).unwrap();
    sockdrill(&["check", &file.to_string_lossy(), "--isolation", isolation])
        .args(["--only", "reset/after-connect", "--only", "partial/*"])
        .args(["--only", "half-close/*"])
        .reporting()
        .run()
        .code(0)
        .prints("pass          reset/after-connect");
}

#[rstest]
#[case::another_name("  orgin stop\n", "orgin", "did you mean `origin`?")]
#[case::what_is_done_to_servers_alone(
    "  origin limit-open-files 3\n",
    "limit-open-files",
    "write signal, stop"
)]
#[case::client_of_the_same_name("", "origin", "`origin` is a backend")]
fn mistake_about_a_backend_is_pointed_at(
    #[case] steps: &str,
    #[case] word: &str,
    #[case] label: &str,
) {
    let steps = match steps {
        "" => "case b\n  clients: origin\n\n  origin connect\n",
        steps => steps,
    };
    let run = run(&usual(), steps).code(2);
    let run = run.complains(label);
    assert!(run.stderr.contains(word));
}

#[test]
fn backend_that_the_target_does_not_have_is_asked_for() {
    let without = usual().split("[backends").next().unwrap().to_owned();
    run(&without, ASKS)
        .code(2)
        .complains("write `backend: origin FILE`, or [backends.origin] in the target");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, &without).unwrap();
    sockdrill(&["check", &file.to_string_lossy()])
        .run()
        .code(2)
        .complains(
            "{origin.addr} is filled in with where the backend origin listens, and there is none",
        );
}

/// nginx says so where nobody stands behind it, and goes on once somebody does again.
#[test]
fn nginx_serves_again_once_what_stands_behind_it_does() {
    let target = sockdrill::Target::read("fixtures/targets/more/nginx-proxy.toml".as_ref());
    if !target.unwrap().is_installed() {
        assert!(
            !crate::host::is_required("nginx-light"),
            "nginx is not installed"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    let target = here.join("fixtures/targets/more/nginx-proxy.toml");
    let asks = "  alice send \"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\"\n";
    let served =
        format!("{asks}  alice expect \"HTTP/1.1 200 OK\\r\\n{{any}}\\r\\n\\r\\nHello\\n\"\n");
    let text = format!(
        "server: \"{}\"\nbackend: app\n\ncase the app dies, and comes again\n  clients: alice\n\n  alice connect\n{served}  \
         app signal KILL\n  app expect exit\n{asks}  alice expect \"HTTP/1.1 502 Bad Gateway\\r\\n{{any}}</html>\\r\\n\"\n  \
         app start\n{served}",
        target.display()
    );
    let file = folder.path().join("app.drill");
    std::fs::write(&file, text).unwrap();
    sockdrill(&["run", &file.to_string_lossy()])
        .run()
        .code(0)
        .prints("1 passed");
}
