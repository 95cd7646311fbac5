//! The page of a report as a browser shows it, opened from disk.

use crate::browser::Browser;
use crate::kit::sockdrill;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The report of a server that a reset kills, which several tests look at.
fn failing() -> &'static Value {
    static REPORT: OnceLock<Value> = OnceLock::new();
    REPORT.get_or_init(|| {
        let only = [
            "--only",
            "reset/mid-request",
            "--only",
            "reset/half-open",
            "--only",
            "polite/*",
            "--only",
            "datagram/empty",
        ];
        let run = sockdrill(&["check", "--speaks", "echo"])
            .args(only)
            .reporting();
        let server = [
            env!("CARGO_BIN_EXE_sockdrill"),
            "serve",
            "echo",
            "--violate",
            "reset/mid-request",
        ];
        run.args(["--"]).args(server).run().code(1).report
    })
}

/// The page of a report, made by the command that is there for it.
fn page(report: &Value) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    std::fs::write(&file, report.to_string()).unwrap();
    let page = folder.path().join("report.html");
    sockdrill(&["report", "html"])
        .arg(&file)
        .run()
        .code(0)
        .prints(page.to_string_lossy());
    (folder, page)
}

fn opened(page: &Path) -> Option<Browser> {
    let mut browser = Browser::start()?;
    browser.resize(1280, 900);
    browser.open(page);
    Some(browser)
}

const FIGURE: &str = "document.querySelector('.finding figure.picture')";

#[test]
fn page_opens_from_disk_and_asks_for_nothing_and_complains_of_nothing() {
    let (_folder, file) = page(failing());
    let Some(mut browser) = opened(&file) else {
        return;
    };
    browser.until(&format!(
        "{FIGURE}.querySelector('.panels').hidden === false"
    ));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // What broke is said before one scrolls, and marked in the picture.
    let top =
        browser.eval("document.querySelector('.finding .reason').getBoundingClientRect().bottom");
    assert!(top.as_f64().unwrap() < 600.0, "{top}");
    assert_eq!(
        browser.eval(&format!("{FIGURE}.querySelectorAll('.mark.wrong').length")),
        1
    );
    let told = browser.eval("document.querySelector('.answer').textContent");
    assert!(told.as_str().unwrap().contains("1 check failed"), "{told}");
}

#[test]
fn event_is_selected_by_keys_and_clicks_and_tells_its_step_bytes_output_and_kernel() {
    let (_folder, file) = page(failing());
    let Some(mut browser) = opened(&file) else {
        return;
    };
    browser.until(&format!(
        "{FIGURE}.querySelector('.panels').hidden === false"
    ));
    let selected = format!("{FIGURE}.querySelector('.panel.event dl').textContent");
    // What is wrong is selected at first.
    let wrong = browser.eval(&selected);
    assert!(
        wrong.as_str().unwrap().contains("exited with status 1"),
        "{wrong}"
    );
    let output = browser.eval(&format!(
        "{FIGURE}.querySelector('.panel.output pre').textContent"
    ));
    assert!(
        output.as_str().unwrap().contains("listening on"),
        "{output}"
    );
    browser.eval(&format!("{FIGURE}.querySelector('.scroll').focus()"));
    browser.press("Home");
    let first = browser.eval(&selected);
    assert!(
        first.as_str().unwrap().contains("listens, process"),
        "{first}"
    );
    browser.press("ArrowRight");
    assert!(
        browser
            .eval(&selected)
            .as_str()
            .unwrap()
            .contains("connects")
    );
    browser.press("w");
    assert_eq!(browser.eval(&selected), wrong);
    // A mark is clicked: its step is lit, its bytes are told in digits and letters, and what the kernel knew.
    let sent = format!(
        "[...{FIGURE}.querySelectorAll('.mark.out')].find(mark => mark.textContent.includes('mallory > \"h\"'))"
    );
    browser.eval(&format!(
        "{sent}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))"
    ));
    assert_eq!(
        browser.eval(&format!(
            "{FIGURE}.querySelector('.panel.steps .now').textContent"
        )),
        "mallory send \"h\""
    );
    let dump = browser.eval(&format!(
        "{FIGURE}.querySelector('.panel.event pre').textContent"
    ));
    assert!(
        dump.as_str().unwrap().starts_with("0000  68 ") && dump.as_str().unwrap().ends_with("  h"),
        "{dump}"
    );
    let kernel = browser.eval(&format!(
        "{FIGURE}.querySelector('.panel.kernel dl').textContent"
    ));
    assert!(kernel.as_str().unwrap().contains("open files"), "{kernel}");
    let option = browser.eval(&format!(
        "{FIGURE}.querySelector('[role=listbox]').getAttribute('aria-activedescendant')"
    ));
    assert_eq!(
        browser.eval(&format!(
            "document.getElementById({option}).getAttribute('aria-selected')"
        )),
        "true"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Where the marks of events stand, told by their moments.
const PLACES: &str = "[...document.querySelectorAll('.finding figure.picture .mark')].map(mark => \
    [+mark.dataset.event, +mark.getAttribute('transform').match(/\\(([-0-9.]+)/)[1]])";

#[test]
fn axis_is_true_to_time_and_comes_closer() {
    let (_folder, file) = page(failing());
    let Some(mut browser) = opened(&file) else {
        return;
    };
    browser.until(&format!(
        "{FIGURE}.querySelector('.panels').hidden === false"
    ));
    browser.eval(&format!("{FIGURE}.querySelector('.scroll').focus()"));
    browser.press("s");
    let events = failing()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|check| check["trace"]["events"].as_array())
        .unwrap();
    let at = |n: &Value| {
        events[n.as_u64().unwrap() as usize]["at_us"]
            .as_f64()
            .unwrap()
    };
    let places = browser.eval(PLACES);
    let places = places.as_array().unwrap();
    let (first, last) = (at(&places[0][0]), at(&places.last().unwrap()[0]));
    for place in places {
        let due = (at(&place[0]) - first) * 1000.0 / (last - first);
        assert!(
            (place[1].as_f64().unwrap() - due).abs() < 0.2,
            "{place} is due at {due}"
        );
    }
    // Marks are made before the page is opened, and the list once it is: both tell a time in the same words.
    let told_otherwise = format!(
        "[...{FIGURE}.querySelectorAll('.mark')].filter(mark => {{ const told = mark.querySelector('title').textContent.split(' ').slice(0, 2).join(' ') + '  '; return !{FIGURE}.querySelectorAll('.panel.events li')[mark.dataset.event].textContent.startsWith(told); }}).length"
    );
    assert_eq!(browser.eval(&told_otherwise), 0);
    // Of what the kernel knew there is a dot for each look at it.
    let figures = failing()["checks"].as_array().unwrap().iter();
    let looks = figures
        .filter_map(|check| check["trace"]["figures"].as_array())
        .next()
        .unwrap();
    let dots = browser.eval(&format!(
        "{FIGURE}.querySelector('.course .dots').getAttribute('d').match(/M/g).length"
    ));
    assert_eq!(dots, looks.len());
    browser.press("+");
    let closer = browser.eval(PLACES);
    let long = |places: &[Value]| {
        places.last().unwrap()[1].as_f64().unwrap() - places[0][1].as_f64().unwrap()
    };
    assert!(
        (long(closer.as_array().unwrap()) - 2.0 * long(places)).abs() < 1.0,
        "{closer}"
    );
    browser.press("0");
    assert_eq!(browser.eval(PLACES).as_array().unwrap(), places);
}

#[test]
fn checks_are_found_by_words_and_verdicts_and_have_addresses() {
    let (_folder, file) = page(failing());
    let Some(mut browser) = opened(&file) else {
        return;
    };
    let shown = "[...document.querySelectorAll('.check')].filter(row => row.offsetParent).map(row => row.querySelector('.id').textContent)";
    let all = browser.eval(shown);
    assert!(all.as_array().unwrap().len() >= 5, "{all}");
    browser.press("/");
    for key in "half-op".chars() {
        browser.press(&key.to_string());
    }
    assert_eq!(browser.eval(shown), json!(["reset/half-open"]));
    browser.press("Escape");
    assert_eq!(browser.eval(shown), all);
    browser.eval("document.querySelector('.filter [data-word=skip]').click()");
    assert_eq!(browser.eval(shown), json!(["datagram/empty"]));
    assert_eq!(
        browser.eval("document.querySelector('.filter output').textContent"),
        json!(format!("1 of {}", all.as_array().unwrap().len()))
    );
    for id in all.as_array().unwrap() {
        assert_eq!(
            browser.eval(&format!(
                "document.querySelectorAll('[id=' + JSON.stringify({id}) + ']').length"
            )),
            1,
            "{id}"
        );
    }
}

#[test]
fn page_is_dark_where_that_is_preferred_and_fits_a_narrow_window() {
    let (_folder, file) = page(failing());
    let Some(mut browser) = opened(&file) else {
        return;
    };
    let light = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).reduce((sum, part) => sum + +part, 0)";
    browser.prefer("light");
    assert!(browser.eval(light).as_f64().unwrap() > 700.0);
    browser.prefer("dark");
    assert!(browser.eval(light).as_f64().unwrap() < 120.0);
    for width in [1600, 800, 390] {
        browser.resize(width, 800);
        assert_eq!(
            browser.eval("document.documentElement.scrollWidth <= innerWidth"),
            true,
            "{width}"
        );
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// What servers may say that would like to be more than text.
const HOSTILE: &str = "</script></style><img src=x onerror=alert(1)>]]>'\"&lt; \u{1b}[31m\u{0}\u{202e}rtl\u{2028}{{7*7}}${alert(1)}";

/// The same report in which every text that somebody else chooses says that, too.
fn made_hostile(value: &mut Value, name: &str) {
    const OURS: [&str; 14] = [
        "$schema",
        "verdict",
        "phase",
        "direction",
        "bytes",
        "isolation",
        "kind",
        "family",
        "started",
        "target",
        "id",
        "under",
        "key",
        "partition",
    ];
    match value {
        Value::String(text) if !OURS.contains(&name) => text.push_str(HOSTILE),
        Value::Array(items) => items.iter_mut().for_each(|item| made_hostile(item, name)),
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(name, field)| made_hostile(field, name)),
        _ => {}
    }
}

#[test]
fn text_that_a_hostile_server_chooses_stays_text_and_breaks_no_layout() {
    let mut report = failing().clone();
    made_hostile(&mut report, "");
    let long = "x".repeat(1 << 20);
    let head = report["checks"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|check| check["trace"].is_object())
        .unwrap();
    head["reason"] = json!(long);
    head["evidence"] = json!([long]);
    head["trace"]["output"]["text"] = json!(format!("{HOSTILE}{long}"));
    head["trace"]["events"][3]["text"] = json!(format!("> {long}"));
    let (_folder, file) = page(&report);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(['\u{0}', '\u{1b}', '\u{202e}', '\u{2028}']));
    let Some(mut browser) = opened(&file) else {
        return;
    };
    browser.until(&format!(
        "{FIGURE}.querySelector('.panels').hidden === false"
    ));
    browser.eval(&format!("{FIGURE}.querySelector('.scroll').focus()"));
    for _ in 0..8 {
        browser.press("ArrowLeft");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.eval("document.querySelectorAll('img, iframe, object, embed, link, script:not([type]) ~ script:not([type])').length"), 0);
    assert_eq!(
        browser.eval("document.body.textContent.includes('<img src=x onerror=alert(1)>')"),
        true
    );
    for width in [1280, 390] {
        browser.resize(width, 900);
        assert_eq!(
            browser.eval("document.documentElement.scrollWidth <= innerWidth"),
            true,
            "{width}"
        );
    }
    browser.resize(1280, 900);
    let high = browser
        .eval("document.querySelector('.finding').offsetHeight")
        .as_f64()
        .unwrap();
    assert!(high < 2500.0, "{high}");
}

#[test]
fn page_says_the_same_without_its_script_and_is_made_of_the_report_alone() {
    let (_folder, file) = page(failing());
    let text = std::fs::read_to_string(&file).unwrap();
    for part in [
        "reset/mid-request",
        "exited with status 1",
        "<svg",
        "Transcript",
        "sockdrill check --speaks echo",
    ] {
        assert!(text.contains(part), "{part}");
    }
    for foreign in [
        " src=",
        "@import",
        "url(",
        "http-equiv=\"refresh\"",
        "unsafe",
    ] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    let Some(mut browser) = opened(&file) else {
        return;
    };
    // Its own policy lets nothing else run, whatever comes to stand in it.
    browser.eval("document.body.insertAdjacentHTML('beforeend', '<b id=try onclick=\"window.ran=1\">x</b>'); document.getElementById('try').click()");
    assert_eq!(browser.eval("window.ran === undefined"), true);
}

/// A crowd, each hundredth of which gets a byte too few.
const SHORT_FOR_SOME: &str = "
import socket, sys, threading
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=1024)
def serve(client, number):
    with client:
        try:
            while got := client.recv(4096):
                client.sendall(got[:-1] if number % 100 == 37 else got)
        except OSError:
            pass
number = 0
while True:
    client, _ = listener.accept()
    number += 1
    threading.Thread(target=serve, args=(client, number), daemon=True).start()
";

/// A server with several defects of its own.
const DEFECTIVE: &str = "
import signal, socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=5)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
while True:
    client, _ = listener.accept()
    with client:
        while got := client.recv(4096):
            client.send(got)
";

fn drilled(arguments: &[&str], server: &[&str]) -> Value {
    let run = sockdrill(&["check", "--speaks", "echo"])
        .args(arguments)
        .reporting();
    run.args(["--"]).args(server).run().report
}

/// A crowd of five hundred of whom five get a byte too few. It is a case of a file: of a check those would be left out of it who take no part in the
/// failure.
fn crowd_short_for_some() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("crowd.drill");
    let text = "server: echo\n\ncase many at once\n  clients: crowd[500]\n\n  crowd connect\n  settle\n  \
                crowd send \"hello from sockdrill\\n\"\n  crowd expect \"hello from sockdrill\\n\"\n  barrier\n  crowd close\n";
    std::fs::write(&case, text).unwrap();
    let run = sockdrill(&["run", "--speaks", "echo"])
        .arg(&case)
        .reporting();
    run.args(["--", "python3", "-c", SHORT_FOR_SOME, "{port}"])
        .run()
        .report
}

/// A crowd is folded: who failed stands beside who was served, and what became of the others is counted.
#[test]
fn crowd_of_hundreds_is_folded_around_the_one_that_failed() {
    let (_folder, file) = page(&crowd_short_for_some());
    let Some(mut browser) = opened(&file) else {
        return;
    };
    browser.until(&format!(
        "{FIGURE}.querySelector('.panels').hidden === false"
    ));
    let lanes = |browser: &mut Browser| {
        let seen = format!(
            "[...{FIGURE}.querySelectorAll('.names .lane')].filter(lane => getComputedStyle(lane).display !== 'none').map(lane => lane.textContent)"
        );
        browser.eval(&seen).as_array().unwrap().clone()
    };
    let folded = lanes(&mut browser);
    assert!(folded.len() <= 10, "{folded:?}");
    let is = |lane: &Value, role: &str| {
        let text = lane.as_str().unwrap();
        text.starts_with("crowd[") && text.ends_with(role)
    };
    assert!(
        is(&folded[0], "failed") && is(&folded[1], "served"),
        "{folded:?}"
    );
    let counted = browser.eval(&format!("{FIGURE}.querySelector('.crowd').textContent"));
    let counts: Vec<u64> = counted
        .as_str()
        .unwrap()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [all, right, short] = counts[..] else {
        panic!("{counted}");
    };
    assert!(all == right + short && short == all / 100, "{counted}");
    let lanes_of = browser.eval(LANES);
    let told = lanes_of.as_str().unwrap();
    // A polite client and a bystander are there as well.
    let of_all = format!(" of {} clients have a lane; ", all + 2);
    assert!(told.contains(&of_all), "{told}");
    assert!(told.ends_with(" came to the same end as others."), "{told}");
    browser.eval(&format!("{FIGURE}.querySelector('.scroll').focus()"));
    browser.press("l");
    assert!(lanes(&mut browser).len() > folded.len());
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Where each of a crowd has bytes of its own, no more ends are told than one can read.
#[test]
fn ends_of_a_crowd_are_told_of_most_members_and_counted_for_the_rest() {
    let mut report = failing().clone();
    let checks = report["checks"].as_array_mut().unwrap();
    let shown = checks.iter_mut().find(|check| !check["trace"].is_null());
    let ends = |n: usize| json!({"text": format!("end {n}"), "members": 10 - n});
    shown.unwrap()["trace"]["crowds"] =
        json!([{"name": "crowd", "members": 45, "ends": (1..10).map(ends).collect::<Vec<_>>()}]);
    let (_folder, file) = page(&report);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("6 saw last <code>end 4</code>; 15 saw other things</p>"));
    assert!(!text.contains("<code>end 5</code>"));
}

/// Where there are more clients than lanes it is said, and so is where the others are.
const LANES: &str = "[...document.querySelectorAll('.finding figure.picture .crowd')].map(line => line.textContent).find(text => text.includes('have a lane'))";

/// A page that has findings of several gravities begins with the gravest; and what is above them says no more than they do.
#[test]
fn findings_stand_in_the_order_of_their_gravity_below_a_heading_that_is_true() {
    let mut report = failing().clone();
    let checks = report["checks"].as_array_mut().unwrap();
    let fails = checks.iter().find(|check| check["verdict"] == "fail");
    let mut warns = fails.unwrap().clone();
    warns["id"] = json!("a/recommended");
    warns["verdict"] = json!("warn");
    checks.insert(0, warns);
    let headings = |report: &Value| {
        let (_folder, file) = page(report);
        let text = std::fs::read_to_string(file).unwrap();
        let above = text.split("<article class=\"finding ").next().unwrap();
        let heading = above.rsplit("<h2>").next().unwrap();
        let findings = text.split("<article class=\"finding ").skip(1);
        let words = findings.map(|finding| finding.split('"').next().unwrap().to_owned());
        let heading = heading.split("</h2>").next().unwrap().to_owned();
        (heading, words.collect::<Vec<_>>())
    };
    let (heading, words) = headings(&report);
    assert_eq!(
        (&*heading, words),
        ("What broke", vec!["fail".into(), "warn".into()])
    );
    for (verdict, told) in [
        ("flaky", "What failed and then passed"),
        ("warn", "What is recommended otherwise"),
        ("known", "What is known to fail"),
    ] {
        let checks = report["checks"].as_array_mut().unwrap();
        checks.retain(|check| check["id"] != "a/recommended");
        let head = checks.iter_mut().find(|check| !check["cause"].is_null());
        head.unwrap()["verdict"] = json!(verdict);
        assert_eq!(
            headings(&report),
            (told.to_owned(), vec![verdict.to_owned()])
        );
    }
}

/// What a server says that does not start again is with what was seen, and on the page behind what it had said before.
#[test]
fn output_of_a_server_that_does_not_start_again_is_told() {
    let check = "time-wait/restart-killed";
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let report = drilled(
        &["--only", check],
        &[
            program,
            "serve",
            "echo",
            "--violate",
            check,
            "--port",
            "{port}",
        ],
    );
    let trace = &report["checks"][0]["trace"];
    let output = trace["output"]["text"].as_str().unwrap();
    let (before, after) = output.split_once('\n').unwrap();
    assert!(before.contains("listening on"), "{output}");
    assert!(after.contains("Address already in use"), "{output}");
    let is_it = |event: &&Value| event["kind"] == "start-failed";
    let events = trace["events"].as_array().unwrap();
    let text = events.iter().find(is_it).unwrap()["text"].as_str().unwrap();
    assert!(
        text.contains("; its last output: error: ") && !text.contains('\n'),
        "{text}"
    );
    let (_folder, file) = page(&report);
    let Some(mut browser) = opened(&file) else {
        return;
    };
    browser.until(&format!(
        "{FIGURE}.querySelector('.panels').hidden === false"
    ));
    let said = browser.eval(&format!(
        "{FIGURE}.querySelector('.panel.output pre').textContent"
    ));
    let said = said.as_str().unwrap();
    assert!(said.contains("Address already in use"), "{said}");
}

#[test]
fn growth_is_plotted_against_its_doses_with_the_line_that_fits() {
    let broken = [
        env!("CARGO_BIN_EXE_sockdrill"),
        "serve",
        "echo",
        "--violate",
        "crowd/connect-and-leave",
    ];
    let (_folder, file) = page(&drilled(&["--only", "crowd/connect-and-leave"], &broken));
    let Some(mut browser) = opened(&file) else {
        return;
    };
    let dots = browser.eval("document.querySelectorAll('.growth circle').length");
    assert!(dots.as_u64().unwrap() >= 3, "{dots}");
    let fits = browser.eval("document.querySelector('.growth figcaption').textContent");
    assert!(
        fits.as_str().unwrap().contains("for each connection"),
        "{fits}"
    );
    // The line ends where the last dose does, and every dose lies on it: a leak is one of each.
    let off = browser.eval("(() => { const line = document.querySelector('.growth .fit'), at = name => +line.getAttribute(name); \
        return Math.max(...[...document.querySelectorAll('.growth circle')].map(dot => Math.abs(at('y1') + (at('y2') - at('y1')) * \
        +dot.getAttribute('cx') / at('x2') - +dot.getAttribute('cy')))) })()");
    assert!(off.as_f64().unwrap() < 9.0, "{off}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Writes the pictures of the documentation: `cargo test --test program -- --ignored pictures`.
#[test]
#[ignore = "writes what is looked at"]
fn pictures_of_the_documentation() {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let broken = |check: &'static str| [program, "serve", "echo", "--violate", check];
    let crowd = crowd_short_for_some();
    let growth = drilled(
        &["--only", "crowd/connect-and-leave"],
        &broken("crowd/connect-and-leave"),
    );
    let many = drilled(&[], &["python3", "-c", DEFECTIVE, "{port}"]);
    let none = drilled(
        &[
            "--only", "polite/*", "--only", "reset/*", "--only", "stop/*",
        ],
        &[program, "serve", "echo"],
    );
    let shots = [
        ("one-failure", failing(), 1280, 1180, "light"),
        ("one-failure-dark", failing(), 1280, 1180, "dark"),
        ("narrow", failing(), 420, 1100, "light"),
        ("many-findings", &many, 1280, 1180, "light"),
        ("crowd", &crowd, 1280, 1100, "light"),
        ("growth", &growth, 1280, 1000, "light"),
        ("nothing-broke", &none, 1280, 900, "light"),
    ];
    std::fs::create_dir_all("docs/pictures").unwrap();
    for (name, report, width, height, scheme) in shots {
        let (_folder, file) = page(report);
        let mut browser = Browser::start().expect("a browser");
        browser.prefer(scheme);
        browser.resize(width, height);
        browser.open(&file);
        browser.until(
            "[...document.querySelectorAll('.panels')].slice(0, 1).every(panels => !panels.hidden)",
        );
        std::fs::write(format!("docs/pictures/{name}.webp"), browser.picture()).unwrap();
    }
}

/// Several targets are put beside each other, and each verdict leads to where it is told.
#[test]
fn page_of_several_targets_begins_with_what_they_do_not_agree_on() {
    let folder = tempfile::tempdir().unwrap();
    let target = |name: &str, arguments: &[&str]| {
        let file = folder.path().join(format!("{name}.toml"));
        let program = env!("CARGO_BIN_EXE_sockdrill");
        let command = [&[program, "serve", "echo"], arguments].concat();
        std::fs::write(&file, format!("command = {command:?}\nspeaks = \"echo\"\n")).unwrap();
        file
    };
    let correct = target("correct", &[]);
    let broken = target("broken", &["--violate", "reset/mid-request"]);
    let only = ["--only", "reset/mid-request", "--only", "polite/exchange"];
    let run = sockdrill(&["check"]).arg(correct).arg(broken).args(only);
    let (_folder, file) = page(&run.reporting().run().code(1).report);
    let Some(mut browser) = opened(&file) else {
        return;
    };
    let table = "[...document.querySelectorAll('.matrix tr')].map(row => [...row.children].map(cell => cell.textContent).join(' '))";
    assert_eq!(
        browser.eval(table),
        json!(["check correct broken", "reset/mid-request pass fail"])
    );
    let leads = "[...document.querySelectorAll('.matrix td a')].map(link => document.getElementById(link.getAttribute('href').slice(1)).className)";
    assert_eq!(browser.eval(leads), json!(["check pass", "finding fail"]));
    assert_eq!(
        browser.eval("document.querySelectorAll('section.run').length"),
        2
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
