//! `sockdrill doctor`: what this host permits.

use super::output::say;
use crate::launch::lab::{self, Isolation, Lab};
use crate::model::error::{Error, ExitCode};
use crate::sys::root_plan::Writes;

pub(super) fn doctor() -> Result<ExitCode, Error> {
    let mut code = ExitCode::Passed;
    let mut hears_of_ends = false;
    for (name, isolation) in [
        ("namespace", Isolation::Namespace),
        ("host", Isolation::Host),
    ] {
        match Lab::open(isolation, Writes::default()) {
            Ok(lab) => {
                hears_of_ends = lab.ends().is_told();
                say(&format!("ok       {name}: servers can run in it"));
                if lab.is_private() {
                    let is_bounded = "writes: what a server writes goes to memory of its lab, and vanishes with it";
                    say_whether(
                        lab.has_own_users(),
                        "users: the rights of a server's users, of root too, end with its lab",
                    );
                    match lab.why_unbounded() {
                        None => say(&format!("ok       {is_bounded}")),
                        Some(why) => say(&format!("missing  {is_bounded}: {why}")),
                    }
                }
            }
            Err(error) => {
                say(&format!("missing  {name}: {}", error.chain()));
                if isolation == Isolation::Host {
                    code = ExitCode::CouldNotRun;
                } else {
                    for advice in ADVICE {
                        say(&format!("         {advice}"));
                    }
                }
            }
        }
    }
    let answered = "answers: the kernel's rare answers are given to a server's system calls";
    match lab::answers_calls() {
        Ok(()) => say(&format!("ok       {answered}")),
        Err(why) => {
            say(&format!("missing  {answered}: {why}"));
            say(&format!("         {ANSWERS_ADVICE}"));
        }
    }
    let ends =
        "process events: the end of a server's process is seen, however short its life".to_owned();
    let told = lab::capabilities()
        .into_iter()
        .chain([(ends, hears_of_ends)]);
    for (what, seen) in told {
        say_whether(seen, &what);
    }
    Ok(code)
}

fn say_whether(is_there: bool, what: &str) {
    let word = if is_there { "ok     " } else { "missing" };
    say(&format!("{word}  {what}"));
}

/// How to permit what `syscall/…` needs, where a host does not.
const ANSWERS_ADVICE: &str = "a container's seccomp profile has to allow seccomp, pidfd_getfd and process_vm_readv, as \
                              --security-opt seccomp=unconfined does";

/// How to permit namespaces, where a host does not.
const ADVICE: &[&str] = &[
    "Ubuntu 23.10 and later: sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    "Debian before 11: sysctl kernel.unprivileged_userns_clone=1",
    "Docker, as root: run with --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined",
    "Docker, as another user: run with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined",
    "without a namespace, sockdrill runs servers on the plain host and skips what needs a network of its own",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handbook_gives_the_same_advice() {
        let page = include_str!("../../docs/ci.md");
        let mut seen = 0;
        for advice in ADVICE {
            let words = advice
                .split_once("run with ")
                .or_else(|| advice.split_once("later: "));
            let Some((_, words)) = words else { continue };
            assert!(page.contains(words), "{words}");
            seen += 1;
        }
        assert_eq!(seen, 3);
    }
}
