//! The handbook: its pages are all there, and what they point at is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is left of a page without its code: no fenced block, no code span.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if !is_code && !is_fence {
            lines.push(line);
        }
        is_code ^= is_fence;
    }
    assert!(!is_code, "a block of code is not closed");
    let text = lines.join("\n");
    // A span that is not closed is no span.
    let mut parts = text.split('`').collect::<Vec<_>>();
    if parts.len() % 2 == 0 {
        parts.pop();
    }
    parts.into_iter().step_by(2).collect::<Vec<_>>().join("`")
}

/// Where the links of a page lead.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let parts = prose.split("](").skip(1);
    let targets = parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned()));
    targets.collect()
}

/// The anchors of a page's headings, as forges and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut is_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        let Some(heading) = heading
            .strip_prefix(' ')
            .filter(|_| heading.len() < line.len())
        else {
            continue;
        };
        if is_code {
            continue;
        }
        let kept = heading.trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let times = seen.entry(anchor.clone()).or_default();
        found.insert(match *times {
            0 => anchor,
            times => format!("{anchor}-{times}"),
        });
        *times += 1;
    }
    found
}

fn read(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The pages of the handbook, by the names that they have in `docs`.
fn pages() -> BTreeSet<String> {
    let entries = std::fs::read_dir("docs").unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect()
}

#[test]
fn every_page_is_in_the_summary_once_and_every_entry_is_a_page() {
    let entries = links(&read(Path::new("docs/SUMMARY.md")));
    let named: BTreeSet<_> = entries.iter().cloned().collect();
    assert_eq!(named, pages());
    assert_eq!(
        named.len(),
        entries.len(),
        "a page has one place: {entries:?}"
    );
    let book: toml::Table = toml::from_str(&read(Path::new("docs/book.toml"))).unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("."));
    for page in named {
        let text = read(&Path::new("docs").join(&page));
        assert!(text.starts_with("# "), "{page} begins with its title");
    }
}

/// Why a link leads nowhere, if it does.
fn astray(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target: PathBuf = match file {
        "" => page.to_owned(),
        file => page.parent().unwrap().join(file),
    };
    let leaves = page.starts_with("docs") && file.starts_with("..");
    match target {
        _ if leaves => Some("a book has the files of docs alone".to_owned()),
        target if !target.exists() => Some(format!("there is no {}", target.display())),
        target if !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) => {
            Some(format!("{} has no heading of that name", target.display()))
        }
        _ => None,
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut all: Vec<_> = pages()
        .iter()
        .map(|name| Path::new("docs").join(name))
        .collect();
    all.extend(["README.md", "CONTRIBUTING.md", "RELEASE.md", "CHANGELOG.md"].map(PathBuf::from));
    let mut followed = 0;
    let mut wrong = Vec::new();
    for page in all {
        for link in links(&read(&page)) {
            followed += 1;
            let why = astray(&page, &link);
            wrong.extend(why.map(|why| format!("{}: {link}: {why}", page.display())));
        }
    }
    assert!(followed > 40, "{followed}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn readme_names_every_page_for_testers() {
    let readme = links(&read(Path::new("README.md")));
    let summary = read(Path::new("docs/SUMMARY.md"));
    let (testers, _) = summary.split_once("# For contributors").unwrap();
    let missing: Vec<_> = links(testers)
        .into_iter()
        .filter(|page| !readme.contains(&format!("docs/{page}")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What stands in backquotes at the beginning of the rows of a page, below one of its headings.
fn rows(page: &str, heading: &str) -> Vec<String> {
    let text = read(Path::new(page));
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect()
}

#[test]
fn what_green_means_is_said_of_every_verdict_and_every_family() {
    let page = "docs/what-green-means.md";
    let schema = read(Path::new("docs/report.schema.json"));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let verdicts = schema["properties"]["summary"]["properties"]
        .as_object()
        .unwrap();
    let mut told = rows(page, "Verdict by verdict");
    told.sort();
    assert_eq!(told, verdicts.keys().cloned().collect::<Vec<_>>());
    let checks = crate::kit::sockdrill(&["list", "checks", "--format", "json"])
        .run()
        .stdout;
    let checks: Vec<serde_json::Value> = serde_json::from_str(&checks).unwrap();
    let mut families: Vec<_> = checks
        .iter()
        .map(|check| check["family"].as_str().unwrap().to_owned())
        .collect();
    families.dedup();
    assert_eq!(rows(page, "Family by family"), families);
}

/// What stands between the backquotes of the program's complaint about a word that there is not, in this table of a target.
fn words_of_a_target(table: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let text = format!("command = [\"true\"]\n{table}nonsense = 1\n");
    std::fs::write(&file, text).unwrap();
    let run = crate::kit::sockdrill(&["check", &file.to_string_lossy()]).run();
    let (_, known) = run.stderr.split_once("expected one of ").unwrap();
    known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn page_of_target_files_has_every_word_and_its_example_is_one() {
    let page = "docs/targets.md";
    let told = rows(page, "Every word").into_iter();
    let name = |word: String| word.trim_matches(['[', ']']).replace(".NAME", "");
    assert_eq!(
        told.map(name).collect::<BTreeSet<_>>(),
        words_of_a_target("")
    );
    let text = read(Path::new(page));
    for table in ["[lab]\n", "[[known]]\n"] {
        for word in words_of_a_target(table) {
            assert!(text.contains(&word), "{table}{word}");
        }
    }
    let (_, example) = text.split_once("```toml\n").unwrap();
    let example = example.split("```").next().unwrap();
    let target = sockdrill::Target::parse("shop", example, Path::new("")).unwrap();
    assert!(target.backends.contains_key("store"));
}

/// The rows of exit codes, without what a page says beside.
fn codes(page: &str) -> Vec<String> {
    let text = read(Path::new(page));
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit());
    let cells = rows.map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" | "));
    cells
        .map(|row| row.trim_end_matches(" |").to_owned())
        .collect()
}

#[test]
fn exit_codes_for_ci_are_those_of_the_readme() {
    let known = codes("README.md");
    assert_eq!(known.len(), 6);
    assert_eq!(codes("docs/ci.md"), known);
}

#[test]
fn profile_of_the_readme_is_one() {
    let readme = read(Path::new("README.md"));
    let blocks = readme.split("```toml\n").skip(1);
    let mut seen = 0;
    for block in blocks.filter_map(|rest| rest.split("```").next()) {
        let profile = sockdrill::Profile::parse("your-server", block);
        assert!(
            profile.is_ok_and(|profile| profile.has_dialogue()),
            "{block}"
        );
        seen += 1;
    }
    assert_eq!(seen, 1);
}

#[test]
fn links_are_those_of_prose_and_anchors_those_of_headings() {
    let page = "# A `b` — c\n[one](x.md#y) `[no](z)`\n```sh\n# no\n[no](q)\n```\n## A b c\n## Twice\n## Twice\n";
    assert_eq!(links(page), ["x.md#y"]);
    let found = anchors(page);
    let known = ["a-b--c", "a-b-c", "twice", "twice-1"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(known));
    assert!(astray(Path::new("docs/ci.md"), "../README.md").is_some());
    assert!(astray(Path::new("README.md"), "docs/no-such-page.md").is_some());
    assert!(astray(Path::new("README.md"), "#no-such-heading").is_some());
    assert!(astray(Path::new("README.md"), "#exit-codes").is_none());
}
