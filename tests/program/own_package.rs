use std::path::Path;
use std::process::{Command, Output};

/// What a shell makes of a command in a folder of the repository.
fn pasted(command: &str, folder: &str) -> Output {
    let mut shell = Command::new("sh");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    shell
        .args(["-c", command])
        .env("PWD", &folder)
        .env("CARGO_NET_OFFLINE", "true")
        .current_dir(folder);
    // What cargo has told this test is not for others.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_")) {
        shell.env_remove(name);
    }
    shell.env_remove("CARGO_MANIFEST_DIR").output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What stands behind a word at the beginning of lines.
fn behind<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let lines = text.lines();
    let lines = lines.filter_map(|line| line.trim().strip_prefix(word));
    lines.map(str::trim).collect()
}

#[test]
fn failed_tests_of_a_package_are_repeated_by_the_commands_that_they_print() {
    // As from a folder of another package of the workspace, where the paths of this one lead nowhere.
    let here = "examples/line-server";
    let run = "cargo test -p sockdrill --test failing-suite";
    let printed = stdout(&pasted(run, here));
    assert!(printed.contains("0 passed; 2 failed"), "{printed}");
    assert!(
        printed.contains("A server survives a reset after any byte of a request."),
        "{printed}"
    );
    let tests = behind(&printed, "as a test: ");
    assert_eq!(tests.len(), 2, "{printed}");
    for test in tests {
        let again = pasted(test, here);
        assert_eq!(again.status.code(), Some(101), "{test}: {again:?}");
        assert!(
            stdout(&again).contains("0 passed; 1 failed"),
            "{test}: {again:?}"
        );
    }
    let commands = behind(&printed, "repeat: ");
    assert_eq!(commands.len(), 2, "{printed}");
    for command in commands {
        let again = pasted(command, here);
        assert_eq!(again.status.code(), Some(1), "{command}: {again:?}");
        assert!(
            stdout(&again).contains("0 passed, 1 failed"),
            "{command}: {again:?}"
        );
    }
}

/// The part of the README on packages of one's own shows the test of the example.
#[test]
fn readme_shows_the_test_of_the_example() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let (readme, test) = (
        read("README.md"),
        read("examples/line-server/tests/sockets.rs"),
    );
    let (_, code) = test.split_once("\n\n").unwrap();
    assert!(readme.contains(code.trim_end()), "README.md shows\n{code}");
}
