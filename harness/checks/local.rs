//! Unix sockets: the path outlives the server, and descriptors can be passed along.

use super::derive::{SECOND_INSTANCE, killed_and_started_again, second_instance};
use crate::model::action::Action;
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::defect::Defect;
use crate::model::dialogue::{ClientSteps, repeat, scenario, server_does, server_requires, settle};
use crate::model::expectation::ServerExpectation;
use crate::model::need::Need;
use crate::model::server_action::{ServerAction, Signal};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

fn path(address: &Address) -> io::Result<&Path> {
    match address {
        Address::Path(path) => Ok(path),
        Address::Inet(_) => Err(io::Error::other("this counterexample listens on a path")),
    }
}

fn each(
    listener: &UnixListener,
    conversation: fn(&mut UnixStream) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        std::thread::spawn(move || conversation(&mut stream));
    }
}

fn echo(stream: &mut UnixStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => stream.write_all(&buffer[..bytes])?,
        }
    }
}

/// Echoes, and keeps every descriptor that comes along.
fn collect(stream: &mut UnixStream) -> io::Result<()> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &*stream,
            &mut [io::IoSliceMut::new(&mut buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                descriptors.for_each(std::mem::forget);
            }
        }
        match received.bytes {
            0 => return Ok(()),
            bytes => stream.write_all(&buffer[..bytes])?,
        }
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "local/stale-path",
        requirement: "A server that was killed can be started again on the same path.",
        why: "The path of a Unix socket outlives its server, and bind then fails with EADDRINUSE (unix(7)): \
              https://github.com/nginx/nginx/issues/851 https://github.com/eclipse-zenoh/zenoh/issues/60",
        method: "The server is killed with a client connected, and started again on the path that it left behind.",
        quantities: "",
        fix: "Before bind, connect to the path; where nobody answers, remove it.",
        defect: &Defect::PATHS,
        needs: &[
            Need::LOCAL,
            Need::STREAM,
            Need::MANY_CONNECTIONS,
            Need::OWN_SOCKET,
        ],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            Some(vec![scenario(
                "started again on a stale path",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).open_accepted(subject).lines(),
                    killed_and_started_again(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "did-not-start",
            serve: |address| each(&UnixListener::bind(path(address)?)?, echo),
        },
    },
    Check {
        id: "local/second-instance",
        requirement: "A second server on the path of one that lives ends with an error, or takes the path over where that is \
                      promised, and leaves the first one undisturbed.",
        why: "Who removes whatever socket stands at the path takes a living one away: both run, and the first is reached by \
              nobody any more: https://github.com/marconvcm/sony-device-center/issues/27 \
              https://github.com/NVIDIA/nvnmos/pull/28 https://github.com/clawnify/ateam/pull/50",
        method: "The same command is started a second time beside the first, with a folder of its own; what stands at the path \
                   is looked at before and afterwards.",
        quantities: "",
        fix: "Before bind, connect to the path; remove it only where nobody answers (ECONNREFUSED), and end with an error where \
              somebody does. A lock file beside it keeps two from doing so at once.",
        defect: &Defect::PATHS,
        needs: &[Need::LOCAL, Need::MANY_CONNECTIONS, Need::OWN_SOCKET],
        policy: SECOND_INSTANCE,
        scenarios: |subject| Some(vec![second_instance(subject)]),
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "second-instance-takes-over",
            serve: |address| {
                let path = path(address)?;
                let _ = std::fs::remove_file(path);
                each(&UnixListener::bind(path)?, echo)
            },
        },
    },
    Check {
        id: "local/foreign-file",
        requirement: "A server that finds a regular file at its path ends with an error and leaves the file alone.",
        why: "Removing whatever stands at the path destroys somebody's data where the path was misspelt.",
        method: "The server is ended, a regular file is put at its path, and it is started again.",
        quantities: "",
        fix: "Remove only sockets: look at the file's type first (stat(2)).",
        defect: &Defect::PATHS,
        needs: &[Need::LOCAL, Need::MANY_CONNECTIONS, Need::OWN_SOCKET],
        policy: Policy {
            fresh_server: true,
            ..Policy::SHOULD
        },
        scenarios: |_| {
            let lines = vec![
                server_does(ServerAction::Signal(Signal::Kill)),
                server_requires(ServerExpectation::Exit(None)),
                server_does(ServerAction::StartOverFile),
            ];
            Some(vec![crate::model::scenario::Scenario {
                waived: vec![crate::model::scenario::Waiver {
                    invariant: crate::model::invariant::Invariant::Served,
                    reason: "the server must not run".to_owned(),
                }],
                ..scenario("a regular file at the path", &[], vec![lines])
            }])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "file-removed",
            serve: |address| {
                let path = path(address)?;
                let _ = std::fs::remove_file(path);
                each(&UnixListener::bind(path)?, echo)
            },
        },
    },
    Check {
        id: "local/passed-descriptors",
        requirement: "Descriptors that nobody asked for are not kept.",
        why: "Descriptors that come with a message (SCM_RIGHTS) stay open until they are closed: a leak by remote.",
        method: "Clients send a byte with a descriptor beside it, and leave.",
        quantities: "Ten add enough to be worth growing doses, which tell a leak (Growth in evidence.md). With --deep \
                     a hundred.",
        fix: "Receive without room for control data, or close what comes.",
        defect: &Defect::LEAK,
        needs: &[Need::LOCAL, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let mut lines = ClientSteps::of(0)
                .connect()
                .then(Action::SendDescriptor(b'x'))
                .lines();
            lines.push(settle());
            lines.extend(ClientSteps::of(0).then(Action::Close).lines());
            Some(vec![scenario(
                "a descriptor that nobody asked for",
                &[("mallory", 1)],
                vec![vec![repeat(subject.deeper(10), lines), settle()]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "open-files",
            serve: |address| {
                let path = path(address)?;
                // What is left of a server before this one.
                let _ = std::fs::remove_file(path);
                each(&UnixListener::bind(path)?, collect)
            },
        },
    },
];
