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
        .prints("the backend origin, which stands behind the server, did not start: it exited with status 1")
        .prints("no licence");
}

#[test]
fn backend_that_does_not_listen_is_told_with_what_was_awaited_and_what_to_do() {
    let deaf = "'-c', 'import time; time.sleep(100)', '{port}']\nready-within = '300ms'\n#";
    let run = run(&target("", deaf), ASKS);
    let run = run.prints("the backend origin, which stands behind the server, did not start");
    let run = run.prints("it did not listen: a listener on port 7001 was awaited for 3");
    let run = run.prints("by ready-within = \"1800ms\" in its target; it printed nothing");
    // Options are about the drilled server.
    let is_told = run.stdout.contains("--ready-within");
    run.demand(!is_told, "an option is told that does not help");
}

/// Whatever is wrong with the target of a backend, or of the server, is shown where the scenario names it.
#[rstest]
#[case::no_such_file("missing.toml", "", "there is no target `missing.toml`")]
#[case::garbled("x.toml", "command = ['python3'", "unclosed array")]
#[case::of_another_word("x.toml", "comand = []", "did you mean `command`?")]
#[case::on_a_unix_path("x.toml", "command = ['x', '{path}']", "have it listen on 127.0.0.1")]
fn target_that_is_none_is_shown_where_it_is_named(
    #[case] name: &str,
    #[case] text: &str,
    #[case] told: &str,
    #[values("server", "backend: origin")] setting: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("x.toml", text);
    write("proxy.toml", usual().split("[backends").next().unwrap());
    let is_server = setting == "server";
    let (first, second) = match is_server {
        true => (format!("server: {name}"), String::new()),
        false => ("server: proxy.toml".to_owned(), format!("{setting} {name}")),
    };
    if is_server && text.contains("{path}") {
        return;
    }
    let case = "case a\n  clients: alice\n\n  alice connect\n";
    write("a.drill", &format!("{first}\n{second}\n\n{case}"));
    let file = folder.path().join("a.drill");
    let (line, column) = if is_server { (1, 9) } else { (2, 17) };
    let place = format!("{}:{line}:{column}\n", file.display());
    let run = sockdrill(&["run", &file.to_string_lossy()]).run().code(2);
    run.complains(told).complains(&place).complains("^^^");
    // What a file includes stands in that one.
    if !is_server {
        write("shared.drill", &format!("{second}\n"));
        write(
            "a.drill",
            &format!("{first}\ninclude: shared.drill\n\n{case}"),
        );
        let place = format!("{}:1:17\n", folder.path().join("shared.drill").display());
        let run = sockdrill(&["run", &file.to_string_lossy()]).run().code(2);
        run.complains(told).complains(&place);
    }
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

/// Configurations may have braces of their own; in what is nearly the name of a backend that there is they are a slip.
#[rstest]
#[case::in_a_file("[files]\n'proxy.conf' = 'to {orgin.addr}'\n", true)]
#[case::in_the_environment("[environment]\nBEHIND = '{orgin.addr}'\n", true)]
#[case::of_the_files_own("[files]\n'proxy.conf' = 'to {upstream.addr}'\n", false)]
fn slip_in_the_name_of_a_backend_is_told(#[case] table: &str, #[case] is_slip: bool) {
    let (server, backends) = usual().split_once("[profile]").map_or_else(
        || unreachable!("the target has a profile"),
        |(server, rest)| (server.to_owned(), format!("[profile]{rest}")),
    );
    let run = run(&format!("{server}{table}{backends}"), ASKS);
    match is_slip {
        true => run
            .prints("{orgin.addr} is filled in with")
            .prints("did you mean `origin`?"),
        false => run.code(0),
    };
}

#[rstest]
#[case::as_its_command_says("'-s', '{path}'", "")]
#[case::as_its_profile_says("'{port}'", "[backends.origin.profile]\ntransport = 'unix'\n")]
fn backend_on_a_unix_path_is_refused(#[case] place: &str, #[case] profile: &str) {
    let target = target("", &format!("'{ORIGIN}', {place}")) + profile;
    run(&target, ASKS)
        .code(2)
        .complains("backend origin: it is reached over a Unix socket in the file system");
}

/// Nobody polite comes beside a case that acts on backends, and what the server answers once cannot be asked for again.
#[test]
fn leak_is_no_pass_where_the_case_cannot_be_taken_again() {
    let steps = format!("{ASKS}  origin stop\n  origin continue\n");
    let of = |ways| target(ways, &format!("'{ORIGIN}', '{{port}}'"));
    run(&of("once"), &steps).code(0);
    run(&of("once', 'leaks"), &steps)
        .prints("inconclusive  a::a")
        .prints("the steps cannot be taken again on the same server");
}

/// The file of a failure names what stands behind the server, from the folder that it lies in.
#[rstest]
#[case::in_the_target(true, "backend: origin\n", "  origin stop\n  origin continue\n")]
#[case::in_the_file(
    false,
    "backend: origin ../servers/origin.toml\n",
    "  origin stop\n  origin continue\n"
)]
#[case::in_the_file_and_in_no_step(false, "backend: origin ../servers/origin.toml\n", "")]
fn failed_case_is_run_again_with_what_stands_behind_its_server(
    #[case] in_target: bool,
    #[case] line: &str,
    #[case] steps: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let usual = usual();
    let (proxy, origin) = usual.split_once("[backends.origin]\n").unwrap();
    let proxy = if in_target { usual.as_str() } else { proxy };
    write("servers/proxy.toml", proxy);
    write("servers/origin.toml", origin);
    let case = format!(
        "server: ../servers/proxy.toml\n{line}\ncase a\n  clients: alice\n\n  alice connect\n{steps}  \
         alice send \"hi\\n\"\n  alice expect \"LO\\n\"\n"
    );
    write("cases/b.drill", &case);
    let found = folder.path().join("found/here");
    sockdrill(&["run", "--artifacts"])
        .arg(&found)
        .arg(folder.path().join("cases/b.drill"))
        .run()
        .code(1);
    let file = found.join("b--a.drill");
    let text = std::fs::read_to_string(&file).unwrap();
    let named = match in_target {
        true => "\nserver: ../../servers/proxy.toml\nbackend: origin\n",
        false => "\nserver: ../../servers/proxy.toml\nbackend: origin ../../servers/origin.toml\n",
    };
    assert!(text.contains(named), "{text}");
    sockdrill(&["fmt", "--check"]).arg(&file).run().code(0);
    let again = sockdrill(&["run"]).arg(&file).run().code(1);
    again.prints("LO");
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

/// As a server is that does so: it can be neither watched nor told to end. Where its first process stays for a while, that shows late.
#[rstest]
#[case::at_once("0", "did not start: it put itself into the background")]
#[case::later("0.3", "was not there: it put itself into the background")]
fn backend_in_the_background_is_refused_with_what_to_write(
    #[case] seconds: &str,
    #[case] told: &str,
) {
    let forks = format!(
        "'-c', 'import os, sys, time; os.fork() and (time.sleep({seconds}), os._exit(0)); os.setsid(); \
         os.execvp(\"python3\", [\"python3\", \"{ORIGIN}\", sys.argv[1]])', '{{port}}'"
    );
    let steps = format!("{ASKS}  pause 600ms\n");
    run(&target("", &forks), &steps)
        .prints("inconclusive  a::a")
        .prints("the backend origin")
        .prints(told)
        .prints("start it in the foreground: give it the option that keeps it there");
}

/// The step that awaits an end judges it, as that of the server itself does, whoever has brought it about.
#[rstest]
#[case::as_expected("\n", 0, "1 passed")]
#[case::with_another_status(
    " 0\n",
    1,
    "the backend origin was to end with status 0, and it exited with status 1"
)]
fn end_of_a_backend_is_judged_by_the_step_that_awaits_it(
    #[case] status: &str,
    #[case] code: i32,
    #[case] told: &str,
) {
    let steps = format!(
        "  alice send \"END\\n\"\n  alice expect \"GONE\\n\"\n  origin expect exit{status}"
    );
    run(&usual(), &steps).code(code).prints(told);
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

/// A folder with the target of a proxy, both of whose servers are programs in Python.
fn proxied(proxy: &str, origin: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let proxy = written(&folder, "proxy.py", proxy);
    let origin = written(&folder, "origin.py", origin);
    let target = format!(
        "command = ['python3', '{proxy}', '{{port}}', '{{origin.addr}}']\n\
         [backends.origin]\ncommand = ['python3', '{origin}', '{{port}}']\n"
    );
    written(&folder, "proxy.toml", &target);
    folder
}

/// The path of a file that is written into a folder.
fn written(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn connection_to_a_backend_that_is_yet_to_come_is_waited_for() {
    let folder = proxied(PASSES_ON, TAKES_ITS_TIME);
    let text = "server: proxy.toml\n\ncase a\n  clients: crowd[12]\n\n  crowd connect\n  crowd send \"hi\\n\"\n  crowd expect \"HI\\n\"\n";
    sockdrill(&["run", &written(&folder, "a.drill", text)])
        .run()
        .code(0);
}

/// Takes datagrams into a buffer for a few: by a backend that is stopped, or by a server that sleeps, the kernel drops the others.
const TAKES_FEW: &str = "import socket, sys, time\n\
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(sys.argv[2]))\n\
    s.bind(('127.0.0.1', int(sys.argv[1])))\n\
    host, port = sys.argv[3].split(':') if len(sys.argv) > 3 else ('', 0)\n\
    while True:\n    \
        data, who = s.recvfrom(2000)\n    \
        if data == b'sleep': time.sleep(0.5)\n    \
        if port: s.sendto(data, (host, int(port)))\n";

/// What is dropped behind a server that does not answer is no excuse of its own; what was to reach itself is.
#[rstest]
#[case::behind_it("origin stop\n", "", 0x10000, "fail          a::a")]
#[case::behind_it_before_that_is_another(
    "origin stop\n",
    "  origin start\n",
    0x10000,
    "fail          a::a"
)]
#[case::at_the_server_itself("alice send \"sleep\"\n", "", 1, "inconclusive  a::a")]
fn datagrams_that_are_dropped_excuse_those_alone_whom_they_were_to_reach(
    #[case] before: &str,
    #[case] then: &str,
    #[case] bytes: u32,
    #[case] told: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("few.py");
    std::fs::write(&script, TAKES_FEW).unwrap();
    let script = script.to_string_lossy();
    let target = format!(
        "command = ['python3', '{script}', '{{port}}', '{bytes}', '{{origin.addr}}']\n[profile]\ntransport = 'udp'\n\
         [backends.origin]\ncommand = ['python3', '{script}', '{{port}}', '1']\n\
         [backends.origin.profile]\ntransport = 'udp'\n"
    );
    let steps = format!(
        "  {before}  repeat 30\n    alice send \"hi\"\n  end\n  settle\n{then}  alice expect \"HI\" within 1s\n"
    );
    run(&target, &steps).prints(told);
}

/// Each step of a backend, in an order in which it can be taken.
const ALL_STEPS: &str = "  alice send \"hi\\n\"\n  alice expect \"HI\\n\"\n  origin expect output \"asked for hi\" within 5s\n  origin stop\n  \
    alice send \"ho\\n\"\n  alice expect silence\n  origin continue\n  alice expect \"HO\\n\" within 5s\n  origin signal KILL\n  \
    origin expect exit within 5s\n  alice send \"hi\\n\"\n  alice expect \"NOBODY THERE\\n\" within 5s\n  origin start\n  settle\n  \
    alice send \"hi\\n\"\n  alice expect \"HI\\n\" within 5s\n";

/// What a backend speaks is known to the server alone.
#[test]
fn program_finds_a_backend_over_whatever_it_is_reached() {
    const PASSES_BY_DATAGRAM: &str = "import socket, sys\nhost, port = sys.argv[2].split(':')\n\
        s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True:\n    c, _ = s.accept()\n    \
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n    u.sendto(c.recv(100), (host, int(port)))\n    \
        c.sendall(u.recv(100))\n    c.close()\n";
    const CAPITALS: &str = "import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.bind(('127.0.0.1', int(sys.argv[1])))\nwhile True:\n    d, w = s.recvfrom(100)\n    s.sendto(d.upper(), w)\n";
    let folder = proxied(PASSES_BY_DATAGRAM, CAPITALS);
    let text = "server: proxy.toml\n\ncase a\n  clients: alice\n\n  alice connect\n  alice send \"hi\"\n  alice expect \"HI\"\n";
    let file = written(&folder, "a.drill", text);
    let repro = sockdrill(&["repro", &file]).run().code(0);
    let program = written(&folder, "a.py", &repro.stdout);
    let run = std::process::Command::new("python3").arg(program).output();
    assert_eq!(run.unwrap().status.code(), Some(0));
}

/// Starts what stands behind the server, and says the steps about it.
#[rstest]
#[case::correct("", ALL_STEPS, 0, "")]
#[case::unasked(
    "forgets",
    ALL_STEPS,
    1,
    "the backend origin did not print b'asked for hi'"
)]
#[case::that_ends_by_itself(
    "",
    "  alice send \"END\\n\"\n  alice expect \"HI\\n\" within 5s\n",
    2,
    "the backend origin exited with status 1, and nobody had told it to end"
)]
#[case::that_ends_otherwise_than_awaited(
    "",
    "  alice send \"END\\n\"\n  origin expect exit 0 within 5s\n",
    1,
    "the backend origin exited with status 1"
)]
fn program_of_a_case_with_a_backend_stands_alone(
    #[case] way: &str,
    #[case] steps: &str,
    #[case] code: i32,
    #[case] told: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let target = target(way, &format!("'{ORIGIN}', '{{port}}'"));
    std::fs::write(path("proxy.toml"), target).unwrap();
    let text = format!(
        "server: proxy.toml\nbackend: origin\n\ncase a\n  clients: alice\n\n  alice connect\n{steps}"
    );
    std::fs::write(path("a.drill"), text).unwrap();
    sockdrill(&["repro", &path("a.drill"), "--output", &path("a.py")])
        .run()
        .code(0);
    let output = std::process::Command::new("python3")
        .arg(path("a.py"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(told), "{said}");
}
