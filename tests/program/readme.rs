use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A command of a page and what it is said to print.
struct Example {
    /// Which of the blocks of its text it stands in: there a command may build on those before it.
    block: usize,
    command: String,
    output: Vec<String>,
}

/// The commands in the fenced `console` blocks of a text.
fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let (mut inside, mut block) = (false, 0);
    for line in text.lines() {
        match (inside, line) {
            (false, "```console") => (inside, block) = (true, block + 1),
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => examples.push(Example {
                    block,
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

/// The README and every page of `docs`.
fn pages() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("docs").unwrap().flatten();
    let mut pages: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.push(PathBuf::from("README.md"));
    pages.sort();
    pages
}

/// What a command prints in a folder, with the program under test as `sockdrill`.
fn printed(command: &str, here: &Path) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_sockdrill")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", &format!("{command} 2>&1")])
        .env("PATH", format!("{}:{path}", folder.display()))
        // What has failed is kept, and not in the home of whoever tests.
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(here)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    // What takes long does so on a host that is busy.
    let lines = output.lines().filter(|line| !line.starts_with("slow   "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Why a page is not true, if it is not: a command that prints something else in a folder than the page says.
fn untrue_in(here: &Path, page: &Path, example: &Example) -> Option<String> {
    let output = printed(&example.command, here);
    let lines: Vec<_> = output.trim_end().lines().map(str::trim_end).collect();
    (!matches(&example.output, &lines)).then(|| {
        format!(
            "$ {}\nprints\n{output}\nand {} says\n{}",
            example.command,
            page.display(),
            example.output.join("\n")
        )
    })
}

#[test]
fn pages_show_what_the_program_prints() {
    let texts: Vec<_> = pages()
        .into_iter()
        .map(|page| (std::fs::read_to_string(&page).unwrap(), page))
        .collect();
    let all: Vec<(&Path, Example)> = texts
        .iter()
        .flat_map(|(text, page)| examples(text).into_iter().map(|one| (page.as_path(), one)))
        .collect();
    for page in ["README.md", "docs/stories.md"] {
        assert!(all.iter().any(|(shown, _)| *shown == Path::new(page)));
    }
    let place = |(page, example): &(&Path, Example)| (page.to_path_buf(), example.block);
    let blocks: Vec<_> = all
        .chunk_by(|one, next| place(one) == place(next))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let untrue =
                |(page, example): &(&Path, Example)| untrue_in(Path::new("."), page, example);
            wrong.extend(block.iter().filter_map(untrue));
        }
        wrong
    };
    // Servers mostly wait, so a few commands run at a time.
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        let found = workers.into_iter().map(|worker| worker.join().unwrap());
        found.flatten().collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A file that a story names can be opened by its reader.
#[test]
fn stories_name_files_that_are_there() {
    let text = std::fs::read_to_string("docs/stories.md").unwrap();
    let named = text
        .split(|c: char| c.is_whitespace() || "`()[]:,*".contains(c))
        .filter(|word| word.starts_with("fixtures/"));
    let missing: Vec<_> = named.filter(|path| !Path::new(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
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

/// The fenced `drill` blocks of a text.
fn scenarios(text: &str) -> Vec<String> {
    let blocks = text.split("```drill\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// A scenario that a page shows can be copied into a file and run as it is.
#[test]
fn scenarios_of_pages_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for page in pages() {
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&page).unwrap();
        for (number, block) in scenarios(&text).iter().enumerate() {
            let file = folder.path().join(format!("{name}-{number}.drill"));
            std::fs::write(&file, block).unwrap();
            files.push(file);
        }
    }
    assert!(files.len() > 3, "{files:?}");
    let run = crate::kit::sockdrill(&["run"]).args(&files).run();
    run.code(0).prints(" 0 failed, 0 inconclusive");
    let check = crate::kit::sockdrill(&["fmt", "--check"]);
    check.args(&files).run().code(0);
}

/// What a page has its reader do in an empty folder: to save a file, or to type a command.
enum Doing<'a> {
    Saves(&'a str, &'a str),
    Types(Example),
}

/// The fenced blocks that name a file, and those that are typed in a folder, in their order.
fn doings(text: &str) -> Vec<Doing<'_>> {
    let mut all = Vec::new();
    for block in text.split("\n```").filter(|block| !block.starts_with('\n')) {
        let Some((info, body)) = block.split_once('\n') else {
            continue;
        };
        match info.split_once(' ') {
            Some(("console", "in that folder")) => {
                let block = format!("```console\n{body}\n```\n");
                all.extend(examples(&block).into_iter().map(Doing::Types));
            }
            Some(("python" | "drill" | "toml", file)) => all.push(Doing::Saves(file, body)),
            _ => {}
        }
    }
    all
}

/// Why a page is not true, if it is not, where all that it has its reader do is done in an empty folder; and how many
/// commands that were.
fn followed(page: &Path) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut typed = 0;
    let mut wrong = Vec::new();
    for doing in doings(&text) {
        match doing {
            Doing::Saves(file, body) => {
                std::fs::write(folder.path().join(file), format!("{body}\n")).unwrap();
            }
            Doing::Types(example) => {
                wrong.extend(untrue_in(folder.path(), page, &example));
                typed += 1;
            }
        }
    }
    (typed, wrong)
}

#[test]
fn walks_of_the_handbook_come_about_word_for_word_in_empty_folders() {
    // Each page has a folder of its own, and servers mostly wait.
    let pages = pages();
    let all: Vec<_> = std::thread::scope(|scope| {
        let walks: Vec<_> = pages
            .iter()
            .map(|page| (page, scope.spawn(|| followed(page))))
            .collect();
        let walks = walks.into_iter();
        walks
            .map(|(page, walk)| (page, walk.join().unwrap()))
            .collect()
    });
    let walks: Vec<_> = all.iter().filter(|(_, (typed, _))| *typed > 0).collect();
    let named: Vec<_> = walks
        .iter()
        .map(|(page, _)| page.to_string_lossy())
        .collect();
    for page in [
        "docs/first-scenario.md",
        "docs/profiles.md",
        "docs/reading-a-failure.md",
    ] {
        assert!(named.iter().any(|name| name == page), "{page}: {named:?}");
    }
    let wrong: Vec<_> = all
        .iter()
        .flat_map(|(_, (_, wrong))| wrong.as_slice())
        .collect();
    assert!(
        wrong.is_empty(),
        "{}",
        wrong
            .iter()
            .map(|one| one.as_str())
            .collect::<Vec<_>>()
            .join("\n\n")
    );
}
