use crate::kit::{Run, sockdrill};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// A server that says to whoever comes, and in its log, all that may end something or begin something, and a mebibyte of it.
const HOSTILE: &str = r#"
import socket, sys
said = ("\n::error ::x</pre></details><img src=x onerror=y>\n   ::warning ::injected\n##[error]injected\n::stop-commands::x\n"
        "%0A%0D::set-output name=a::b</code></table><script>x</script>`\n\n```\n\n# heading @all #1 | x |\x1b[31m\0\n")
print(said, said * 100, "A" * (1 << 20), flush=True)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    try:
        client.recv(100)
        client.sendall(said.encode() + b"B" * (1 << 20))
    except OSError:
        pass
    client.close()
"#;

/// A scenario whose file has a name that properties of commands may not have as it is.
const SCENARIO: &str = "case a:b, 100%\n  clients: alice\n\n  alice connect\n  alice send \"x\"\n  alice expect \"no\" within 2s\n";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/a,b.drill"), SCENARIO).unwrap();
    std::fs::write(folder.path().join("sub/server.py"), HOSTILE).unwrap();
    folder
}

/// Runs the program as a step of a workflow, in a folder of the repository.
fn step(folder: &Path, arguments: &[&str]) -> Run {
    let mut program = sockdrill(arguments);
    program
        .command
        .current_dir(folder.join("sub"))
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", folder)
        .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"));
    program.run()
}

const SERVER: &[&str] = &["--", "python3", "server.py", "{port}"];

/// The lines that a runner takes for commands, in either form.
fn commands(run: &Run) -> Vec<String> {
    let lines = run.stdout.lines().chain(run.stderr.lines());
    let is_command = |line: &&str| line.trim_start().starts_with("::") || line.contains("##[");
    lines.filter(is_command).map(str::to_owned).collect()
}

#[test]
fn finding_is_shown_on_the_line_of_its_scenario_and_nothing_that_a_server_says_is_a_command() {
    let folder = folder();
    let run = step(folder.path(), &[&["run", "a,b.drill"], SERVER].concat()).code(1);
    let told = commands(&run);
    let [command] = told.as_slice() else {
        panic!("{told:#?}");
    };
    let at = "::error file=sub/a%2Cb.drill,line=6,col=16,title=a%2Cb%3A%3Aa%3Ab%2C 100%25::";
    assert!(command.starts_with(at), "{command}");
    assert!(command.contains("%0Arepeat: "), "{command}");
    let is_shown = run.stdout.contains(r"\n::error ::x</pre>");
    assert!(is_shown, "{run:?}");
    let summary = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
    assert!(summary.len() < 1 << 20);
    assert!(
        !summary.contains("<img") && !summary.contains("<script"),
        "{summary}"
    );
    assert!(summary.contains("&lt;img src=x"), "{summary}");
    assert_eq!(summary.matches("</details>").count(), 1, "{summary}");
    assert!(!summary.contains(['\0', '\x1b']));
}

#[test]
fn check_has_no_file_and_what_is_beyond_ten_is_named() {
    let folder = folder();
    let checks = [
        "check",
        "--only",
        "polite/exchange",
        "--speaks",
        "uppercase",
    ];
    let run = step(folder.path(), &[&checks, SERVER].concat()).code(1);
    let told = commands(&run);
    assert!(
        told[0].starts_with("::error title=polite/exchange::"),
        "{told:#?}"
    );
    let cases: String = (0..12)
        .map(|n| SCENARIO.replace("a:b, 100%", &format!("number {n}")) + "\n")
        .collect();
    std::fs::write(folder.path().join("sub/many.drill"), cases).unwrap();
    let run = step(
        folder.path(),
        &[&["run", "many.drill", "--strict"], SERVER].concat(),
    );
    let told = commands(&run);
    assert!(told.len() <= 10, "{told:#?}");
}

#[test]
fn summary_is_added_to_what_is_there_and_no_longer_than_a_step_may_have() {
    let folder = folder();
    let place = folder.path().join("summary.md");
    std::fs::write(&place, "# before\n").unwrap();
    let run = || step(folder.path(), &[&["run", "a,b.drill"], SERVER].concat()).code(1);
    run();
    run();
    let text = std::fs::read_to_string(&place).unwrap();
    assert!(text.starts_with("# before\n"), "{text}");
    assert_eq!(text.matches("<h3>sockdrill: ").count(), 2, "{text}");
    std::fs::write(&place, "x".repeat((1 << 20) - 10)).unwrap();
    run();
    assert!(place.metadata().unwrap().len() <= 1 << 20);
}

#[test]
fn elsewhere_nothing_of_it_is_printed() {
    let folder = folder();
    let mut program = sockdrill(&[&["run", "a,b.drill"], SERVER].concat());
    program.command.current_dir(folder.path().join("sub"));
    program.command.env_remove("GITHUB_ACTIONS");
    program
        .command
        .env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"));
    let run = program.run().code(1);
    assert!(!run.stdout.contains("::error file="), "{run:?}");
    assert!(!folder.path().join("summary.md").exists());
}

#[test]
fn matrix_of_several_targets_is_in_the_summary() {
    let folder = folder();
    let checks = [
        "check",
        "echo",
        "udp-echo",
        "--only",
        "reset/mid-request",
        "--no-tests=pass",
    ];
    step(folder.path(), &checks).code(0);
    let summary = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
    let row = "<tr><td><code>reset/mid-request</code></td><td>pass</td><td>skip</td></tr>";
    assert!(summary.contains(row), "{summary}");
}

#[test]
fn gitlab_knows_a_finding_again_by_its_fingerprint() {
    let folder = folder();
    let quality = |seed: &str, name: &str| -> Value {
        let arguments = ["run", "a,b.drill", "--seed", seed, "--code-quality", name];
        let mut program = sockdrill(&[&arguments, SERVER].concat());
        program.command.current_dir(folder.path().join("sub"));
        program.run().code(1);
        let text = std::fs::read(folder.path().join("sub").join(name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let (one, other) = (quality("1", "one.json"), quality("7", "other.json"));
    let issue = &one[0];
    assert_eq!(one.as_array().unwrap().len(), 1, "{one:#}");
    assert_eq!(issue["check_name"], "a,b::a:b, 100%");
    assert_eq!(issue["location"]["path"], "a,b.drill");
    assert_eq!(issue["location"]["lines"]["begin"], 6);
    assert_eq!(issue["severity"], "major");
    let description = issue["description"].as_str().unwrap();
    assert!(
        description.chars().count() <= 1_000 && !description.contains('\n'),
        "{issue:#}"
    );
    assert_eq!(issue["fingerprint"].as_str().unwrap().len(), 32);
    assert_eq!(issue["fingerprint"], other[0]["fingerprint"]);
}
