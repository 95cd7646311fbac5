use crate::kit::sockdrill;
use std::fs;
use std::path::Path;

/// A file in which each word that is slipped in stands between `«` and `»`, how it is called, and the command that reads it.
struct File {
    name: &'static str,
    text: &'static str,
    command: &'static [&'static str],
}

const OF_PROFILE: &[&str] = &["check", "--list", "--speaks", "p.toml", "--", "true"];
const OF_TARGET: &[&str] = &["check", "--list", "t.toml"];
const OF_PROJECT: &[&str] = &["check", "--list", "web"];

const FILES: &[File] = &[
    File {
        name: "p.toml",
        command: OF_PROFILE,
        text: "\
«transport» = \"«tcp»\"
«speaks-first» = true
«greeting» = 'hi\\n'
[[«exchange»]]
«send» = 'a\\n'
«reply» = 'b\\n'
«once» = false
[«promises»]
«serves» = \"«concurrently»\"
«half-close» = \"«answers»\"
«after-exchange» = \"«stays-open»\"
«idle-timeout» = \"none\"
«login-timeout» = \"5s\"
«request-timeout» = \"5s\"
«most-connections» = { «in-all» = 10, «an-address» = 5, «refused» = \"«closed»\", «text» = 'full\\n', «drops» = \"«some»\" }
«longest» = { «size» = \"64KiB\", «refused» = \"«closed»\", «text» = 'no\\n' }
«output-limit» = \"1MiB\"
«throttling» = \"1s\"
«penalties» = \"«an-address»\"
«backlog» = 100
«unasked» = ['ping\\n']
«pipelining» = \"«answers»\"
«starting» = \"«serves»\"
«second-instance» = \"«ends»\"
«stop» = { «signal» = \"«TERM»\", «within» = \"5s\", «in-flight» = \"«completes»\", «sessions» = \"«waited-for»\", «drain» = \"3s\" }
",
    },
    File {
        name: "p.toml",
        command: OF_PROFILE,
        text: "\
transport = \"«unix-datagram»\"
«model» = \"«ascii-uppercase»\"
«framing» = \"«datagram»\"
[promises.«longest»]
size = \"512B\"
refused = \"«dropped»\"
",
    },
    File {
        name: "p.toml",
        command: OF_PROFILE,
        text: "\
[promises]
most-connections = \"«unlimited»\"
[promises.«stop»]
signal = \"«QUIT»\"
sessions = \"«kept»\"
",
    },
    File {
        name: "t.toml",
        command: OF_TARGET,
        text: "\
«command» = [\"true\", \"{«port»}\"]
«speaks» = \"«redis»\"
«ready-within» = \"20s\"
«listen» = \"8080\"
«listen-fds» = false
«package» = \"true\"
«programs» = [\"true\"]
[«environment»]
AT = \"{«addr»}\"
[«files»]
\"a.conf\" = \"\"
[«promises»]
«idle-timeout» = \"5s\"
[«backends».store]
«command» = [\"true\", \"{«port»}\"]
«speaks» = \"«memcached»\"
[backends.store.«promises»]
serves = \"«one-at-a-time»\"
[«lab»]
«open-files» = 256
«writes» = \"«host»\"
[lab.«sysctl»]
\"net.core.somaxconn\" = 64
[[«known»]]
«check» = \"«half-close/silent»\"
«reason» = \"issue 17\"
«until» = \"2099-03-01\"
«sometimes» = true
[[known]]
check = \"«reset»/*\"
reason = \"\"
",
    },
    File {
        name: "t.toml",
        command: OF_TARGET,
        text: "\
«address» = \"127.0.0.1:9\"
[«profile»]
«transport» = \"«udp»\"
[profile.«promises»]
«second-instance» = \"«shares-port»\"
",
    },
    File {
        name: "sockdrill.toml",
        command: OF_PROJECT,
        text: "\
[«targets».web]
«command» = [\"true\", \"{«port»}\"]
«speaks» = \"«hello»\"
[targets.other]
command = [\"true\"]
speaks = \"«memcached»\"
[targets.web.«backends».store]
«command» = [\"true\"]
[[targets.web.«known»]]
check = \"«polite/exchange»\"
reason = \"\"
[«profiles».hello]
«transport» = \"«tcp»\"
[profiles.hello.«promises»]
«stop» = { «signal» = \"«TERM»\" }
[«defaults»]
«jobs» = 3
«isolation» = \"«host»\"
«skip» = [\"half-close/silent\", \"«datagram»\"]
[defaults.«check»]
«only» = [\"«reset/mid-request»\", \"«polite»/*\"]
[«profile».ci]
«strict» = true
[profile.ci.«run»]
«seed» = 6
",
    },
];

/// The text of a file with the second letter of one word doubled, the word, and the line that it is in.
fn slips(marked: &str) -> Vec<(String, &str, usize)> {
    let plain = |text: &str| text.replace(['«', '»'], "");
    let slip = |(at, _): (usize, &str)| {
        let (before, rest) = (&marked[..at], &marked[at + '«'.len_utf8()..]);
        let (word, after) = rest.split_once('»').unwrap();
        let slip = format!("{}{}", &word[..2], &word[1..]);
        let text = format!("{}{slip}{}", plain(before), plain(after));
        (text, word, before.matches('\n').count() + 1)
    };
    marked.match_indices('«').map(slip).collect()
}

/// What is told of a file.
fn told(folder: &Path, file: &File, text: &str) -> (Option<i32>, String) {
    fs::write(folder.join(file.name), text).unwrap();
    let mut program = sockdrill(file.command);
    program.command.current_dir(folder);
    let run = program.run();
    (run.code, run.stderr)
}

#[test]
fn slip_in_any_word_of_a_file_is_told_in_its_line_with_what_was_meant() {
    let mut untold = Vec::new();
    for file in FILES {
        let folder = tempfile::tempdir().unwrap();
        let right = file.text.replace(['«', '»'], "");
        let (code, stderr) = told(folder.path(), file, &right);
        assert_eq!(code, Some(0), "{right}\n{stderr}");
        for (text, word, line) in slips(file.text) {
            let (code, stderr) = told(folder.path(), file, &text);
            let is_told = [file.name, &format!("line {line},"), "^"]
                .iter()
                .all(|part| stderr.contains(part));
            let meant = [
                format!("did you mean `{word}`?"),
                format!("did you mean `{word}/*`?"),
                format!("did you mean {{{word}}}?"),
            ];
            let is_meant = meant.iter().any(|meant| stderr.contains(meant));
            if code != Some(2) || !is_told || !is_meant {
                untold.push(format!(
                    "{}: {word} in line {line}: {code:?} {stderr}",
                    file.name
                ));
            }
        }
    }
    assert!(untold.is_empty(), "{}\n{}", untold.len(), untold.join("\n"));
}

#[test]
fn name_that_a_scenario_file_has_wrong_is_pointed_at_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        let mut program = sockdrill(&["run", name]);
        program.command.current_dir(folder.path());
        program.run().code(2).stderr
    };
    let case = "\ncase a\n  clients: alice\n\n  alice connect\n";
    let json = |settings: &str| {
        format!(
            "{{\n  {settings},\n  \"cases\": [{{\"name\": \"a\", \"clients\": [\"alice\"], \"steps\": [\"alice connect\"]}}]\n}}\n"
        )
    };
    for (settings, in_json, place, near) in [
        ("server: ehco", "\"server\": \"ehco\"", "1:9", "echo"),
        (
            "server: redis-server.toml",
            "\"server\": \"redis-server.toml\"",
            "1:9",
            "",
        ),
        (
            "server: http-one\nspeaks: rediss",
            "\"server\": \"banner\", \"speaks\": \"rediss\"",
            "2:9",
            "redis",
        ),
        (
            "server: echo\nbackend: store ehco",
            "\"server\": \"echo\", \"backends\": [{\"name\": \"store\", \"server\": \"ehco\"}]",
            "2:16",
            "echo",
        ),
    ] {
        let of_drill = told("a.drill", &format!("{settings}\n{case}"));
        assert!(of_drill.contains(&format!("a.drill:{place}")), "{of_drill}");
        let of_json = told("a.json", &json(in_json));
        assert!(of_json.contains("a.json:2:"), "{of_json}");
        for told in [of_drill, of_json] {
            assert!(told.contains("^^^"), "{told}");
            let meant = format!("did you mean `{near}`?");
            assert!(near.is_empty() || told.contains(&meant), "{told}");
        }
    }
    let promise = "server: echo\npromise: idle-timeout = \"soon\"\n";
    let told = told("a.drill", &format!("{promise}{case}"));
    assert!(
        told.contains("a.drill:2:10") && told.contains("not `soon`"),
        "{told}"
    );
}
