//! What is made of the tables of the language and of profiles: their pages, the grammar of editors, and the cookbook.

use crate::kit::sockdrill;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Holds a file to what it is made of; `SOCKDRILL_BLESS=1` writes it anew.
fn demand(file: &str, made: &str, renew: &str) {
    if std::env::var_os("SOCKDRILL_BLESS").is_some() {
        std::fs::write(file, made).unwrap();
    }
    let text = std::fs::read_to_string(file).unwrap_or_default();
    assert!(text == made, "{file} is out of date; renew it: {renew}");
}

#[test]
fn page_of_the_language_is_what_the_program_prints() {
    let printed = sockdrill(&["list", "steps", "--format", "markdown"])
        .run()
        .stdout;
    let renew = "sockdrill list steps --format markdown > docs/language.md";
    demand("docs/language.md", &printed, renew);
}

#[test]
fn page_of_profiles_is_what_the_program_prints() {
    let printed = sockdrill(&["list", "promises", "--format", "markdown"])
        .run()
        .stdout;
    let renew = "sockdrill list promises --format markdown > docs/promises.md";
    demand("docs/promises.md", &printed, renew);
}

#[test]
fn grammar_of_editors_is_what_the_program_prints() {
    let printed = sockdrill(&["list", "steps", "--format", "textmate"])
        .run()
        .stdout;
    let file = "editors/vscode/syntaxes/drill.tmLanguage.json";
    demand(
        file,
        &printed,
        &format!("sockdrill list steps --format textmate > {file}"),
    );
    let package = std::fs::read_to_string("editors/vscode/package.json").unwrap();
    let package: serde_json::Value = serde_json::from_str(&package).unwrap();
    for file in [
        &package["contributes"]["grammars"][0]["path"],
        &package["contributes"]["languages"][0]["configuration"],
    ] {
        let file = Path::new("editors/vscode").join(file.as_str().unwrap());
        assert!(file.is_file(), "{}", file.display());
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}

/// The comment that a scenario file begins with, and the rest of it.
fn claim(text: &str) -> (String, &str) {
    let is_comment = |line: &&str| line.starts_with('#');
    let comment: Vec<_> = text.lines().take_while(is_comment).collect();
    let length: usize = comment.iter().map(|line| line.len() + 1).sum();
    let words: Vec<_> = comment
        .iter()
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    (words.join(" "), &text[length.min(text.len())..])
}

const HEAD: &str = "\
# Cookbook of hostile behaviours

Each recipe is a file of `fixtures/scenarios`, which `cargo test` runs; `SOCKDRILL_BLESS=1 cargo test --test rules cookbook` makes
this page anew. Copy the one that comes nearest, put your server's name or target file at its top, or run it as it is against a server of yours:
`sockdrill run FILE -- ./your-server --port {port}`.
";

#[test]
fn cookbook_has_every_scenario_of_the_repository() {
    let mut page = HEAD.to_owned();
    for topic in entries(Path::new("fixtures/scenarios")) {
        let name = topic
            .file_name()
            .unwrap()
            .to_string_lossy()
            .replace('-', " ");
        let _ = write!(page, "\n## {}{}\n", name[..1].to_uppercase(), &name[1..]);
        let files = entries(&topic);
        for file in files
            .iter()
            .filter(|file| file.extension().is_some_and(|end| end == "drill"))
        {
            let text = std::fs::read_to_string(file).unwrap();
            let (claim, rest) = claim(&text);
            let title = file
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .replace('-', " ");
            assert!(
                claim.ends_with('.'),
                "{}: its comment is its claim: {claim}",
                file.display()
            );
            let (title, path) = (
                format!("{}{}", title[..1].to_uppercase(), &title[1..]),
                file.display(),
            );
            let _ = write!(
                page,
                "\n### {title}\n\n{claim} (`{path}`)\n\n```text\n{}\n```\n",
                rest.trim()
            );
        }
    }
    let renew = "SOCKDRILL_BLESS=1 cargo test --test rules cookbook";
    demand("docs/cookbook.md", &page, renew);
}
