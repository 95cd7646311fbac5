//! What every check and observation does to servers of several kinds, as text: a change of it shows as a diff that a person
//! looks at.

use super::observations::OBSERVATIONS;
use super::staged::known;
use super::table;
use crate::model::check::{Check, Policy, Referral};
use crate::model::need::Unmet;
use crate::model::profile::{Profile, Transport};
use crate::model::scenario::Scenario;
use crate::model::subject::{Place, Subject};
use crate::model::tls::TlsOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// Where the texts are kept, a file for each family of checks, and one for the observations.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/checks");

/// A change of what is kept that is meant: it is written anew, and its diff shows what the change does.
pub(crate) const BLESS: &str = "SOCKDRILL_BLESS";

/// A server that speaks as a built-in profile says, over its own transport.
fn built_in(name: &str) -> Subject {
    let (_, text) = Profile::built_in()
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let profile = Profile::parse(name, text).unwrap();
    let transport = profile.transport.unwrap_or(Transport::Tcp);
    known(profile, transport)
}

fn over(transport: Transport, name: &str) -> Subject {
    known(built_in(name).profile, transport)
}

/// What few servers promise.
const PROMISING: &str = r#"
model = "echo"
framing = "line"
[promises]
serves = "concurrently"
half-close = "answers"
after-exchange = "stays-open"
idle-timeout = "8s"
backlog = 511
longest = { size = "64B", refused = "cut" }
output-limit = "1MiB"
second-instance = "takes-over"
most-connections = { an-address = 20, refused = "waits" }
penalties = "none"
stop = { signal = "INT", within = "3s", in-flight = "completes", sessions = "kept" }
"#;

/// The servers, each of a kind that something is done differently to.
static SERVERS: LazyLock<Vec<(&str, Subject)>> = LazyLock::new(servers);

fn servers() -> Vec<(&'static str, Subject)> {
    let promising = Profile::parse("promising", PROMISING).unwrap();
    let small = Subject {
        open_files: Some(100),
        somaxconn: Some(16),
        most_clients: 24,
        process_for_each: true,
        reply_time: Some(Duration::from_secs(3)),
        place: Place {
            backlog: Some(4),
            deferred: true,
            ..Place::on(Transport::Tcp)
        },
        ..built_in("line-echo")
    };
    let deep = |name| Subject {
        deep: true,
        open_files: Some(20_000),
        ..built_in(name)
    };
    let once = "transport = \"udp\"\nmodel = \"echo\"\nframing = \"datagram\"\n[promises]\nserves = \"one-connection\"\n";
    let once = Profile::parse("once", once).unwrap();
    let elsewhere = Subject {
        is_elsewhere: true,
        ..built_in("line-echo")
    };
    let slow_club = Subject {
        reply_time: Some(Duration::from_secs(1)),
        takes_its_time: true,
        ..built_in("club")
    };
    let over_tls = |subject: Subject| Subject {
        profile: Profile {
            tls: Some(TlsOptions::default()),
            ..subject.profile
        },
        ..subject
    };
    let deferred = Subject {
        place: Place {
            backlog: Some(128),
            deferred: true,
            ..Place::on(Transport::Tcp)
        },
        ..built_in("club")
    };
    vec![
        ("echo", built_in("echo")),
        ("line-echo", built_in("line-echo")),
        ("line-idle", built_in("line-idle")),
        ("promising", known(promising, Transport::Tcp)),
        ("small", small),
        ("elsewhere", elsewhere),
        ("deep line-echo", deep("line-echo")),
        ("http", built_in("http")),
        ("http-close", built_in("http-close")),
        ("club", slow_club),
        ("doorman", built_in("doorman")),
        ("carousel", built_in("carousel")),
        ("banner", built_in("banner")),
        ("uppercase-in-turn", built_in("uppercase-in-turn")),
        ("uppercase-one", built_in("uppercase-one")),
        ("discard", built_in("discard")),
        ("unknown", known(Profile::unknown(), Transport::Tcp)),
        ("line-idle over TLS", over_tls(built_in("line-idle"))),
        ("club over TLS", over_tls(deferred)),
        ("banner over TLS", over_tls(built_in("banner"))),
        (
            "unknown over TLS",
            over_tls(known(Profile::unknown(), Transport::Tcp)),
        ),
        ("local", over(Transport::Unix, "echo")),
        ("datagrams", built_in("udp-echo")),
        ("deep datagrams", deep("udp-echo")),
        ("datagrams once", known(once, Transport::Udp)),
        ("local datagrams", over(Transport::UnixDatagram, "udp-echo")),
    ]
}

/// The steps of a scenario, a line for what one client, or the server, does on one connection.
fn in_conversations(scenario: &Scenario) -> String {
    let text = scenario.to_string();
    let mut all: Vec<String> = Vec::new();
    let mut last = "";
    let is_at = |who: &str| who.len() - who.trim_start().len();
    for line in text.lines() {
        let does = line.trim_start();
        let (who, what) = does.split_once(' ').unwrap_or((does, ""));
        let who = &line[..line.len() - does.len() + who.len()];
        let is_step = who.starts_with("  ") && !who.ends_with(':');
        let is_of_nobody = ["settle", "barrier", "pause"].contains(&who.trim_start());
        let goes_on = is_step && who == last && !what.starts_with("connect");
        match all.last_mut() {
            Some(said) if goes_on => write!(said, "; {what}").unwrap(),
            Some(said) if is_of_nobody && is_at(last) == is_at(who) => {
                write!(said, "; {does}").unwrap();
            }
            _ => all.push(line.to_owned()),
        }
        if !is_of_nobody {
            last = who;
        }
    }
    all.join("\n") + "\n"
}

/// The lines of both that are not in the other one, in their order: those of the first behind a minus, those of the second behind
/// a plus.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // How many lines both have in common from here on.
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (i, line) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            common[i][j] = match line == other {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut all) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            writeln!(all, "-{}", old[i]).unwrap();
            i += 1;
        } else {
            writeln!(all, "+{}", new[j]).unwrap();
            j += 1;
        }
    }
    all
}

/// What is done to one server after the other, or why nothing is: each text once, below the servers that it is for, and in the place
/// of one that differs from another a little, the difference.
fn written(of: &dyn Fn(&Subject) -> Result<Vec<Scenario>, String>) -> String {
    let mut texts: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, subject) in SERVERS.iter() {
        let done = match of(subject) {
            Ok(scenarios) => {
                let all: Vec<String> = scenarios.iter().map(in_conversations).collect();
                all.join("\n")
            }
            Err(why) => format!("{why}\n"),
        };
        match texts.iter_mut().find(|(known, _)| *known == done) {
            Some((_, names)) => names.push(name),
            None if done.is_empty() => {}
            None => texts.push((done, vec![name])),
        }
    }
    let mut all = String::new();
    for (at, (text, names)) in texts.iter().enumerate() {
        let names = names.join(", ");
        let differences = texts[..at].iter().map(|(other, of)| {
            let difference = difference(other, text);
            (difference.len(), of[0], difference)
        });
        let nearest = differences
            .min()
            .filter(|(length, ..)| *length < text.len());
        match nearest {
            Some((_, like, difference)) => write!(all, "\n# {names}: as {like}, but\n{difference}"),
            None => write!(all, "\n# {names}\n{text}"),
        }
        .unwrap();
    }
    all
}

/// How a check is tried, in a line, and for which of the servers otherwise.
fn policy(check: &Check) -> String {
    let Policy {
        severity,
        promised,
        fresh_server,
        gate,
        reading_is_use,
        drawn,
        recommends,
        referrals,
    } = check.policy;
    let names = |of: &dyn Fn(&Subject) -> bool| {
        let servers = SERVERS.iter().filter(|(_, subject)| of(subject));
        let names: Vec<_> = servers.map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let mut words = vec![severity.word().to_owned()];
    let promises = names(&promised);
    let serving = names(&|subject| check.judges_serving(subject));
    let when = |is_so: bool, what: String| is_so.then_some(what);
    words.extend(when(
        !promises.is_empty(),
        format!("promised by {promises}"),
    ));
    words.extend(when(fresh_server, "each on a fresh server".to_owned()));
    words.extend(when(
        !serving.is_empty(),
        format!("judges serving of {serving}"),
    ));
    let left = gate.and_then(|_| check.subject_without(&built_in("echo")));
    let broken = left.and_then(|subject| subject.broken.first().copied());
    words.extend(broken.map(|broken| format!("judges {}", broken.what)));
    words.extend(when(reading_is_use, "reading is use".to_owned()));
    words.extend(when(drawn, "drawn".to_owned()));
    words.extend(when(
        !recommends.is_empty(),
        format!("recommends {recommends:?}"),
    ));
    let of = |referral: &Referral| format!("{}: see {}", referral.cause, referral.see.join(", "));
    words.extend(referrals.iter().map(of));
    words.join("; ")
}

/// All that is done, by the names of the files.
fn all() -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |family: &str, id: &str, text: &str| {
        let file = files.entry(format!("{family}.txt")).or_default();
        write!(file, "## {id}\n{text}\n").unwrap();
    };
    for check in table::all() {
        let text = written(&|subject| match check.unmet(subject) {
            Some(Unmet::NotGiven(need)) => Err(format!("skipped: {}", need.word)),
            Some(Unmet::Broken(broken)) => Err(format!("broken: {}", broken.what)),
            None => Ok((check.scenarios)(subject).unwrap_or_default()),
        });
        let text = format!("{}\n{text}", policy(check));
        add(check.family(), check.id, &text);
    }
    for row in OBSERVATIONS {
        let text = written(&|subject| Ok(row.scenario(subject).into_iter().collect()));
        if !text.is_empty() {
            add("observations", row.name, &text);
        }
    }
    files
}

#[test]
fn what_is_done_to_servers_is_what_was_done() {
    let is_blessed = std::env::var_os(BLESS).is_some();
    let mut changed = Vec::new();
    for (name, text) in all() {
        let path = Path::new(FOLDER).join(&name);
        if is_blessed {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept != text {
            changed.push(format!("{name}\n{}", difference(&kept, &text)));
        }
    }
    assert!(
        changed.is_empty(),
        "what is done to servers changed; where that is meant: {BLESS}=1 cargo test --lib snapshots, and look at the diff\n{}",
        changed.join("\n")
    );
}

#[test]
fn texts_are_kept_of_families_that_there_are() {
    let families = table::all().into_iter().map(Check::family);
    let known: BTreeSet<_> = families.chain(["observations"]).collect();
    for file in std::fs::read_dir(FOLDER).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let is_known = name
            .strip_suffix(".txt")
            .is_some_and(|name| known.contains(name));
        assert!(is_known, "{name}");
    }
}
