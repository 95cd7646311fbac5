use crate::kit::sockdrill;
use serde_json::{Value, json};
use std::path::Path;

/// The words of JSON Schema that say nothing about a value.
const WORDS_ONLY: &[&str] = &["$schema", "$id", "$defs", "title", "description"];

/// What is wrong with a value by a schema. Only the keywords that the published schemas use are understood, and a field
/// that a schema does not describe is wrong: what the program writes is to be described.
fn mistakes(schema: &Value, root: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut claim = |holds: bool, what: String| {
        if !holds {
            found.push(format!("{place}: {what}, but is {value}"));
        }
    };
    let keywords = schema.as_object().expect("a schema is an object");
    let mut deeper = Vec::new();
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            "type" => claim(
                has_type(value, wanted.as_str().unwrap()),
                format!("must be {wanted}"),
            ),
            "const" => claim(value == wanted, format!("must be {wanted}")),
            "enum" => claim(
                wanted.as_array().unwrap().contains(value),
                format!("must be one of {wanted}"),
            ),
            "minimum" => claim(
                value.as_f64() >= wanted.as_f64(),
                format!("must be {wanted} or more"),
            ),
            "required" => {
                for name in wanted.as_array().unwrap() {
                    claim(
                        value.get(name.as_str().unwrap()).is_some(),
                        format!("must have {name}"),
                    );
                }
            }
            "$ref" => {
                let wanted = wanted.as_str().unwrap();
                // A definition of this schema or of another file, or another schema by the name of it.
                match wanted.split_once("#/$defs/") {
                    Some((file, name)) => {
                        let other = (!file.is_empty()).then(|| read(Path::new("docs").join(file)));
                        let root = other.as_ref().unwrap_or(root);
                        deeper.extend(mistakes(&root["$defs"][name], root, value, place));
                    }
                    None => {
                        let name = wanted.split(':').nth(2).expect("a name of ours");
                        let other = read(format!("docs/{name}.schema.json"));
                        deeper.extend(mistakes(&other, &other, value, place));
                    }
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    deeper.extend(mistakes(wanted, root, item, &format!("{place}[{n}]")));
                }
            }
            "anyOf" => {
                let kinds = wanted.as_array().unwrap();
                let fits = kinds
                    .iter()
                    .any(|kind| mistakes(kind, root, value, place).is_empty());
                claim(fits, "must fit one of the kinds".to_owned());
            }
            "properties" | "additionalProperties" => {}
            word => assert!(WORDS_ONLY.contains(&word), "{word} is not understood here"),
        }
    }
    let described = &schema["properties"];
    for (name, field) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        match (described.get(name), schema.get("additionalProperties")) {
            (Some(schema), _) => deeper.extend(mistakes(schema, root, field, &place)),
            (None, Some(schema)) if schema.is_object() => {
                deeper.extend(mistakes(schema, root, field, &place));
            }
            // What stands behind a reference is described there.
            (None, _) if described.is_object() => deeper.push(format!("{place} is not described")),
            (None, _) => {}
        }
    }
    found.extend(deeper);
    found
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("the type {other} is not understood here"),
    }
}

fn read(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[track_caller]
fn demand_validity(schema: &Value, value: &Value) {
    let mistakes = mistakes(schema, schema, value, "$");
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

/// The report of a run in which checks pass, fail, are known to fail, are only recommended, and do not apply.
fn report_of_every_kind() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("server.toml");
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let command = [
        program,
        "serve",
        "echo",
        "--violate",
        "stop/stdout-closed",
        "--port",
        "{port}",
    ];
    let known = "[[known]]\ncheck = \"polite/exchange\"\nreason = \"a test\"\n";
    std::fs::write(
        &target,
        format!("command = {command:?}\nspeaks = \"echo\"\n{known}"),
    )
    .unwrap();
    let only = [
        "polite/exchange",
        "stop/stdout-closed",
        "datagram/empty",
        "partial/every-cut",
    ];
    sockdrill(&["check"])
        .reporting()
        .args(only.iter().flat_map(|glob| ["--only", glob]))
        .arg(&target)
        .run()
        .code(1)
        .report
}

#[test]
fn report_of_a_check_is_as_its_schema_says() {
    let (schema, report) = (read("docs/report.schema.json"), report_of_every_kind());
    demand_validity(&schema, &report);
    let verdicts: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| &check["verdict"])
        .collect();
    assert_eq!(verdicts, ["fail", "pass", "warn", "skip"]);
    assert!(report["checks"][2]["evidence"].is_array(), "{report:#}");
}

#[test]
fn what_was_seen_of_a_failure_is_there_as_data() {
    let run = sockdrill(&["check", "--speaks", "echo", "--only", "reset/mid-request"]).reporting();
    let server = [
        env!("CARGO_BIN_EXE_sockdrill"),
        "serve",
        "echo",
        "--violate",
        "reset/mid-request",
    ];
    let report = run.args(["--"]).args(server).run().code(1).report;
    demand_validity(&read("docs/report.schema.json"), &report);
    let check = &report["checks"][0];
    let trace = &check["trace"];
    let events = trace["events"].as_array().unwrap();
    let steps = trace["steps"].as_array().unwrap();
    let wrong: Vec<_> = events
        .iter()
        .filter(|event| event["wrong"] == true)
        .collect();
    assert_eq!(wrong.len(), 1, "{trace:#}");
    assert_eq!(
        (&wrong[0]["kind"], &wrong[0]["who"]),
        (&json!("exited"), &json!("server"))
    );
    // A reset belongs to a step of that name, which stands in that line of the scenario.
    let reset = events
        .iter()
        .find(|event| event["kind"] == "reset")
        .unwrap();
    let step = &steps[reset["step"].as_u64().unwrap() as usize];
    let line = step["line"].as_u64().unwrap() as usize;
    let scenario = check["scenario"].as_str().unwrap();
    assert_eq!(
        scenario.lines().nth(line - 1).unwrap().trim(),
        "mallory reset"
    );
    let at = |value: &Value| value.as_u64().unwrap();
    assert!((at(&step["began_us"])..=at(&step["ended_us"])).contains(&at(&reset["at_us"])));
    // What was sent can be read back, byte by byte.
    let sent = events
        .iter()
        .find(|event| event["kind"] == "sent" && event["who"] == "mallory");
    assert_eq!(
        (&sent.unwrap()["bytes"], &sent.unwrap()["length"]),
        (&json!("aA=="), &json!(1))
    );
    let figures = trace["figures"].as_array().unwrap();
    let (first, last) = (&figures[0], figures.last().unwrap());
    assert!(
        at(&first["processes"]) >= 1 && at(&first["resident_bytes"]) > 0,
        "{first}"
    );
    assert_eq!(last["processes"], 0, "{last}");
    assert!(
        trace["output"]["text"]
            .as_str()
            .unwrap()
            .contains("Connection reset"),
        "{trace:#}"
    );
    assert!(
        check["facts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|fact| fact["kind"] == "exit")
    );
}

#[test]
fn report_of_scenario_files_is_as_its_schema_says() {
    let run = sockdrill(&["run", "fixtures/scenarios/reset/mid-request.drill"]);
    let run = run.reporting().run().code(0);
    demand_validity(&read("docs/report.schema.json"), &run.report);
}

#[test]
fn report_of_several_targets_and_what_is_otherwise_in_it_are_as_their_schemas_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let only = ["--only", "polite/exchange", "--only", "reset/mid-request"];
    let run = sockdrill(&["check", "echo", "udp-echo"]).args(only);
    let several = run.reporting().run().code(0).report;
    demand_validity(&read("docs/matrix.schema.json"), &several);
    std::fs::write(&file, several.to_string()).unwrap();
    let mut other = several;
    let checks = other["targets"][0]["checks"].as_array_mut().unwrap();
    checks[0]["verdict"] = "fail".into();
    checks.truncate(1);
    other["targets"][0]["observations"]["backlog"] = "5".into();
    let later = folder.path().join("later.json");
    std::fs::write(&later, other.to_string()).unwrap();
    for (old, new) in [(&file, &later), (&later, &file)] {
        let diff = sockdrill(&["diff"]).arg(old).arg(new).reporting().run();
        demand_validity(&read("docs/diff.schema.json"), &diff.report);
        let told = &diff.report["targets"][0];
        let is_told = |what: &str| !told[what].as_array().unwrap().is_empty();
        assert!(is_told("worse") && is_told("lost") || is_told("better") && is_told("gained"));
    }
}

#[test]
fn events_of_a_run_are_as_their_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let violating = [
        "serve",
        "echo",
        "--violate",
        "stop/stdout-closed",
        "--port",
        "{port}",
    ];
    let only = [
        "polite/exchange",
        "stop/stdout-closed",
        "datagram/empty",
        "partial/every-cut",
    ];
    sockdrill(&["check", "--speaks", "echo", "--strict", "--events"])
        .arg(&file)
        .args(only.iter().flat_map(|glob| ["--only", glob]))
        .args(["--", program])
        .args(violating)
        .run()
        .code(1);
    let schema = read("docs/events.schema.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for event in &events {
        demand_validity(&schema, event);
    }
    let kinds = [
        "run-started",
        "check-started",
        "result",
        "finding",
        "run-ended",
    ];
    for kind in kinds {
        assert!(
            events.iter().any(|event| event["event"] == kind),
            "no {kind} in {text}"
        );
    }
    let slow = json!({
        "event": "slow", "ms": 10_000, "id": "a/b", "tried_ms": 10_000, "waits_for": "alice waits for fin", "waited_ms": 9_000,
        "phase": "scenario", "step": "alice expect fin", "line": 4,
    });
    demand_validity(&schema, &slow);
    for spoil in ["event", "id", "phase", "line"] {
        let mut spoilt = slow.clone();
        spoilt[spoil] = json!([]);
        assert!(
            !mistakes(&schema, &schema, &spoilt, "$").is_empty(),
            "{spoil}"
        );
    }
}

#[test]
fn schema_of_reports_refuses_what_is_no_report() {
    let schema = read("docs/report.schema.json");
    let refused = |spoil: &dyn Fn(&mut Value)| {
        let mut report = json!({
            "format": 1, "target": "echo", "isolation": "host", "seed": 1, "duration_ms": 1,
            "summary": {"pass": 1, "fail": 0, "inconclusive": 0, "skip": 0, "known": 0, "warn": 0},
            "checks": [{
                "id": "a/b", "family": "a", "requirement": "It does.", "verdict": "pass", "scenarios": 1, "duration_ms": 1,
            }],
            "observations": {"idle": "stays open"},
            "interrupted": true,
        });
        demand_validity(&schema, &report);
        spoil(&mut report);
        !mistakes(&schema, &schema, &report, "$").is_empty()
    };
    assert!(refused(&|report| report["format"] = 2.into()));
    assert!(refused(&|report| report["interrupted"] = "yes".into()));
    assert!(refused(
        &|report| report["checks"][0]["verdict"] = "perhaps".into()
    ));
    assert!(refused(
        &|report| report["checks"][0]["surprise"] = "".into()
    ));
    assert!(refused(&|report| report["observations"]["idle"] = 2.into()));
    assert!(refused(&|report| report["summary"]["fail"] = (-1).into()));
    assert!(refused(&|report| report["checks"][0]
        .as_object_mut()
        .unwrap()
        .clear()));
}

#[test]
fn scenario_files_of_the_repository_are_as_their_schema_says() {
    let schema = read("docs/scenario.schema.json");
    let topics = std::fs::read_dir("fixtures/scenarios").unwrap().flatten();
    let files = topics.flat_map(|topic| std::fs::read_dir(topic.path()).unwrap().flatten());
    // Targets and their servers may stand beside the scenarios that are about them.
    let files = files
        .map(|file| file.path())
        .filter(|file| file.extension().is_some_and(|ext| ext == "drill"));
    let mut seen = 0;
    for file in files {
        let printed = sockdrill(&["fmt", "--to", "json"]).arg(file).run().stdout;
        demand_validity(&schema, &serde_json::from_str(&printed).unwrap());
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn schema_of_scenarios_and_program_refuse_the_same() {
    let schema = read("docs/scenario.schema.json");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.json");
    let case = |extra: &str, value: Value| {
        let mut case = json!({"name": "a word", "clients": ["alice"], "steps": ["alice connect"]});
        case[extra] = value;
        json!({"server": "echo", "cases": [case]})
    };
    for wrong in [
        json!({"server": "echo", "cases": 7}),
        case("expected", json!({"pass": "why"})),
        case("tags", "slow".into()),
        case("colour", "red".into()),
        case("steps", json!([1])),
        case("steps", json!([{"repeat": 2}])),
        case("waive", json!([{"invariant": "gravity", "reason": "fun"}])),
    ] {
        assert!(
            !mistakes(&schema, &schema, &wrong, "$").is_empty(),
            "{wrong}"
        );
        std::fs::write(&file, wrong.to_string()).unwrap();
        let run = sockdrill(&["run"]).arg(&file).run().code(2);
        assert!(!run.stderr.is_empty(), "{run:?}");
    }
}

/// The rows of a list for machines.
fn listed(what: &str) -> Vec<Value> {
    let told = sockdrill(&["list", what, "--format", "json"]).run();
    serde_json::from_str(&told.stdout).unwrap()
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().filter_map(|row| row["name"].as_str()).collect()
}

#[test]
fn schema_of_scenarios_names_every_invariant() {
    let schema = read("docs/scenario.schema.json");
    let waive = &schema["$defs"]["case"]["properties"]["waive"];
    let named = waive["items"]["properties"]["invariant"]["enum"].clone();
    assert_eq!(named, json!(names(&listed("invariants"))));
}

#[test]
fn schema_of_profiles_names_every_promise_and_its_words() {
    let schema = read("docs/profile.schema.json");
    let promises = schema["properties"]["promises"]["properties"]
        .as_object()
        .unwrap();
    let rows = listed("promises");
    let mut known = names(&rows);
    known.sort_unstable();
    assert_eq!(promises.keys().collect::<Vec<_>>(), known);
    for row in &rows {
        let schema = &promises[row["name"].as_str().unwrap()];
        let about = schema["description"].as_str().unwrap();
        assert!(about.starts_with(row["about"].as_str().unwrap()), "{about}");
        if row["otherwise"].is_null() {
            assert_eq!(schema["enum"], row["values"], "{row}");
        }
    }
}

#[test]
fn profiles_of_the_repository_are_as_their_schema_says() {
    let schema = read("docs/profile.schema.json");
    let mut seen = 0;
    for entry in std::fs::read_dir("fixtures/profiles").unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let profile: Value = toml::from_str(&text).unwrap();
        demand_validity(&schema, &profile);
        seen += 1;
    }
    assert!(seen > 20, "{seen} profiles");
    let strange = json!({ "promises": { "serves": "sometimes" } });
    assert!(!mistakes(&schema, &schema, &strange, "$").is_empty());
}
