//! Datagrams: each stands alone, may be empty, large, lost, doubled, or answered too late.

use super::derive::{SECOND_INSTANCE, second_instance, with_connect_options};
use crate::checks::counterexample::{bind, bind_shared};
use crate::model::action::{Action, ConnectOptions};
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::data::{Data, Segmentation, Source};
use crate::model::defect::Defect;
use crate::model::dialogue::{self, ClientSteps, repeat, scenario, server_does, settle};
use crate::model::expectation::Expectation;
use crate::model::need::Need;
use crate::model::profile::{Model, Serves, Transport};
use crate::model::scenario::{Line, Scenario};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use crate::sys::socket::dropped;
use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

/// Answers each datagram with what `reply` makes of it; an error ends the server.
fn answer_each(
    address: &Address,
    reply: impl FnMut(&UdpSocket, &[u8], SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    answer_each_at(&bind(address)?, reply)
}

fn answer_each_at(
    socket: &UdpSocket,
    mut reply: impl FnMut(&UdpSocket, &[u8], SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer)?;
        reply(socket, &buffer[..bytes], from)?;
    }
}

fn echo(socket: &UdpSocket, bytes: &[u8], from: SocketAddr) -> io::Result<()> {
    // A reply that cannot be sent is the network's loss, not the server's end.
    let _ = socket.send_to(bytes, from);
    Ok(())
}

/// Sends datagrams and expects the model's reply to each before the next: replies that are under way together may come
/// in any order (RFC 768 promises none), as those of a server with two threads do.
fn exchange(data: impl IntoIterator<Item = Data>, subject: &Subject) -> Option<Vec<Line>> {
    let model = subject.profile.model()?;
    let steps = data
        .into_iter()
        .fold(ClientSteps::of(0).connect(), |steps, data| {
            let reply = model.reply(&data);
            let steps = steps.send_data(data, Segmentation::Whole);
            match reply {
                Some(reply) => steps.expect(Expectation::Data(reply)),
                None => steps,
            }
        });
    Some(steps.then(Action::Close).lines())
}

/// The largest payload of a UDP datagram over IPv4 (udp(7)).
pub(super) const LARGEST: usize = 65_507;

/// The sizes around which buffers end, as far as the server takes them, and the largest that it takes.
pub(super) fn sizes(model: Model) -> Vec<usize> {
    let powers = (4..16).flat_map(|power| {
        let size = 1usize << power;
        [size - 1, size, size + 1]
    });
    let sizes = powers.chain([LARGEST]);
    let mut sizes: Vec<usize> = sizes.map(|size| model.at_most(size)).collect();
    sizes.dedup();
    sizes
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "datagram/empty",
        requirement: "A server survives an empty datagram and receives the next one.",
        why: "A length of zero is taken for the end of a stream, which datagrams do not have (recv(2)).",
        method: "An empty datagram is sent, then others.",
        quantities: "",
        fix: "Treat a length of zero as a datagram without content.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |_| {
            let lines = ClientSteps::of(0)
                .connect()
                .send("")
                .require(Expectation::Taken)
                .then(Action::Close);
            Some(vec![scenario(
                "an empty datagram",
                &[("mallory", 1)],
                vec![lines.lines(), vec![settle()]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-receiver",
            shows: "alive",
            serve: |address| {
                answer_each(address, |_, bytes, _| match bytes {
                    [] => std::process::exit(0),
                    _ => Ok(()),
                })
            },
        },
    },
    Check {
        id: "datagram/largest",
        requirement: "A datagram of any size, up to what is promised as the longest, is answered exactly or dropped whole, never cut.",
        why: "What does not fit the buffer is cut off by the kernel, and the rest is taken for the whole: \
              https://github.com/PowerDNS/pdns/pull/2939 https://github.com/zephyrproject-rtos/zephyr/issues/31100",
        method: "Datagrams of the sizes around the powers of two and of the largest size are sent.",
        quantities: "65,507 bytes are the largest payload of a datagram over IPv4 (udp(7)), and buffers of powers of \
                     two below it end at sizes that are tried. There is no more for --deep.",
        fix: "Receive into 65,535 bytes, or look at MSG_TRUNC and drop what was cut (recv(2)).",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MODEL, Need::REPLY],
        policy: Policy::MUST,
        scenarios: |subject| {
            let model = subject.profile.model()?;
            let lines = (0..).zip(sizes(model)).filter_map(|(number, bytes)| {
                let data = model.payload(bytes, subject.seed + number);
                let reply = model.reply(&data)?;
                let steps = ClientSteps::of(0)
                    .connect()
                    .send_data(data, Segmentation::Whole);
                Some(
                    steps
                        .expect_within(
                            Expectation::DataOrSilence(reply),
                            std::time::Duration::from_millis(500),
                        )
                        .then(Action::Close)
                        .lines(),
                )
            });
            Some(vec![scenario(
                "datagrams of every size",
                &[("alice", 1)],
                lines.collect(),
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "step-failed",
            serve: |address| {
                answer_each(address, |socket, bytes, from| {
                    echo(socket, &bytes[..bytes.len().min(1_024)], from)
                })
            },
        },
    },
    Check {
        id: "datagram/garbage",
        requirement: "A server survives random datagrams.",
        why: "Parsers meet lengths that are negative and indexes out of range.",
        method: "Two hundred datagrams of seeded random bytes are sent.",
        quantities: "Two hundred take a parser into most of the branches that depend on a byte or two. With --deep \
                     two thousand.",
        fix: "Check every length and index that comes from outside.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let noise = Source::Pattern {
                bytes: subject.deeper(100_000),
                seed: subject.seed,
            };
            let lines = ClientSteps::of(0)
                .connect()
                .send_data(noise.into(), Segmentation::Pieces(500));
            Some(vec![scenario(
                "random datagrams",
                &[("mallory", 1)],
                vec![
                    lines.lines(),
                    vec![settle()],
                    ClientSteps::of(0).then(Action::Close).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-receiver",
            shows: "alive",
            serve: |address| {
                answer_each(address, |_, bytes, _| {
                    match bytes.iter().any(|byte| *byte >= 0x80) {
                        true => std::process::abort(),
                        false => Ok(()),
                    }
                })
            },
        },
    },
    Check {
        id: "datagram/burst",
        requirement: "A server survives a thousand datagrams at once and goes on.",
        why: "A queue without a bound, or a task a datagram, does not survive a burst.",
        method: "The server is stopped, a thousand datagrams are sent, and it runs on.",
        quantities: "A thousand of 50,000 bytes are many times what the kernel's queue holds (212,992 bytes, \
                     rmem_default), so that it is full when the server runs on. With --deep ten thousand of 5,000 \
                     bytes: as much, in more pieces.",
        fix: "Let the kernel drop what does not fit its queue.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MODEL, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let datagram = subject
                .profile
                .model()?
                .payload(50_000 / subject.deeper(1), subject.seed);
            let crowd = match subject.place.transport {
                // What a Unix socket has no room for is not dropped: who sends has to wait (unix(7)), and the server
                // stands still.
                Transport::UnixDatagram => ClientSteps::of(0).send_in_background(datagram),
                _ => ClientSteps::of(0).send_data(datagram, Segmentation::Whole),
            };
            Some(vec![scenario(
                "a thousand datagrams",
                &[("mallory", 20)],
                vec![
                    ClientSteps::of(0).connect().lines(),
                    vec![
                        server_does(ServerAction::Stop),
                        repeat(subject.deeper(50), crowd.lines()),
                    ],
                    vec![server_does(ServerAction::Continue), settle()],
                    ClientSteps::of(0).then(Action::Close).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-receiver",
            shows: "alive",
            serve: |address| {
                answer_each(address, |socket, _, _| match dropped(socket.as_fd())? {
                    // What was lost is counted in eight bits.
                    256.. => std::process::abort(),
                    _ => Ok(()),
                })
            },
        },
    },
    Check {
        id: "datagram/crowd",
        requirement: "Each of many senders gets the reply to its own datagram.",
        why: "The sender is kept in one place for all, and replies go to whoever came last.",
        method: "Twenty clients send datagrams of their own, interleaved.",
        quantities: "Twenty who send five times each are more than the places that a server may have made for a few \
                     peers, and all their datagrams fit its queue: none is dropped. With --deep fifty times each; \
                     twenty they stay, for the queue.",
        fix: "Answer each datagram to the address it came from.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MODEL, Need::REPLY],
        policy: Policy::MUST,
        scenarios: |subject| {
            let datagram = subject.profile.model()?.payload(100, subject.seed);
            let lines = exchange([datagram], subject)?;
            Some(vec![scenario(
                "twenty senders",
                &[("crowd", 20)],
                vec![vec![repeat(subject.deeper(5), lines)]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "step-failed",
            serve: |address| {
                // Whoever has no place any more is taken for the last one who has.
                let mut places = Vec::new();
                answer_each(address, move |socket, bytes, from| {
                    if !places.contains(&from) && places.len() < 8 {
                        places.push(from);
                    }
                    let known = places.iter().find(|known| **known == from);
                    echo(
                        socket,
                        bytes,
                        *known.or_else(|| places.last()).unwrap_or(&from),
                    )
                })
            },
        },
    },
    Check {
        id: "datagram/sender-gone",
        requirement: "A server survives that a sender is gone before its reply.",
        why: "The ICMP message comes back as an error of the next call, and ends the receive loop: \
              https://github.com/ikatson/rqbit/issues/664 https://github.com/oven-sh/bun/pull/35923",
        method: "The server is stopped, a client sends a request and closes, and the server runs on; and again.",
        quantities: "Ten errors come back, each by itself, also to a server that tries once more after the first: of several at once \
                     a socket tells one (on a loaded host the kernel brings them together). With --deep a hundred.",
        fix: "Treat ECONNREFUSED of a datagram socket as news about one peer.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::DIALOGUE],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let asks_and_leaves = ClientSteps::of(0)
                .connect()
                .send(request)
                .then(Action::Close)
                .lines();
            let one = [
                vec![server_does(ServerAction::Stop)],
                asks_and_leaves,
                vec![server_does(ServerAction::Continue), settle()],
            ];
            // Who is there for one ends behind it.
            let times = match subject.profile.promises.serves {
                Some(Serves::OneConnection) => 1,
                _ => subject.deeper(10),
            };
            Some(vec![scenario(
                "the sender is gone",
                &[("mallory", 1)],
                vec![vec![repeat(times, one.concat())]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "alive",
            serve: |address| {
                let socket = bind(address)?;
                // The error queue is on, and too many errors are fatal: as many as come only if nobody is left.
                crate::sys::socket::report_errors(&socket)?;
                let mut buffer = vec![0; 65_536];
                let mut failed = 0;
                loop {
                    let came = socket.recv_from(&mut buffer);
                    let answered =
                        came.and_then(|(bytes, from)| socket.send_to(&buffer[..bytes], from));
                    match answered {
                        Err(error) if failed == 4 => return Err(error),
                        Err(_) => failed += 1,
                        Ok(_) => {}
                    }
                }
            },
        },
    },
    Check {
        id: "datagram/stalled-reader",
        requirement: "A client that does not read its replies keeps nobody else from being served.",
        why: "The queue of a Unix datagram socket holds ten, and a reply that does not fit waits for whoever has asked, and everybody \
              else with it: https://github.com/flux-framework/flux-core/issues/83",
        method: "A client asks sixteen times and reads nothing; when the kernel shows that its queue is full another is served.",
        quantities: "The queue of a Unix socket takes eleven (max_dgram_qlen, which is ten in a network namespace of one's \
                     own): the twelfth reply finds no room, and four requests more leave room for others in the server's queue. \
                     There is no more for --deep.",
        fix: "Send with MSG_DONTWAIT, and drop or keep for later what does not fit.",
        defect: &Defect::DATAGRAMS,
        needs: &[
            Need::DATAGRAM,
            Need::UNIX_DATAGRAM,
            Need::LOCAL,
            Need::DIALOGUE,
            Need::REPLY,
            Need::SHORT_REPLY,
            Need::CONCURRENT,
            Need::OWN_NAMESPACE,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = Data::literal(dialogue::request(&subject.profile)?);
            let asked = ClientSteps::of(1).send_in_background(request);
            Some(vec![scenario(
                "one does not read, another is served",
                &[("alice", 1), ("mallory", 1)],
                vec![
                    ClientSteps::of(1).open(subject).then(Action::Stall).lines(),
                    // Whatever the server does about it, it has done when another comes.
                    vec![repeat(16, asked.lines()), settle()],
                    ClientSteps::of(1).require(Expectation::Full).lines(),
                    ClientSteps::of(0).polite(subject).lines(),
                    ClientSteps::of(1).then(Action::Close).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "step-failed",
            serve: |address| {
                let Address::Path(path) = address else {
                    return Err(io::Error::other("this counterexample is bound to a path"));
                };
                let socket = UnixDatagram::bind(path)?;
                let mut buffer = vec![0; 65_536];
                loop {
                    let (bytes, from) = socket.recv_from(&mut buffer)?;
                    // A sender that has gone is no concern of the others, but one that does not read is waited for.
                    let _ = socket.send_to_addr(&buffer[..bytes], &from);
                }
            },
        },
    },
    Check {
        id: "datagram/source-port-zero",
        requirement: "A server survives a datagram that names no sender to reply to, and serves on.",
        why: "RFC 768 lets a sender that wants no reply give port 0; sendto then fails (EINVAL) and the error ends the receive \
              loop, or is tried again for ever: https://github.com/tokio-rs/mio/issues/1563 \
              https://github.com/MagicStack/uvloop/issues/338 https://github.com/netty/netty/pull/15528",
        method: "A request comes from UDP port 0 (a raw socket), or from a Unix socket without a name; that it was read is seen in \
                   the kernel's counter.",
        quantities: "",
        fix: "Let an error of a reply be that reply's end, and nothing else.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::OWN_NAMESPACE, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile);
            let request = Data::literal(request.unwrap_or_else(|| b"sockdrill".to_vec()));
            let send = ClientSteps::of(0).then(Action::SendWithoutSource(request));
            Some(vec![scenario(
                "a request from nowhere",
                &[("mallory", 1)],
                vec![send.lines(), vec![settle()]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "alive",
            serve: |address| {
                answer_each(address, |socket, bytes, from| {
                    // Any error but that of a sender that has gone ends the loop.
                    match socket.send_to(bytes, from) {
                        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error),
                        _ => Ok(()),
                    }
                })
            },
        },
    },
    Check {
        id: "datagram/reply-source",
        requirement: "A reply comes from the address that was asked.",
        why: "On a wildcard socket the kernel chooses the source by the route, and clients drop the reply: \
              https://github.com/esnet/iperf/issues/637 https://github.com/openSUSE/xinetd/pull/16",
        method: "A server bound to all addresses is asked on 127.0.0.2.",
        quantities: "",
        fix: "Take the asked address from IP_PKTINFO, and reply from it (ip(7)).",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::DIALOGUE, Need::REPLY, Need::WILDCARD],
        policy: Policy::MUST,
        scenarios: |subject| {
            let options = ConnectOptions {
                to: Some(std::net::Ipv4Addr::new(127, 0, 0, 2).into()),
                from: Some(std::net::Ipv4Addr::LOCALHOST.into()),
                ..ConnectOptions::default()
            };
            let lines = with_connect_options(ClientSteps::of(0).polite(subject).lines(), &options);
            Some(vec![scenario(
                "asked on another address",
                &[("alice", 1)],
                vec![lines],
            )])
        },
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "step-failed",
            serve: |address| {
                let Address::Inet(address) = address else {
                    return Err(io::Error::other("an IP address is needed"));
                };
                let any = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), address.port());
                answer_each(&Address::Inet(any), echo)
            },
        },
    },
    Check {
        id: "datagram/second-instance",
        requirement: "A second server on the same UDP port ends with an error, or shares the port or takes it over where that is \
                      promised, and leaves the first one undisturbed.",
        why: "SO_REUSEADDR lets any number of datagram sockets have a port, and the last one gets all: \
              https://github.com/gevent/gevent/issues/932 https://github.com/joyent/libuv/issues/412 \
              https://github.com/h2o/h2o/pull/2264",
        method: "The same command is started a second time beside the first, with a folder of its own. Where both have the port, \
                   both are stopped, and datagrams come from many ports: the kernel shows in whose queue they lie.",
        quantities: "",
        fix: "Set neither SO_REUSEADDR nor SO_REUSEPORT on a datagram socket: it has no TIME_WAIT. Let an error of bind end the \
              program.",
        defect: &Defect::DATAGRAMS,
        needs: &[
            Need::DATAGRAM,
            Need::INTERNET,
            Need::MANY_CONNECTIONS,
            Need::OWN_SOCKET,
        ],
        policy: SECOND_INSTANCE,
        scenarios: |subject| Some(vec![second_instance(subject)]),
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "second-instance-takes-over",
            serve: |address| answer_each_at(&bind_shared(address)?, echo),
        },
    },
    Check {
        id: "datagram/duplicate",
        requirement: "A datagram that arrives twice is handled twice.",
        why: "Networks double datagrams; a server without a protocol for it must take each for itself.",
        method: "Each datagram is sent twice.",
        quantities: "",
        fix: "Keep no state between datagrams, unless the protocol has one.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MODEL, Need::REPLY],
        policy: Policy::MUST,
        scenarios: |subject| ordered("each datagram twice", &[0, 0, 1, 1], subject),
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "step-failed",
            serve: |address| {
                let mut seen = HashSet::new();
                answer_each(address, move |socket, bytes, from| {
                    match seen.insert((bytes.to_vec(), from)) {
                        true => echo(socket, bytes, from),
                        false => Ok(()),
                    }
                })
            },
        },
    },
    Check {
        id: "datagram/reorder",
        requirement: "Datagrams that arrive in another order are each handled alone.",
        why: "Networks swap datagrams; what belongs together must say so itself.",
        method: "Datagrams are sent forwards and backwards.",
        quantities: "",
        fix: "Keep no state between datagrams, unless the protocol has one.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MODEL, Need::REPLY],
        policy: Policy::MUST,
        scenarios: |subject| ordered("forwards and backwards", &[0, 1, 2, 2, 1, 0], subject),
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "step-failed",
            serve: |address| {
                let mut last = Vec::new();
                answer_each(address, move |socket, bytes, from| {
                    // What does not sort behind the one before is taken for late, and dropped.
                    let late = bytes.len() == last.len() && bytes < last.as_slice();
                    last = bytes.to_vec();
                    if late {
                        Ok(())
                    } else {
                        echo(socket, bytes, from)
                    }
                })
            },
        },
    },
];

/// Sends datagrams by number.
fn ordered(name: &str, order: &[u64], subject: &Subject) -> Option<Vec<Scenario>> {
    let model = subject.profile.model()?;
    let data = order
        .iter()
        .map(|number| model.payload(64, subject.seed + number));
    Some(vec![scenario(
        name,
        &[("alice", 1)],
        vec![exchange(data, subject)?],
    )])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::server;

    #[test]
    fn datagrams_are_of_the_sizes_around_which_buffers_end() {
        let of = |promise: &str| {
            let profile = format!(
                "transport = \"udp\"\nmodel = \"echo\"\nframing = \"datagram\"\n[promises]\n{promise}\n"
            );
            sizes(server(&profile).profile.model().unwrap())
        };
        let all = of("");
        assert_eq!(all[..4], [15, 16, 17, 31]);
        assert_eq!(all[all.len() - 4..], [32_767, 32_768, 32_769, LARGEST]);
        assert_eq!(of("longest = \"20B\""), [15, 16, 17, 20]);
    }
}
