use std::path::Path;
use std::process::Command;

/// A command of the README and what it is said to print.
struct Example {
    command: String,
    output: Vec<String>,
}

/// The commands in the fenced `console` blocks of a text.
fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => examples.push(Example {
                    command: command.to_owned(),
                    output: Vec::new(),
                }),
                (None, Some(example)) => example.output.push(line.trim_end().to_owned()),
                (None, None) => panic!("a console block begins with a command: {line}"),
            },
            (false, _) => {}
        }
    }
    examples
}

/// Whether a line is the expected one, in which `[..]` stands for any text.
fn line_matches(expected: &str, line: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == line,
        Some((before, after)) => line.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| line_matches(after, &rest[at..]))
        }),
    }
}

/// Whether lines are the expected ones, among which `…` stands for any lines.
fn matches(expected: &[String], lines: &[&str]) -> bool {
    match (expected.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any.trim() == "…" => {
            (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..]))
        }
        (Some((first, rest)), Some((line, lines))) => {
            line_matches(first, line) && matches(rest, lines)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[test]
fn readme_shows_what_the_program_prints() {
    let text = std::fs::read_to_string("README.md").unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_sockdrill")).parent().unwrap();
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let examples = examples(&text);
    assert!(!examples.is_empty());
    for example in examples {
        let shell = format!("{} 2>&1", example.command);
        let output = Command::new("sh")
            .args(["-c", &shell])
            .env("PATH", &path)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<_> = output.trim_end().lines().map(str::trim_end).collect();
        assert!(
            matches(&example.output, &lines),
            "$ {}\nprints\n{output}\nand README.md says\n{}",
            example.command,
            example.output.join("\n")
        );
    }
}

#[test]
fn wildcards_stand_for_any_text_and_any_lines() {
    let expected = ["one [..] three", "…", "last"].map(str::to_owned);
    assert!(matches(&expected, &["one two three", "last"]));
    assert!(matches(
        &expected,
        &["one  three", "more", "and more", "last"]
    ));
    assert!(!matches(&expected, &["one two", "last"]));
    assert!(!matches(&expected, &["one two three", "last", "but one"]));
}
