//! What mutated inputs are made of: files of the repository where there are any, else a few that are written here.

use crate::drill::DrillFile;
use std::path::{Path, PathBuf};

/// The files below a folder of the repository whose names end so, in the order of their paths.
fn below(folder: &str, extension: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    paths_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        &mut paths,
    );
    paths.retain(|path| path.extension().is_some_and(|end| end == extension));
    paths.sort();
    let read = paths.into_iter().map(std::fs::read);
    read.filter_map(Result::ok).collect()
}

pub(super) fn paths_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => paths_below(&path, found),
            false => found.push(path),
        }
    }
}

fn written(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) fn scenarios() -> Vec<Vec<u8>> {
    let every_step = crate::drill::usages().into_iter().map(|row| {
        let before = "case c\n  clients: alice bob[3]\n\n  alice connect\n";
        format!("{before}  {}\n", row.example).into_bytes()
    });
    let folders = [
        "fixtures/scenarios",
        "fixtures/regressions",
        "fixtures/failing",
    ];
    let files = folders
        .into_iter()
        .flat_map(|folder| below(folder, "drill"));
    files.chain(every_step).collect()
}

pub(super) fn scenarios_as_json() -> Vec<Vec<u8>> {
    let files = scenarios().into_iter().filter_map(|text| {
        let text = String::from_utf8(text).ok()?;
        let file = DrillFile::parse("seed", &text).ok()?;
        file.to_json().ok()
    });
    files.map(String::into_bytes).collect()
}

pub(super) fn profiles() -> Vec<Vec<u8>> {
    below("fixtures/profiles", "toml")
}

pub(super) fn targets() -> Vec<Vec<u8>> {
    let whole = "command = ['./server', '{port}']\nready-within = '5s'\nlisten = '127.0.0.1:80'\nlisten-fds = false\n\
                 package = 'p'\nprograms = ['sh']\n[environment]\nA = 'b {dir}'\n[files]\n'a.conf' = '''\nport {port}\n'''\n\
                 [lab]\nopen-files = 64\n[lab.sysctl]\n'net.core.somaxconn' = 4\n[profile]\ntransport = 'tcp'\n\
                 [[profile.exchange]]\nsend = 'a\\n'\nreply = '{line}\\n'\n[[known]]\ncheck = 'reset/*'\nreason = 'r'\n\
                 until = 2030-01-01\n";
    let mut all = below("fixtures/targets", "toml");
    all.extend(below("fixtures/external", "toml"));
    all.extend(written(&[whole]));
    all
}

/// A text for each of the small readers: of bytes, times, sizes, addresses, parts of a run and days.
pub(super) fn literals() -> Vec<Vec<u8>> {
    written(&[
        r"a\r\n\x00\xff\{b\} {any} {line}\\",
        "250ms",
        "1.5s",
        "2h",
        "64KiB",
        "4096MiB",
        "slice:1/3",
        "hash:2/2",
        "2030-12-31",
        "8080",
        "127.0.0.1:53",
        "/run/server.sock",
    ])
}

/// A template in the first line, and what a server says below.
pub(super) fn templates() -> Vec<Vec<u8>> {
    written(&[
        "HTTP/1.1 200{any}\\r\\n\\r\\nok\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nokHTTP/1.1",
        "ok {line}\\r\\nbye\nok 17\r\nbye",
        "{line} {any}\\r\\n{any}.\n200 fine\r\nand.",
        "PING :{any}\\r\\n\nPING :1\r\nPING :2\r\nPONG",
        "abc\nabd",
    ])
}

pub(super) fn alarms() -> Vec<Vec<u8>> {
    written(&[
        "==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x60200000 at pc 0x1\nREAD of size 1\n    #0 0x1 in \
         talk server.c:38\n\nSUMMARY: AddressSanitizer: heap-use-after-free server.c:38 in talk\n==12==ABORTING\n",
        "server.c:7:5: runtime error: signed integer overflow: 1 + 2 cannot be represented\n",
        "WARNING: ThreadSanitizer: data race (pid=7)\n  Write of size 4\nSUMMARY: ThreadSanitizer: data race s.c:1 in f\n==================\n",
        "WARNING: DATA RACE\nRead at 0x00c0 by goroutine 7:\n  main.f()\n      /s.go:1 +0x1\n==================\n",
        "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\n",
        "Traceback (most recent call last):\n  File \"s.py\", line 2, in f\n    g()\nValueError: no\n\nDuring handling of the above \
         exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"t.py\", line 3, in h\nKeyError: 'a'\n",
        "panic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:\nmain.main()\n\t/s.go:3 +0x1\nexit status 2\n",
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [select]:\n",
        "==7== Invalid read of size 1\n==7==    at 0x1: f (s.c:1)\n==7== \n",
        "Exception in thread \"main\" java.lang.IllegalStateException: no\n\tat A.b(A.java:1)\n",
        "(node:7) UnhandledPromiseRejectionWarning: Error: no\n    at f (/s.js:1:2)\n",
    ])
}

pub(super) fn saved_trials() -> Vec<Vec<u8>> {
    let files = below("fixtures/transcripts", "json");
    // Long ones say what short ones say.
    files
        .into_iter()
        .filter(|text| text.len() < 24 << 10)
        .collect()
}

pub(super) fn reports() -> Vec<Vec<u8>> {
    let whole = r#"{"format":1,"target":"echo","isolation":"host","isolation_reason":"no","seed":1,"duration_ms":7,
        "budget_ms":9,"partition":"slice:1/3","serves_nobody":false,
        "summary":{"pass":1,"fail":1,"warn":0,"known":0,"inconclusive":0,"skip":0},
        "checks":[{"id":"FIRST","family":"polite","requirement":"r","verdict":"pass","scenarios":1,"duration_ms":3},
        {"id":"SECOND","family":"reset","requirement":"r","verdict":"fail","scenarios":1,"duration_ms":3,
        "reason":"died <b>","cause":{"kind":"died","key":"died","invariant":"alive","data":{"signal":6}},"evidence":["e"],
        "fix":"f","reproduce":"sockdrill check","scenario":"case c\n","transcript":["t"],"place":3,"spent_ms":{"settling":1}},
        {"id":"THIRD","family":"stop","requirement":"r","verdict":"inconclusive","scenarios":1,"duration_ms":3,
        "doubt":"out-of-budget","reason":"no time","coverage":{"cut_points":1,"of":3,"text":"1 of 3"}}],
        "findings":[{"key":"died","reason":"r","checks":["SECOND"]}],"observations":{"hup":"ends"},
        "timings":{"spent_ms":{"settling":1},"starts_ms":[3,4],"processor_ms":7,"peak_memory_bytes":9}}"#;
    let names = ["FIRST", "SECOND", "THIRD"].into_iter();
    let ids = names.zip(crate::checks::all());
    let whole = ids.fold(whole.to_owned(), |text, (name, check)| {
        text.replace(name, check.id)
    });
    let other = whole.replace("\"target\":\"echo\"", "\"target\":\"other\"");
    let several = format!("{{\"format\":1,\"targets\":[{whole},{other}]}}");
    written(&[&whole, &several])
}
