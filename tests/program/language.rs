//! The language of scenario files where a server breaks what they say.

use crate::kit::{Run, sockdrill};

/// Runs a case on the server of sessions that breaks its word in these ways.
fn against(ways: &[&str], case: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let target = std::fs::read_to_string("fixtures/scenarios/language/sessions.toml").unwrap();
    let ways: String = ways.iter().map(|way| format!(", \"{way}\"")).collect();
    let target = target.replace("\"{port}\"", &format!("\"{{port}}\"{ways}"));
    let here = std::env::current_dir().unwrap();
    let target = target.replace("fixtures/", &format!("{}/fixtures/", here.display()));
    std::fs::write(folder.path().join("target.toml"), target).unwrap();
    let file = folder.path().join("case.drill");
    std::fs::write(&file, case).unwrap();
    sockdrill(&["run"]).arg(&file).run()
}

fn case(steps: &str) -> String {
    format!("server: target.toml\n\ncase c\n  clients: alice bob\n\n  alice connect\n{steps}")
}

#[test]
fn what_must_never_come_is_found_in_what_comes() {
    let steps = "  alice send \"LOGIN alice\\r\\n\"
  alice expect \"OK sid={sid:[0-9a-f]+}\\r\\n\"
  bob connect
  bob never \"{sid}\"
  bob send \"LOGIN bob\\r\\n\"
  bob expect \"OK sid={other:[0-9a-f]+}\\r\\n\"
  bob send \"WHO {other}\\r\\n\"
  bob expect \"bob {line}\\n\"
";
    against(&[], &case(steps)).code(0);
    let told = against(&["leaks"], &case(steps)).code(1);
    told.prints("came to bob, to whom it must never come");
}

#[test]
fn what_comes_too_soon_is_told_with_the_time_it_took() {
    let steps = "  alice send \"SOON 300\\r\\n\"\n  alice expect \"now\\r\\n\" after 300ms\n";
    against(&[], &case(steps)).code(0);
    let told = against(&["hasty"], &case(steps)).code(1);
    told.prints("alice was to wait 300ms for \"now\\r\\n\", and it came after");
}

#[test]
fn what_must_never_be_printed_is_found_in_the_output() {
    let steps = "  server never output \"Traceback\"\n  alice send \"FAIL\\r\\n\"\n  alice expect \"failed\\r\\n\"\n";
    against(&[], &case(steps)).code(0);
    let told = against(&["prints"], &case(steps)).code(1);
    told.prints("the server printed \"Traceback\", which it must never print");
}

#[test]
fn none_of_several_ways_is_met_by_what_fits_none() {
    let steps = "  alice send \"NUMBER\\r\\nBYE\\r\\n\"\n  alice expect \"{n:[0-9]+}\" or \"none\" or fin\n";
    against(&[], &case(steps)).code(0);
    // The end comes, and other bytes before it.
    let told = against(&["words"], &case(steps)).code(1);
    told.prints(
        "alice expected \"{n:[0-9]+}\" or \"none\" or fin, got \"seventeen\", wrong from byte 0 on",
    );
}

#[test]
fn case_that_is_known_to_fail_fails_no_run_until_it_passes() {
    let known =
        |steps: &str| case(steps).replace("  clients", "  expected: fail \"issue 17\"\n  clients");
    let steps = "  alice send \"NUMBER\\r\\n\"\n  alice expect \"17\"\n";
    let told = against(&["words"], &known(steps)).code(0);
    told.prints("(known: issue 17)")
        .prints("0 failed, 0 inconclusive, 0 skipped, 1 known");
    let told = against(&[], &known(steps)).code(1);
    told.prints("passes although it is known to fail (issue 17)");
}

#[test]
fn promise_of_a_case_counts_in_that_case_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("promise.drill");
    let text = "server: echo\n\ncase a\n  promise: serves = \"one-connection\"\n  clients: alice\n\n  alice connect\n\n\
                case b\n  clients: alice\n\n  alice connect\n";
    std::fs::write(&file, text).unwrap();
    let run = sockdrill(&["run", "--verbose"]).arg(&file).run().code(0);
    let (first, second) = run.stdout.split_once("promise::b").unwrap();
    // Nobody comes before or after where the server has promised to serve one connection.
    let connections = |text: &str| text.matches("is connected").count();
    assert!(connections(first) < connections(second), "{}", run.stdout);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.drill");
    let text = "server: echo\n\ncase a\n  clients: alice\n\n  alice conect\n  alice send \"{sid}\"\n  alcie close\n  alice expect fin or rst\n";
    std::fs::write(&file, text).unwrap();
    let other = folder.path().join("other.drill");
    std::fs::write(&other, "server: echo\n\ncase a\n  settel\n").unwrap();
    let run = sockdrill(&["run"]).args([&file, &other]).run().code(2);
    for part in [
        "other.drill:4:3",
        "wrong.drill:6:9",
        "did you mean `connect`?",
        "wrong.drill:8:3",
        "did you mean `alice`?",
        "wrong.drill:9:23",
        "4 mistakes",
    ] {
        assert!(run.stderr.contains(part), "{part} in {}", run.stderr);
    }
}

#[test]
fn mistakes_are_told_to_editors_and_programs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.drill");
    std::fs::write(&file, "server: echo\n\ncase a\n  settel\n  pause 1\n").unwrap();
    let told = |format: &str| {
        let fmt = sockdrill(&["fmt", "--check", "--message-format", format]);
        fmt.arg(&file).run().code(2)
    };
    let short = told("short").stderr;
    let first = format!(
        "{}:4:3: error: there is no client `settel` here",
        file.display()
    );
    assert!(short.starts_with(&first), "{short}");
    assert_eq!(short.lines().count(), 2, "{short}");
    let json = told("json").stdout;
    let lines: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["line"], 4);
    assert_eq!(
        (&lines[1]["column"], &lines[1]["end_column"]),
        (&9.into(), &10.into())
    );
    assert_eq!(lines[1]["text"], "  pause 1");
}

#[test]
fn file_that_includes_itself_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("round.drill");
    std::fs::write(
        &file,
        "include: round.drill\nserver: echo\n\ncase a\n  settle\n",
    )
    .unwrap();
    let run = sockdrill(&["run"]).arg(&file).run().code(2);
    assert!(
        run.stderr.contains("it includes this one, or is it"),
        "{}",
        run.stderr
    );
}

#[test]
fn mistakes_of_a_file_and_of_what_it_includes_are_told_at_once_and_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    write(
        "login.drill",
        "payload: hi hello * 2\n\nsetup\n  clients: alice[2\n\n  alice conect\n",
    );
    write("good.drill", "payload: bye \"bye\"\n");
    let text = "server: echo\ninclude: login.drill\nwithin: 1 week\n\ncase a\n  clients: bob\n\n  \
                alice sned \"x\"\n  bob connect\n  bob send hi cutt 1\n  carl close\n\ncase b\n  clients: bob\n\n  bob send \"x\"\n";
    write("a.drill", text);
    write(
        "sub/b.drill",
        "include: ../good.drill\ninclude: ../login.drill\n\ncase c\n  alice close now\n  dora send bye\n",
    );
    let mut run = sockdrill(&[
        "run",
        "a.drill",
        "sub/b.drill",
        "login.drill",
        "--message-format",
        "short",
    ]);
    run.command.current_dir(folder.path());
    let told = run.run().code(2).stderr;
    let places: Vec<_> = told
        .lines()
        .filter_map(|line| line.split(": error").next())
        .collect();
    let expected = [
        "login.drill:1:13",
        "login.drill:4:17",
        "login.drill:6:9",
        "a.drill:3:9",
        "a.drill:8:9",
        "a.drill:10:15",
        "a.drill:11:3",
        "sub/b.drill:5:15",
        "sub/b.drill:6:3",
    ];
    assert_eq!(places, expected, "{told}");
}

#[test]
fn step_of_an_included_setup_is_pointed_at_in_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "login.drill",
        "# Says hello.\nsetup\n  clients: alice\n\n  repeat 2\n    alice connect\n    alice send \"hi\"\n    \
         alice expect \"HO\"\n    alice close\n  end\n",
    );
    write("more.drill", "include: login.drill\n\nsetup\n\n  settle\n");
    write(
        "a.drill",
        "include: more.drill\nserver: uppercase\n\ncase a\n  clients: bob\n\n  bob connect\n",
    );
    let mut run = sockdrill(&["run", "a.drill"]).reporting();
    run.command.current_dir(folder.path());
    let run = run.run().code(1);
    let at = &run.report["checks"][0]["at"];
    let file = at["file"].as_str().unwrap();
    assert!(file.ends_with("login.drill"), "{at}");
    assert_eq!(
        (&at["line"], &at["column"]),
        (&8.into(), &18.into()),
        "{at}"
    );
    assert_eq!(at["text"], "    alice expect \"HO\"");
    run.prints("login.drill:8:18").prints("^^^^");
}

/// Answers, and says a tenth of a second later to everybody what it was told: nothing of it runs meanwhile.
const TELLS_LATER: &str = "import asyncio, sys\n\
    everybody = []\n\
    async def talk(r, w):\n    \
        everybody.append(w)\n    \
        while line := await r.readline():\n        \
            w.write(b'ok\\n')\n        \
            loop = asyncio.get_running_loop()\n        \
            loop.call_later(0.1, lambda: [one.write(line) for one in everybody])\n\
    async def main():\n    \
        await (await asyncio.start_server(talk, '127.0.0.1', int(sys.argv[1]))).serve_forever()\n\
    asyncio.run(main())\n";

#[test]
fn what_must_never_come_is_listened_to_as_any_silence_is() {
    let folder = tempfile::tempdir().unwrap();
    let (script, file) = (
        folder.path().join("later.py"),
        folder.path().join("never.drill"),
    );
    std::fs::write(&script, TELLS_LATER).unwrap();
    let text = "case c\n  clients: alice bob\n\n  alice connect\n  bob connect\n  bob never \"secret\"\n  \
                alice send \"secret\\n\"\n  alice expect \"ok\\n\"\n";
    std::fs::write(&file, text).unwrap();
    sockdrill(&["run"])
        .arg(&file)
        .args(["--", "python3"])
        .arg(&script)
        .arg("{port}")
        .run()
        .code(1)
        .prints("came to bob, to whom it must never come");
}
