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
    run(&usual(), steps).prints("inconclusive  a::a").prints(
        "exited with status 1, and nobody had told it to end; its last output: out of ideas",
    );
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

/// The polite clients are left out where steps are about the backend, so that nothing else tells of its end.
#[test]
fn backend_that_has_gone_by_the_end_of_a_case_makes_no_pass() {
    let steps = format!(
        "{ASKS}  origin expect output \"asked for hi\"\n  alice send \"END\\n\"\n  alice expect \"GONE\\n\"\n"
    );
    run(&usual(), &steps).prints("inconclusive  a::a").prints(
        "the backend origin was not there: exited with status 1, and nobody had told it to end",
    );
}

/// A daemon lives on in another process.
#[test]
fn backend_in_the_background_is_there() {
    let forks = format!(
        "'-c', 'import os, sys; os.fork() and os._exit(0); os.setsid(); os.execvp(\"python3\", [\"python3\", \"{ORIGIN}\", sys.argv[1]])', \
         '{{port}}'"
    );
    run(&target("", &forks), ASKS).code(0);
    let wrong = ASKS.replace("\"HI", "\"HO");
    run(&target("", &forks), &wrong)
        .code(1)
        .prints("alice expected \"HO\\n\"");
}

/// Takes one connection after the other, and has room for one more: the kernel drops who comes then, and lets them come again after a
/// second, during which nobody runs.
const TAKES_ITS_TIME: &str = "import socket, sys\ns = socket.socket()\ns.bind(('127.0.0.1', int(sys.argv[1])))\ns.listen(1)\n\
    while True:\n    \
        c, _ = s.accept()\n    \
        f = c.makefile('rwb')\n    \
        f.write(f.readline().upper())\n    \
        f.flush()\n    \
        c.close()\n";

/// Passes lines on from one loop that waits for events without a time-out.
const PASSES_ON: &str = "import asyncio, sys\n\
    async def talk(r, w):\n    \
        while line := await r.readline():\n        \
            host, port = sys.argv[2].split(':')\n        \
            br, bw = await asyncio.open_connection(host, int(port))\n        \
            bw.write(line)\n        \
            w.write(await br.readline())\n        \
            bw.close()\n    \
        w.close()\n\
    async def main():\n    \
        server = await asyncio.start_server(talk, '127.0.0.1', int(sys.argv[1]), backlog=64)\n    \
        await server.serve_forever()\n\
    asyncio.run(main())\n";

#[test]
fn connection_to_a_backend_that_is_yet_to_come_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let (proxy, origin) = (
        file("proxy.py", PASSES_ON),
        file("origin.py", TAKES_ITS_TIME),
    );
    file(
        "proxy.toml",
        &format!(
            "command = ['python3', '{proxy}', '{{port}}', '{{origin.addr}}']\n\
             [backends.origin]\ncommand = ['python3', '{origin}', '{{port}}']\n"
        ),
    );
    let text = "server: proxy.toml\n\ncase a\n  clients: crowd[12]\n\n  crowd connect\n  crowd send \"hi\\n\"\n  crowd expect \"HI\\n\"\n";
    sockdrill(&["run", &file("a.drill", text)]).run().code(0);
}
