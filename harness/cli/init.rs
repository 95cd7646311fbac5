//! `sockdrill init`: a target with its profile and a first scenario, for the user to fill in.

use super::output::say;
use crate::checks;
use crate::model::error::{Error, ExitCode};
use crate::model::promise::PROMISES;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

const TARGET: &str = r#"# How your server is started, and what it speaks: sockdrill check server.toml

# The program and its arguments. {port} is a port that sockdrill chooses; {addr}, {path} (for a Unix socket) and {dir} (a
# folder of its own) are filled in likewise. A server that always takes the same port can leave them out.
command = ["./your-server", "--port", "{port}"]
# Where somebody else has started it, address="127.0.0.1:8080" stands in its place; only what its clients see is judged then.

# How long it may take to listen.
# ready-within = "10s"

# Which of several listeners to drill.
# listen = "8080"

# [environment]
# LOG_LEVEL = "debug"

# What a client says and what it gets for it. Single quotes keep the backslashes: \r, \n, \x00. In a reply, {any} stands
# for any bytes, {line} for any without a newline. Without an exchange, only what every server owes is checked.
[profile]
transport = "tcp" # or udp, unix, unix-datagram

[[profile.exchange]]
send = 'hello\r\n'
reply = 'hello\r\n'
# Whether it opens a conversation, and is made once a connection; false promises that it can be made again.
# once = false

# What the server promises is held against it; what it does not promise is observed and reported, never judged.
[profile.promises]
{promises}
# Failures that are known and have a reason do not fail a run; one that has gone away does.
# [[known]]
# check = "{check}"
# reason = "issue 17"
# until = "2030-12-31"
"#;

const SCENARIO: &str = r#"# A client that resets in the middle of its request must not disturb the next one.
server: ../server.toml

case a polite client is answered
  clients: alice

  alice connect
  alice send "hello\r\n"
  alice expect "hello\r\n" within 1s
  alice close

case half a request, then reset
  clients: alice mallory

  mallory connect
  mallory send "hel"
  mallory reset  # RST, not FIN
  alice connect
  alice send "hello\r\n"
  alice expect "hello\r\n" within 1s
  alice close
"#;

pub(super) fn init(folder: &Path) -> Result<ExitCode, Error> {
    for line in write_files(folder)? {
        say(&line);
    }
    let (target, first) = (
        folder.join("server.toml"),
        folder.join("scenarios/first.drill"),
    );
    say(&format!(
        "next: write your command and one exchange into {}, then try",
        target.display()
    ));
    say(&format!("  sockdrill check {}", target.display()));
    say(&format!("  sockdrill run {}", first.display()));
    Ok(ExitCode::Passed)
}

/// The text of the target file, with every promise there is. The failure that may be known is one of the catalogue.
fn target() -> String {
    let check = checks::all().last().map_or("*", |check| check.id);
    let promises = PROMISES.iter();
    let promises = promises.map(|row| format!("# {}\n# {}\n", row.about, row.setting()));
    TARGET
        .replace("{promises}", &promises.collect::<String>())
        .replace("{check}", check)
}

/// Writes the files below a folder, but for those that are there; says of each what became of it.
fn write_files(folder: &Path) -> Result<Vec<String>, Error> {
    let files = [
        ("server.toml", target()),
        ("scenarios/first.drill", SCENARIO.to_owned()),
    ];
    let written = files.into_iter().map(|(name, text)| {
        let path = folder.join(name);
        Ok(match write_new(&path, &text)? {
            true => format!("wrote     {}", path.display()),
            false => format!("is there  {}, and is left as it is", path.display()),
        })
    });
    written.collect()
}

/// Writes a file unless there is one; says whether it did.
fn write_new(path: &Path, text: &str) -> Result<bool, Error> {
    let failed = Error::file("writing", path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::file("making", folder))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            let written = file.write_all(text.as_bytes());
            written.map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Target;
    use crate::model::profile::Promises;

    #[test]
    fn file_that_is_written_is_understood_with_each_promise_taken_out_of_its_comment() {
        let read = |text: &str| Target::parse("server", text, Path::new("")).unwrap();
        let written = target();
        assert_eq!(read(&written).profile.promises, Promises::default());
        for row in PROMISES {
            let comment = format!("# {} = ", row.name);
            assert_eq!(written.matches(&comment).count(), 1, "{comment}");
            let text = written.replace(&comment, &comment[2..]);
            let promises = read(&text).profile.promises;
            assert_ne!(promises, Promises::default(), "{}", row.name);
        }
    }
}
