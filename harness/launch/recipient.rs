//! Which process a signal for the server goes to: the first one may be a shell, `runuser` or `npm`, whose end is not the
//! server's.

use crate::kernel::Process;
use std::collections::HashMap;
use std::path::PathBuf;

/// The processes of a server with what is asked of each.
pub(super) struct Family {
    members: HashMap<i32, Member>,
    first: i32,
}

struct Member {
    parent: i32,
    /// It holds a socket that listens at the server's address.
    listens: bool,
    /// What it runs; `None` where that may not be seen.
    program: Option<PathBuf>,
}

impl Family {
    pub(super) fn of(first: i32, processes: &[Process], listening: &[u32]) -> Self {
        let living = processes.iter().filter(|process| !process.is_zombie());
        let member = |process: &Process| {
            let member = Member {
                parent: process.parent,
                listens: process
                    .descriptors()
                    .sockets()
                    .any(|inode| listening.contains(&inode)),
                program: process.program(),
            };
            (process.pid, member)
        };
        Self {
            members: living.map(member).collect(),
            first,
        }
    }

    /// The nearest process that all those come from which listen, or an earlier one that runs the same program: a master
    /// that leaves listening to its workers is the server all the same. `None` where nobody listens.
    pub(super) fn recipient(&self) -> Option<i32> {
        let listening = self.members.iter().filter(|(_, member)| member.listens);
        let lines = listening.map(|(pid, _)| self.line_to(*pid));
        let common = lines.reduce(|common, line| {
            let alike = common.iter().zip(&line).take_while(|(a, b)| a == b);
            alike.map(|(pid, _)| *pid).collect()
        })?;
        let last = self.members.get(common.last()?)?;
        let same_program =
            |pid: &&i32| last.program.is_some() && self.members[*pid].program == last.program;
        let server = common.iter().find(same_program);
        server.or_else(|| common.last()).copied()
    }

    /// The processes from the first one down to this one; one that is no descendant of the first begins a line of its own.
    fn line_to(&self, pid: i32) -> Vec<i32> {
        let parent = |pid: &i32| {
            let parent = self.members.get(pid)?.parent;
            (*pid != self.first && self.members.contains_key(&parent)).then_some(parent)
        };
        let mut line: Vec<i32> = std::iter::successors(Some(pid), parent).collect();
        line.reverse();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A family of processes, each with its parent, what it runs and whether it listens; the first one comes first.
    fn recipient(members: &[(i32, i32, &str, bool)]) -> Option<i32> {
        let member = |&(pid, parent, program, listens): &(i32, i32, &str, bool)| {
            let program = Some(PathBuf::from(program));
            let member = Member {
                parent,
                listens,
                program,
            };
            (pid, member)
        };
        let family = Family {
            members: members.iter().map(member).collect(),
            first: members[0].0,
        };
        family.recipient()
    }

    #[test]
    fn server_is_the_first_process_that_listens() {
        let prefork = [(10, 1, "httpd", true), (11, 10, "httpd", true)];
        assert_eq!(recipient(&prefork), Some(10));
        let with_helper = [(10, 1, "httpd", true), (11, 10, "log", false)];
        assert_eq!(recipient(&with_helper), Some(10));
    }

    #[test]
    fn what_only_starts_a_server_is_passed_over() {
        let wrapped = [
            (10, 1, "runuser", false),
            (11, 10, "sh", false),
            (12, 11, "httpd", true),
            (13, 12, "httpd", true),
        ];
        assert_eq!(recipient(&wrapped), Some(12));
    }

    #[test]
    fn master_that_leaves_listening_to_its_workers_is_the_server() {
        let one = [(10, 1, "haproxy", false), (11, 10, "haproxy", true)];
        assert_eq!(recipient(&one), Some(10));
        let each_its_own = [
            (9, 1, "sh", false),
            (10, 9, "master", false),
            (11, 10, "worker", true),
            (12, 10, "worker", true),
        ];
        assert_eq!(recipient(&each_its_own), Some(10));
    }

    #[test]
    fn nobody_is_the_server_once_nobody_listens() {
        assert_eq!(recipient(&[(10, 1, "httpd", false)]), None);
    }
}
