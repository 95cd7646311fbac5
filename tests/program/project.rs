use crate::kit::{Sockdrill, sockdrill};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// A project file with a target that is broken, a profile of its own, and options.
fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "[targets.mine]\ncommand = [\"bin/serve\", \"{port}\"]\nspeaks = \"hello\"\n\
         [profiles.hello]\ntransport = \"tcp\"\n[[profiles.hello.exchange]]\nsend = 'hello'\nreply = 'hello'\n\
         [profiles.hello.promises]\nserves = \"concurrently\"\n\
         [defaults]\njobs = 3\nseed = 5\n[defaults.check]\nonly = [\"reset/mid-request\"]\n\
         [profile.ci]\njobs = 4\nstrict = true\nno-fail-fast = true\n[profile.ci.run]\nseed = 6\n";
    let serve =
        format!("#!/bin/sh\nexec {PROGRAM} serve echo --violate reset/mid-request --port \"$1\"\n");
    fs::create_dir_all(folder.path().join("bin")).unwrap();
    fs::create_dir_all(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sockdrill.toml"), text).unwrap();
    let script = folder.path().join("bin/serve");
    fs::write(&script, serve).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let case = "server: mine\n\ncase hello\n  clients: alice\n\n  alice connect\n  alice send \"hello\"\n  alice expect \"hello\" within 1s\n";
    fs::write(folder.path().join("sub/a.drill"), case).unwrap();
    folder
}

fn within(folder: &Path, words: &[&str]) -> Sockdrill {
    let mut program = sockdrill(words);
    program.command.current_dir(folder);
    program.command.env("XDG_STATE_HOME", folder);
    program
}

/// What `config show` says of an option.
fn shown(folder: &Path, words: &[&str], variables: &[(&str, &str)], option: &str) -> String {
    let mut program = within(folder, &[&["config", "show"], words].concat());
    program.command.envs(variables.iter().copied());
    let run = program.run().code(0);
    let start = format!("{option} = ");
    let mut lines = run.stdout.lines();
    let line = lines.find_map(|line| line.strip_prefix(&start)).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn names_of_the_project_are_known_in_every_folder_of_it() {
    let project = project();
    let sub = project.path().join("sub");
    within(&sub, &["run", "a.drill"])
        .run()
        .code(0)
        .prints("pass          a::hello");
    within(project.path(), &["run", "."])
        .run()
        .code(0)
        .prints("sub::a::hello");
    let run = within(&sub, &["check", "mine"]).run().code(1);
    run.prints("repeat: ")
        .prints(" check mine --only reset/mid-request --seed 5\n");
    within(
        &sub,
        &["check", "--speaks", "hello", "--only", "polite/exchange"],
    )
    .args(["--", "../bin/serve", "{port}"])
    .run()
    .code(0);
    within(&sub, &["check", "mine", "--no-config"])
        .run()
        .code(2)
        .complains("there is no target");
    within(&sub, &["check", "none"])
        .run()
        .code(2)
        .complains("one of mine, echo");
}

#[test]
fn flags_come_before_the_environment_a_profile_and_the_file() {
    let project = project();
    let path = project.path();
    let ci: &[&str] = &["--profile", "ci"];
    assert_eq!(shown(path, &[], &[], "jobs"), "3 [defaults]");
    assert_eq!(shown(path, ci, &[], "jobs"), "4 [profile.ci]");
    assert_eq!(
        shown(path, &[], &[("SOCKDRILL_PROFILE", "ci")], "strict"),
        "true [profile.ci]"
    );
    let variables = [("SOCKDRILL_JOBS", "7"), ("SOCKDRILL_STRICT", "0")];
    assert_eq!(shown(path, ci, &variables, "jobs"), "7 SOCKDRILL_JOBS");
    assert_eq!(
        shown(path, ci, &variables, "strict"),
        "false SOCKDRILL_STRICT"
    );
    assert_eq!(shown(path, &["--no-config"], &[], "jobs"), "- built in");
    assert_eq!(shown(path, ci, &[], "no-fail-fast"), "true [profile.ci]");
    // What stands closer leaves out what it takes the place of.
    assert_eq!(
        shown(path, ci, &[("SOCKDRILL_MAX_FAIL", "2")], "no-fail-fast"),
        "false built in"
    );
    assert_eq!(
        shown(path, &[], &[], "only"),
        "reset/mid-request [defaults.check]"
    );
}

#[test]
fn options_of_all_layers_decide_the_run() {
    let project = project();
    let seed = |words: &[&str], variable: Option<&str>| {
        let mut run = within(project.path(), words);
        run.command
            .envs(variable.map(|seed| ("SOCKDRILL_SEED", seed)));
        run.reporting().run().code(0).report["seed"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(seed(&["run", "sub"], None), 5);
    assert_eq!(seed(&["run", "sub", "--profile", "ci"], None), 6);
    assert_eq!(seed(&["run", "sub", "--profile", "ci"], Some("8")), 8);
    assert_eq!(
        seed(&["run", "sub", "--profile", "ci", "--seed", "9"], Some("8")),
        9
    );
}

#[test]
fn mistake_in_the_file_is_shown_in_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let mistakes = [
        (
            "[defaults]\nisolaton = \"host\"",
            "there is no option `isolaton`; did you mean `isolation`?",
        ),
        ("[profile.ci]\njosb = 1", "did you mean `jobs`?"),
        (
            "[default]\njobs = 1",
            "there is no table `default`; did you mean `defaults`?",
        ),
        (
            "[defaults]\nisolation = \"hst\"",
            "possible values: auto, namespace, host",
        ),
        ("[defaults]\nstrict = \"very\"", "write true or false"),
        (
            "[defaults]\npartition = \"slice:1/2\"",
            "SOCKDRILL_PARTITION",
        ),
        ("[targets.a]\ncomand = []", "unknown field `comand`"),
    ];
    for (text, said) in mistakes {
        fs::write(folder.path().join("sockdrill.toml"), text).unwrap();
        within(folder.path(), &["run", "x.drill"])
            .run()
            .code(2)
            .complains("sockdrill.toml")
            .complains("line ")
            .complains(said);
        // Commands that run nothing go on.
        within(folder.path(), &["list", "steps"]).run().code(0);
    }
    within(
        folder.path(),
        &["run", "x", "--no-config", "--profile", "ci"],
    )
    .run()
    .code(2);
    let mut wrong = within(folder.path(), &["run", "x", "--no-config"]);
    wrong.command.env("SOCKDRILL_JOBS", "many");
    wrong
        .run()
        .code(2)
        .complains("SOCKDRILL_JOBS: invalid value 'many'");
}

#[test]
fn profile_that_is_not_there_is_an_error() {
    let project = project();
    within(project.path(), &["run", "sub", "--profile", "cii"])
        .run()
        .code(2)
        .complains("there is no profile of the project `cii`; there are ci");
}

#[test]
fn program_of_a_target_file_is_beside_that_file() {
    let project = project();
    let serve = format!("#!/bin/sh\nexec {PROGRAM} serve echo --port \"$1\"\n");
    fs::write(project.path().join("bin/serve"), serve).unwrap();
    let target = "command = [\"./serve\", \"{port}\"]\n";
    fs::write(project.path().join("bin/server.toml"), target).unwrap();
    let words = [
        "check",
        "bin/server.toml",
        "--only",
        "reset/after-connect",
        "--no-config",
    ];
    within(project.path(), &words).run().code(0);
    within(
        &project.path().join("sub"),
        &[
            "check",
            "../bin/server.toml",
            "--only",
            "reset/after-connect",
        ],
    )
    .run()
    .code(0);
    // What is not there is looked for from here, as ever.
    let target = "command = [\"bin/serve\", \"{port}\"]\n";
    fs::write(project.path().join("sub/server.toml"), target).unwrap();
    within(
        project.path(),
        &["check", "sub/server.toml", "--only", "reset/after-connect"],
    )
    .run()
    .code(0);
}

#[test]
fn failure_is_repeated_whatever_variables_were_set() {
    let project = project();
    let run = |command: &mut Command| {
        let output = command
            .current_dir(project.path())
            .env("XDG_STATE_HOME", project.path())
            .env("SOCKDRILL_PARTITION", "slice:2/2")
            .env("SOCKDRILL_ISOLATION", "host")
            .env("SOCKDRILL_REPEAT", "2")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let command = text
            .lines()
            .find_map(|line| line.strip_prefix("  repeat: "));
        (
            output.status.code(),
            command.unwrap_or_default().to_owned(),
            text,
        )
    };
    let words = [
        "check",
        "mine",
        "--only",
        "reset/mid-request",
        "--only",
        "polite/exchange",
    ];
    let (code, command, text) = run(Command::new(PROGRAM).args(words));
    assert_eq!(code, Some(1), "{text}");
    assert!(command.starts_with("env -u "), "{text}");
    assert!(command.contains("-u SOCKDRILL_PARTITION "), "{text}");
    assert!(command.contains(" --isolation host "), "{text}");
    let (code, _, text) = run(Command::new("sh").args(["-c", &command]));
    assert_eq!(code, Some(1), "{command}: {text}");
    assert!(
        text.starts_with("fail          reset/mid-request"),
        "{text}"
    );
}

#[test]
fn project_file_of_the_page_is_understood() {
    let page = fs::read_to_string("docs/running.md").unwrap();
    let (_, text) = page.split_once("```toml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sockdrill.toml"), text).unwrap();
    let ci: &[&str] = &["--profile", "ci"];
    assert_eq!(shown(folder.path(), ci, &[], "retries"), "1 [profile.ci]");
    within(folder.path(), &["config", "show"])
        .run()
        .prints("targets.web")
        .prints("profiles.web");
}
