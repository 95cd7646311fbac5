//! The recipes for CI: each of their commands is performed, on a server that is in order and on one that is not.

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A correct server for the recipes' `server.toml`; the placeholder takes what breaks it.
const TARGET: &str = "\
command = [PROGRAM, \"serve\", \"echo\", BREAK\"--port\", \"{port}\"]
speaks = \"echo\"
";

const SCENARIO: &str = "\
# A client that resets in the middle of its request must not disturb the next one.
server: ../server.toml

case half a message, then reset
  clients: alice mallory

  mallory connect
  mallory send \"hel\"
  mallory reset
  alice connect
  alice send \"hello\\n\"
  alice expect \"hello\\n\"
";

/// A scenario that a server passes which is broken elsewhere.
const HARMLESS: &str = "\
# Who resets nothing is served.
server: ../server.toml

case a client that comes and leaves
  clients: alice

  alice connect
  alice send \"hello\\n\"
  alice expect \"hello\\n\"
";

/// What CI systems put in the place of expressions at the first attempt.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("${{ matrix.part }}", "1"),
    ("${{ github.workspace }}", "$CI_PROJECT_DIR"),
    ("${{ github.run_attempt > 1 }}", "false"),
    ("${{ github.run_attempt > 1 && 'pass' || 'fail' }}", "fail"),
];

/// What GitHub puts into variables at the second one.
const AGAIN: &[(&str, &str)] = &[
    ("SOCKDRILL_LAST_FAILED", "true"),
    ("SOCKDRILL_NO_TESTS", "pass"),
];

/// Commands of a job, each of which a shell runs, and the variables that they have.
struct Job {
    scripts: Vec<String>,
    variables: Vec<(String, String)>,
}

fn filled(text: &str) -> String {
    let known = EXPRESSIONS.iter();
    known.fold(text.to_owned(), |text, (expression, value)| {
        text.replace(expression, value)
    })
}

/// A document in YAML, whose scalars are all texts.
fn yaml(text: &str) -> Value {
    let events = Parser::new_from_str(text).map(|event| event.unwrap().0);
    let mut events = events.skip_while(|event| !matches!(event, Event::DocumentStart(_)));
    events.next();
    node(&mut events).unwrap()
}

/// What the next events make; nothing where they end what they are in.
fn node<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Option<Value> {
    match events.next().unwrap() {
        Event::Scalar(text, ..) => Some(Value::String(text.into_owned())),
        Event::SequenceStart(..) => Some(std::iter::from_fn(|| node(events)).collect()),
        Event::MappingStart(..) => {
            let mut mapping = Map::new();
            while let Some(key) = node(events) {
                mapping.insert(key.as_str().unwrap().to_owned(), node(events).unwrap());
            }
            Some(Value::Object(mapping))
        }
        Event::SequenceEnd | Event::MappingEnd => None,
        other => panic!("no recipe needs {other:?}"),
    }
}

/// The variables of a table.
fn variables(table: &Value) -> Vec<(String, String)> {
    let rows = table.as_object().into_iter().flatten();
    rows.map(|(name, value)| (name.clone(), filled(value.as_str().unwrap())))
        .collect()
}

/// A job as GitHub has it: steps, some of which run something.
fn of_github(job: &Value) -> Job {
    let steps = job["steps"].as_array().unwrap().iter();
    let scripts = steps.filter_map(|step| Some(filled(step["run"].as_str()?)));
    Job {
        scripts: scripts.collect(),
        variables: variables(&job["env"]),
    }
}

/// The jobs that GitLab has, each behind the lines that all of them begin with.
fn of_gitlab(recipe: &Value) -> Vec<Job> {
    let lines = |of: &Value, what: &str| -> Vec<String> {
        let lines = of[what].as_array().unwrap().iter();
        lines
            .map(|line| line.as_str().unwrap().to_owned())
            .collect()
    };
    let first = lines(&recipe["default"], "before_script");
    let mut known = variables(&recipe["variables"]);
    for (name, value) in [("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "2")] {
        known.push((name.to_owned(), value.to_owned()));
    }
    let jobs = recipe.as_object().unwrap().values();
    let jobs = jobs.filter(|job| job.get("script").is_some());
    jobs.map(|job| Job {
        scripts: vec![[first.clone(), lines(job, "script")].concat().join("\n")],
        variables: known.clone(),
    })
    .collect()
}

/// The steps of a Jenkinsfile that run something, and its environment.
fn of_jenkins(text: &str) -> Job {
    let lines = || text.lines().map(str::trim);
    let scripts = lines().filter_map(|line| line.strip_prefix("sh '")?.strip_suffix('\''));
    let variables = lines().filter_map(|line| {
        let (name, value) = line.split_once(" = '")?;
        Some((name.to_owned(), value.strip_suffix('\'')?.to_owned()))
    });
    Job {
        scripts: scripts.map(str::to_owned).collect(),
        variables: variables.collect(),
    }
}

/// A folder with a project that has a server, a scenario, and whatever else a recipe takes for granted.
fn project(breaking: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["bin", "target", "scenarios"] {
        fs::create_dir(at(name)).unwrap();
    }
    // What builds and what takes rights is not what is tried.
    for name in ["cargo", "sudo"] {
        fs::write(at("bin").join(name), "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(at("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let program = format!("{:?}", env!("CARGO_BIN_EXE_sockdrill"));
    let target = TARGET
        .replace("PROGRAM", &program)
        .replace("BREAK", breaking);
    fs::write(at("server.toml"), target).unwrap();
    fs::write(at("scenarios/reset.drill"), SCENARIO).unwrap();
    folder
}

/// The exit codes of a job's scripts in a folder.
fn perform(job: &Job, folder: &Path) -> Vec<(String, i32, String)> {
    let program = Path::new(env!("CARGO_BIN_EXE_sockdrill")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!(
        "{}:{}:{path}",
        folder.join("bin").display(),
        program.display()
    );
    let run = |script: &String| {
        let output = Command::new("bash")
            .args(["-e", "-c", script])
            .current_dir(folder)
            .env("CI_PROJECT_DIR", folder)
            .env("XDG_STATE_HOME", folder.join("state"))
            .envs(job.variables.iter().map(|(name, value)| {
                (
                    name,
                    value.replace("$CI_PROJECT_DIR", &folder.to_string_lossy()),
                )
            }))
            // A few are enough to see that the command is one.
            .env(
                "SOCKDRILL_FILTER_EXPR",
                "test(reset) + test(bytes) + test(polite) + test(stop)",
            )
            .env("PATH", &path)
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        (script.clone(), output.status.code().unwrap(), told)
    };
    job.scripts.iter().map(run).collect()
}

/// The jobs of a recipe, in their order.
fn jobs(name: &str) -> Vec<Job> {
    let text = fs::read_to_string(format!("ci/recipes/{name}")).unwrap();
    if name == "Jenkinsfile" {
        return vec![of_jenkins(&text)];
    }
    let recipe = yaml(&text);
    match recipe["jobs"].as_object() {
        Some(jobs) => jobs.values().map(of_github).collect(),
        None => of_gitlab(&recipe),
    }
}

/// The names of reports that a recipe hands on.
fn reports(name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("ci/recipes/{name}")).unwrap();
    let words = text.split(|c: char| c.is_whitespace() || "',".contains(c));
    let words = words.map(filled);
    words
        .filter(|word| !word.contains('*') && (word.ends_with(".xml") || word.ends_with(".html")))
        .collect()
}

#[test]
fn recipes_are_green_on_a_correct_server_and_write_what_they_hand_on() {
    for name in ["github.yml", "gitlab.yml", "Jenkinsfile", "cargo-test.yml"] {
        let folder = project("");
        let all = jobs(name);
        assert!(
            !all.is_empty() && all.iter().all(|job| !job.scripts.is_empty()),
            "{name}"
        );
        // Its other part is done elsewhere.
        let part = folder.path().join("target/check-2.json");
        for job in &all {
            for (script, code, told) in perform(job, folder.path()) {
                assert_eq!(code, 0, "{name}: {script}\n{told}");
            }
            let first = folder.path().join("target/check-1.json");
            if first.exists() && !part.exists() {
                other_part(job, folder.path());
            }
        }
        for report in reports(name) {
            assert!(folder.path().join(&report).is_file(), "{name}: {report}");
        }
    }
}

/// Performs the other part of a job that has several.
fn other_part(job: &Job, folder: &Path) {
    let second = |text: &String| {
        text.replace("run-1", "run-2")
            .replace("check-1", "check-2")
            .replace("hash:1", "hash:2")
    };
    let variables = job.variables.iter();
    let job = Job {
        scripts: job.scripts.iter().map(second).collect(),
        variables: variables
            .map(|(name, value)| (name.clone(), second(value)))
            .collect(),
    };
    perform(&job, folder);
}

#[test]
fn recipes_are_red_on_a_broken_server_whatever_is_tried_and_keep_what_was_found() {
    for name in ["github.yml", "gitlab.yml", "Jenkinsfile"] {
        let folder = project("\"--violate\", \"reset/mid-request\", ");
        let mut tried = 0;
        for job in jobs(name) {
            let whole = |text: &String| text.replace("hash:1/2", "slice:1/1");
            let variables = job.variables.iter().map(|(name, value)| {
                let value = if name == "CI_NODE_TOTAL" { "1" } else { value };
                (name.clone(), value.to_owned())
            });
            // Whichever part the check is in, the other one does not show it.
            let job = Job {
                scripts: job.scripts.iter().map(whole).collect(),
                variables: variables.collect(),
            };
            let tries = |script: &str| {
                script.contains("sockdrill run ") || script.contains("sockdrill check ")
            };
            for (script, code, told) in perform(&job, folder.path()) {
                if tries(&script) {
                    tried += 1;
                    assert_eq!(code, 1, "{name}: {script}\n{told}");
                }
            }
        }
        assert_eq!(tried, 2, "{name}");
        let found = folder.path().join("target/found");
        assert!(fs::read_dir(found).unwrap().count() > 1, "{name}");
    }
}

#[test]
fn second_attempt_tries_what_has_failed_and_nothing_else() {
    let folder = project("\"--violate\", \"reset/mid-request\", ");
    // The scenarios are in order, whatever the server does.
    fs::write(folder.path().join("scenarios/reset.drill"), HARMLESS).unwrap();
    let mut job = jobs("github.yml").remove(0);
    for script in &mut job.scripts {
        *script = script.replace("hash:1/2", "slice:1/1");
    }
    let first: Vec<_> = perform(&job, folder.path())
        .iter()
        .map(|one| one.1)
        .collect();
    assert_eq!(
        first.iter().filter(|code| **code == 1).count(),
        1,
        "{first:?}"
    );
    for (name, value) in AGAIN {
        assert!(
            job.variables.iter().any(|(known, _)| known == name),
            "{name}"
        );
        job.variables
            .push(((*name).to_owned(), (*value).to_owned()));
    }
    let server = fs::read_to_string(folder.path().join("server.toml")).unwrap();
    let mended = server.replace("\"--violate\", \"reset/mid-request\", ", "");
    fs::write(folder.path().join("server.toml"), mended).unwrap();
    let again = perform(&job, folder.path());
    assert!(again.iter().all(|one| one.1 == 0), "{again:?}");
    let told = &again.last().unwrap().2;
    assert!(told.contains("pass          reset/mid-request"), "{told}");
    assert!(!told.contains("bytes/"), "{told}");
}

#[test]
fn recipes_are_those_that_the_page_shows() {
    let page = fs::read_to_string("docs/ci.md").unwrap();
    for entry in fs::read_dir("ci/recipes").unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let is_shown = page.contains(&format!("\n{text}```"));
        assert!(
            is_shown,
            "docs/ci.md does not show {} as it is",
            path.display()
        );
    }
}
