//! How programs that put themselves into the background are kept in the foreground.

use super::shell::command_line;
use super::target::Target;
use crate::model::error::Error;
use std::path::Path;
use std::time::Duration;

/// What keeps a program in the foreground, whose file has this name.
struct Known {
    program: &'static str,
    /// The words to add to its command.
    add: &'static [&'static str],
}

const fn known(program: &'static str, add: &'static [&'static str]) -> Known {
    Known { program, add }
}

/// Servers that go into the background by themselves, as their manuals have it.
const KNOWN: &[Known] = &[
    known("apache2", &["-D", "FOREGROUND"]),
    known("chronyd", &["-d"]),
    known("cupsd", &["-f"]),
    known("dnsmasq", &["--keep-in-foreground"]),
    known("dovecot", &["-F"]),
    known("dropbear", &["-F"]),
    known("exim", &["-bdf"]),
    known("exim4", &["-bdf"]),
    known("haproxy", &["-db"]),
    known("httpd", &["-D", "FOREGROUND"]),
    known("in.tftpd", &["--foreground"]),
    known("inspircd", &["--nofork"]),
    known("lighttpd", &["-D"]),
    known("mini_httpd", &["-D"]),
    known("named", &["-f"]),
    known("nginx", &["-g", "daemon off;"]),
    known("ngircd", &["-n"]),
    known("nsd", &["-d"]),
    known("ntpd", &["-n"]),
    known("pdns_server", &["--daemon=no"]),
    known("php-fpm", &["-F"]),
    known("proftpd", &["--nodaemon"]),
    known("redis-server", &["--daemonize", "no"]),
    known("rsync", &["--no-detach"]),
    known("slapd", &["-d", "0"]),
    known("smbd", &["--foreground", "--no-process-group"]),
    known("snmpd", &["-f"]),
    known("squid", &["-N"]),
    known("sshd", &["-D"]),
    known("thttpd", &["-D"]),
    known("tinyproxy", &["-d"]),
    known("unbound", &["-d"]),
    known("varnishd", &["-F"]),
    known("vsftpd", &["-obackground=NO"]),
    known("xinetd", &["-dontfork"]),
];

/// The options that ask a program to go into the background.
const ASKING: &[&str] = &[
    "--background",
    "--daemon",
    "--daemonize",
    "--detach",
    "--fork",
    "-daemon",
    "daemon on;",
];

/// The values of such an option that stand in a word of their own.
const YES: &[&str] = &["yes", "true", "on", "1"];

/// What is said of a server that listens although its first process has ended: it can be neither watched nor told to end.
pub(crate) fn refusal(target: &Target) -> Error {
    Error::EndedEarly {
        is_backend: target.stands_behind,
        how: "put itself into the background, and its first process ended".to_owned(),
        awaited: format!("it could be drilled; {}", advice(&target.command)),
        waited: Duration::ZERO,
        output: String::new(),
        command: target.command_line(),
    }
}

/// What to do about a command that goes into the background.
pub(super) fn advice(command: &[String]) -> String {
    let words = || command.iter().map(String::as_str);
    let mut rest = words().skip_while(|word| !ASKING.contains(word));
    if let Some(asking) = rest.next() {
        let value = rest.next().filter(|value| YES.contains(value));
        let asking: Vec<&str> = [asking].into_iter().chain(value).collect();
        return format!(
            "start it in the foreground: leave out `{}`",
            asking.join(" ")
        );
    }
    let program = command.first().map(Path::new);
    let program = program.and_then(Path::file_name).unwrap_or_default();
    let mut known = KNOWN.iter();
    let known = known.find(|known| program == known.program);
    match known.filter(|known| !words().any(|word| known.add.contains(&word))) {
        Some(known) => format!(
            "start it in the foreground: {}",
            command_line(words().chain(known.add.iter().copied()))
        ),
        None => {
            "start it in the foreground: give it the option that keeps it there, often called -f, -D, -F, --foreground or \
             --no-daemon"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &[&str]) -> String {
        let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let advice = advice(&words);
        let (_, advice) = advice.split_once("start it in the foreground: ").unwrap();
        advice.to_owned()
    }

    #[test]
    fn command_in_the_foreground_is_told_where_the_program_is_known() {
        assert_eq!(
            of(&["/usr/sbin/nginx", "-c", "x y"]),
            "/usr/sbin/nginx -c 'x y' -g 'daemon off;'"
        );
        assert_eq!(of(&["sshd"]), "sshd -D");
    }

    #[test]
    fn option_that_asks_for_it_is_to_be_left_out() {
        assert_eq!(of(&["./server", "--daemon"]), "leave out `--daemon`");
        let with_a_value = ["redis-server", "--daemonize", "yes", "--port", "7000"];
        assert_eq!(of(&with_a_value), "leave out `--daemonize yes`");
    }

    #[test]
    fn of_other_programs_it_is_told_how_such_options_are_called() {
        assert!(of(&["./server"]).contains("--foreground"));
        assert!(of(&["nginx", "-g", "daemon off;"]).contains("--foreground"));
    }

    #[test]
    fn table_is_in_the_order_of_the_alphabet() {
        assert!(KNOWN.is_sorted_by_key(|known| known.program));
    }
}
