use crate::kit::sockdrill;
use std::path::Path;
use std::process::Command;

const MARKUP: &str = "\
server: echo

case a word & a <script>
  clients: alice

  alice connect
  alice send \"<script>alert(1)</script>\"
  alice expect \"<b>\"
";

/// The evidence on a page is made anew by the command that stands there.
#[test]
fn evidence_without_sockdrill_is_what_the_page_says() {
    let page = include_str!("../../docs/real-servers.md");
    let mut lines = page.lines();
    let command = lines.find(|line| line.starts_with("python3 fixtures/evidence/"));
    let command = command.unwrap();
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    // A processor that others want too is not all its own.
    let ran = printed.strip_prefix("in 2 s it ran for ");
    let ran: f64 = ran
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap_or_default();
    assert!(
        ran > 0.0,
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn targets_that_are_run_by_hand_are_understood() {
    let files = std::fs::read_dir("fixtures/targets/more").unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 10);
    for file in files {
        let target = sockdrill::Target::find(&file.to_string_lossy());
        let target = target.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(target.package.is_some(), "{}", file.display());
    }
}

/// A search path on which the program under test is found first.
fn path() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_sockdrill")).parent().unwrap();
    format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    )
}

#[test]
fn html_report_shows_a_failure_in_full_and_nothing_in_it_is_markup() {
    let folder = tempfile::tempdir().unwrap();
    let (file, page) = (
        folder.path().join("markup.drill"),
        folder.path().join("report.html"),
    );
    std::fs::write(&file, MARKUP).unwrap();
    sockdrill(&["run", "--html"])
        .arg(&page)
        .arg(&file)
        .run()
        .code(1);
    let page = std::fs::read_to_string(&page).unwrap();
    for part in [
        "markup::a word &#38; a &#60;script&#62;",
        "alice expected &#34;&#60;b&#62;&#34;",
        "alice &#62; &#34;&#60;script&#62;alert(1)&#60;/script&#62;&#34;",
        "failed 3 of 3",
        "<summary>Transcript</summary>",
        "sockdrill run ",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    for foreign in ["<script>alert", "<b>\"", " src=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign} is in {page}");
    }
}

#[test]
fn html_report_has_every_verdict_and_what_was_observed() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let only = [
        "--only",
        "polite",
        "--only",
        "datagram/empty",
        "--seed",
        "4711",
    ];
    sockdrill(&["check", "echo", "--html"])
        .arg(&page)
        .args(only)
        .run()
        .code(0);
    let page = std::fs::read_to_string(&page).unwrap();
    for part in [
        "<span class=\"verdict pass\">pass</span>",
        "<p class=\"requirement\">A polite client is served",
        "<li class=\"check skip\" data-word=\"skip\" id=\"datagram/empty\">",
        "the server does not take datagrams",
        "<dt>close after reply</dt><dd>stays open</dd>",
        "seed 4711",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("<article"), "nothing failed: {page}");
}

#[test]
fn files_that_init_writes_run_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut told = sockdrill(arguments);
        told.command.current_dir(folder.path());
        told.run()
    };
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let server = ["--", program, "serve", "echo", "--port", "{port}"];
    run(&[&["init"][..], &server].concat())
        .code(0)
        .prints("wrote     ./server.toml")
        .prints("sockdrill check ./server.toml");
    run(&["fmt", "--check", "scenarios/first.drill"]).code(0);
    run(&["check", "server.toml", "--only", "reset"])
        .code(0)
        .prints("pass          reset/");
    run(&["run", "scenarios/first.drill"])
        .code(0)
        .prints("2 passed");
}

#[test]
fn init_without_a_command_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut told = sockdrill(arguments);
        told.command.current_dir(folder.path());
        told.run()
    };
    run(&["init"])
        .code(0)
        .prints("write the command that starts your server into ./server.toml");
    run(&["check", "server.toml"])
        .code(3)
        .complains("starting `./your-server`: no such program");
}

/// The program is that of the package, and its test is what this program has been compiled with.
#[test]
fn init_in_a_package_writes_its_test_and_says_what_to_paste() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("Cargo.toml"),
        "[package]\nname = \"talker\"\n",
    )
    .unwrap();
    sockdrill(&["init"])
        .arg(folder.path())
        .run()
        .code(0)
        .prints("[dev-dependencies]")
        .prints("name = \"sockets\"\n  harness = false");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("server.toml").contains("command = [\"target/debug/talker\", "));
    let test = include_str!("../../harness/cli/sockets.rs.txt");
    assert_eq!(read("tests/sockets.rs"), test);
}

#[expect(dead_code, reason = "that it compiles is all that is asked of it")]
#[path = "../../harness/cli/sockets.rs.txt"]
mod sockets;

/// A setting that stands in a comment, without the sign of the comment.
fn offered(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# ")?;
    (rest.contains(" = ") || rest.starts_with('[')).then_some(rest)
}

#[test]
fn everything_that_init_offers_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    sockdrill(&["init"]).arg(folder.path()).run().code(0);
    let target = folder.path().join("server.toml");
    let text = std::fs::read_to_string(&target).unwrap();
    let all: Vec<_> = text
        .lines()
        .map(|line| offered(line).unwrap_or(line))
        .collect();
    let serve = format!(
        "\"{}\", \"serve\", \"echo\"",
        env!("CARGO_BIN_EXE_sockdrill")
    );
    let all = all
        .join("\n")
        .replace("\"./your-server\"", &serve)
        .replace("listen = \"8080\"", "");
    assert!(all.contains("\nbacklog = 128"), "{all}");
    std::fs::write(&target, all).unwrap();
    sockdrill(&["check", "--only", "polite"])
        .arg(&target)
        .run()
        .code(0);
}

#[test]
fn init_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("server.toml");
    std::fs::write(&target, "mine").unwrap();
    sockdrill(&["init"])
        .arg(folder.path())
        .run()
        .code(0)
        .prints("server.toml, and is left as it is")
        .prints("first.drill");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    assert!(folder.path().join("scenarios/first.drill").is_file());
}

/// What a shell prints at the end of a script.
fn printed(shell: &str, script: &str) -> std::io::Result<String> {
    let output = Command::new(shell)
        .args(["-c", script])
        .env("PATH", path())
        .output()?;
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim()
        .replace('\n', " "))
}

/// What is offered for the last of some words.
fn completions(words: &[&str]) -> Vec<String> {
    let asked = sockdrill(&["--", "sockdrill"]).args(words);
    let mut asked = asked.command;
    asked
        .env("SOCKDRILL_COMPLETE", "bash")
        .env("_CLAP_IFS", "\n");
    asked.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let output = asked.output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn completions_offer_commands_options_and_the_names_that_the_program_knows() {
    assert_eq!(completions(&[""])[..4], ["check", "run", "repro", "serve"]);
    assert_eq!(completions(&["check", "--onl"]), ["--only"]);
    let reset = ["reset/mid-request", "reset/mid-reply"];
    assert_eq!(completions(&["check", "--only", "reset/mid"]), reset);
    assert_eq!(completions(&["explain", "reset/mid"]), reset);
    assert_eq!(
        completions(&["serve", "echo", "--violate", "reset/mid"]),
        reset
    );
    assert_eq!(
        completions(&["check", "echo", "--isolation", ""]),
        ["auto", "namespace", "host"]
    );
    assert_eq!(completions(&["serve", "line-"]), ["line-echo", "line-idle"]);
    assert_eq!(completions(&["check", "--speaks", "line-e"]), ["line-echo"]);
    assert_eq!(
        completions(&["list", "checks", "--format", ""]),
        ["text", "json", "markdown", "textmate"]
    );
    // Beside the names there may be files.
    assert_eq!(completions(&["check", "README"]), ["README.md"]);
    assert_eq!(completions(&["run", "README"]), ["README.md"]);
}

#[test]
fn shell_that_has_read_the_script_asks_the_program() {
    let asks = "COMP_WORDS=(sockdrill check --only reset/mid); COMP_CWORD=3; \
                _clap_complete_sockdrill sockdrill reset/mid --only; echo \"${COMPREPLY[@]}\"";
    let bash = format!("source <(sockdrill completions bash); {asks}");
    // Where there is no bash, there is nobody to complete for.
    if let Ok(completed) = printed("bash", &bash) {
        assert_eq!(completed, "reset/mid-request reset/mid-reply");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sockdrill(&["completions", shell]).run().code(0).stdout;
        assert!(script.contains("SOCKDRILL_COMPLETE"), "{shell}: {script}");
    }
    sockdrill(&["completions", "tcsh"]).run().code(2);
}

#[test]
fn every_command_is_offered_and_in_the_manual() {
    let help = sockdrill(&["--help"]).run().stdout;
    let commands = help
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with([' ', '-']));
    let commands: Vec<_> = commands
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.contains(&"init"), "{help}");
    let (offered, page) = (completions(&[""]), sockdrill(&["man"]).run().stdout);
    for command in commands {
        assert!(offered.iter().any(|name| name == command), "{command}");
        let title = format!("\n.SH \"{}\"\n", command.to_uppercase());
        assert!(page.contains(&title), "{command}");
    }
}

#[test]
fn manual_page_has_every_option_and_every_exit_code() {
    let page = sockdrill(&["man"]).run().stdout;
    assert!(page.contains("\n.TH SOCKDRILL 1 "), "{page}");
    let help = sockdrill(&["check", "--help"]).run().stdout;
    let options = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 2);
    for option in options.filter(|option| *option != "--help") {
        let option = option.trim_end_matches([',', '.', ';']).replace('-', "\\-");
        assert!(page.contains(&option), "{option} is not in the manual");
    }
    let readme = std::fs::read_to_string("README.md").unwrap();
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let codes = rows.filter(|(code, _)| code.parse::<u8>().is_ok());
    let mut seen = 0;
    for (code, meaning) in codes {
        let words = meaning.trim_end_matches([' ', '|']).to_lowercase();
        assert!(page.contains(&format!("\\fB{code}\\fR\n")), "{code}");
        assert!(page.to_lowercase().contains(&words), "{words}");
        seen += 1;
    }
    assert_eq!(seen, 6);
}
