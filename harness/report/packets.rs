//! What clients have sent and received, as packets of IP.

use crate::model::expectation::End;
use crate::model::passage::Passage;
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario};
use crate::model::trial::Trial;
use crate::transcript::event::{ClientEvent, ClientId, Transcript, What, line};
use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// A packet, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// The time since the transcript began.
    pub(super) at: Duration,
    /// Its header, and as much of its payload as is known.
    pub(super) bytes: Vec<u8>,
    /// How many bytes it had.
    pub(super) original_bytes: usize,
    /// What happened, a sentence each.
    pub(super) comments: Vec<String>,
}

/// Packets, and what is to be said of all of them.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) packets: Vec<Packet>,
    pub(super) remarks: Vec<String>,
}

/// As much fits into a packet of IP behind its header and that of TCP without options (RFC 791, section 3.1).
const MOST_IN_A_PACKET: usize = 65_535 - 20 - 20;

/// So many bytes of what was said are written down; of what comes behind them no more than how long it was.
const MOST_BYTES: usize = 4 << 20;

/// So many bytes of which nothing is known are told by packets without them; more are a gap.
const MOST_UNKNOWN: usize = 256 << 20;

/// So many clients that were not connected are named.
const MOST_NAMED: usize = 20;

/// What no connection has an address for: one at a Unix socket, in addresses that are for documentation (RFC 5737).
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORT: u16 = 9;

/// The first port of ours that is private (RFC 6335, section 6), counted up from there.
const FIRST_PORT: u16 = 49_152;

/// Bytes of connections that follow each other at the same ports are numbered from places that lie far apart, by the golden ratio:
/// else one would be taken for the other, repeated.
const SPREAD: u32 = 0x9e37_79b1;

/// The address of a client that is bound to none: Linux sends from the one of the loopback to all others of it.
fn from_somewhere(client: SocketAddr, server: SocketAddr) -> SocketAddr {
    let address = match (client.ip(), server.ip()) {
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(server)) if server.is_loopback() => {
            Ipv4Addr::LOCALHOST.into()
        }
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::LOCALHOST)) => {
            Ipv6Addr::LOCALHOST.into()
        }
        (client, _) => client,
    };
    SocketAddr::new(address, client.port())
}

/// All that clients have sent and received.
pub(super) fn packets(trial: &Trial, transcript: &Transcript, file: &Scenario) -> Made {
    let mut wire = Wire::default();
    let mut place = Place {
        trial,
        file: file.steps(),
        phase: Phase::Before,
        step: None,
    };
    for event in &transcript.events {
        match &event.what {
            What::Phase(phase) => {
                place.enter(*phase);
                wire.forget_clients();
            }
            What::StepBegan(step) => place.step = Some(*step),
            What::Client(id, happened) => {
                let said = place.comment(&event.what, *id);
                wire.take(*id, event.at, happened, said);
            }
            _ => {}
        }
    }
    wire.made()
}

/// Where in a trial events are.
struct Place<'a> {
    trial: &'a Trial,
    /// The steps as they stand in the file beside.
    file: Vec<&'a Line>,
    phase: Phase,
    step: Option<usize>,
}

impl Place<'_> {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.step = None;
    }

    /// Who did what, and the step of the scenario in which it was.
    fn comment(&self, what: &What, id: ClientId) -> String {
        let performed = self.trial.performs(self.phase);
        let scenario = performed.unwrap_or_else(|| self.trial.scenario());
        let said = line(what, self.phase, scenario);
        let (who, text) = said.unwrap_or_default();
        let said = format!("{} {text}", who.unwrap_or_default());
        let step = self.step.filter(|_| self.phase == Phase::Scenario);
        let Some((number, line)) = step.and_then(|step| Some((step, *self.file.get(step)?))) else {
            return said;
        };
        let is_its_own = line.clients() == Some(id.who);
        let within = if is_its_own { "" } else { "meanwhile, " };
        let words = line.step.text(&scenario.clients);
        match line.number {
            0 => format!("{said}\n{within}step {}: {words}", number + 1),
            line => format!("{said}\n{within}line {line}: {words}"),
        }
    }
}

/// Which of the two has sent a packet.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}

/// How the bytes of a connection travel.
#[derive(Clone, Copy, PartialEq)]
enum Over {
    Segments,
    Datagrams,
}

/// A client's connection.
struct Connection {
    over: Over,
    client: SocketAddr,
    server: SocketAddr,
    /// What the client's, and the server's, next byte is numbered.
    next: [u32; 2],
    /// Who has said that there is no more to come.
    has_ended: [bool; 2],
    is_reset: bool,
    /// What was said of it and has no packet.
    unsaid: Vec<String>,
    /// Its last packet.
    last: Option<usize>,
}

/// All connections, and what has gone over them.
#[derive(Default)]
struct Wire {
    made: Made,
    /// When a client asked for a connection, and what is said of that.
    asked: HashMap<ClientId, (Duration, String)>,
    connections: HashMap<ClientId, Connection>,
    /// How many there were.
    connected: u32,
    /// How many have no addresses of their own.
    unaddressed: u16,
    not_connected: Vec<String>,
    kept_bytes: usize,
    is_secured: bool,
    is_cut: bool,
}

impl Wire {
    fn take(&mut self, id: ClientId, at: Duration, event: &ClientEvent, said: String) {
        match event {
            ClientEvent::Connecting => {
                self.leave(id);
                self.asked.insert(id, (at, said));
            }
            ClientEvent::Connected {
                local,
                peer,
                datagrams,
            } => {
                let ends = local.as_deref().copied().zip(peer.as_deref().copied());
                self.connect(id, at, ends, *datagrams, said);
            }
            ClientEvent::ConnectFailed { .. } => self.not_connected.push(said),
            ClientEvent::Sent(bytes) => self.carry(id, at, Side::Client, bytes, said),
            ClientEvent::Received(bytes) => self.carry(id, at, Side::Server, bytes, said),
            ClientEvent::SentPart(bytes) => {
                self.carry_unknown(id, at, Side::Client, *bytes as usize, said);
            }
            ClientEvent::Datagram { from, bytes } => {
                let from = from.as_deref().copied();
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.comes_from(from);
                }
                self.carry(id, at, Side::Server, &bytes.clone().into(), said);
            }
            ClientEvent::Ended(End::Fin) => self.end(id, at, Side::Server, said),
            ClientEvent::Ended(End::Reset) => self.reset(id, at, Side::Server, said),
            ClientEvent::HalfClosed | ClientEvent::Closed => self.end(id, at, Side::Client, said),
            ClientEvent::Reset => self.reset(id, at, Side::Client, said),
            event => {
                self.is_secured |= matches!(event, ClientEvent::Secured { .. });
                self.say(id, said);
            }
        }
    }

    fn connect(
        &mut self,
        id: ClientId,
        at: Duration,
        ends: Option<(SocketAddr, SocketAddr)>,
        datagrams: bool,
        said: String,
    ) {
        let ends = ends.filter(|(client, server)| client.is_ipv4() == server.is_ipv4());
        let ends = ends.map(|(client, server)| (from_somewhere(client, server), server));
        let (client, server) = ends.unwrap_or_else(|| self.unaddressed());
        let first = self.connected.wrapping_mul(SPREAD);
        self.connected = self.connected.wrapping_add(1);
        let over = if datagrams {
            Over::Datagrams
        } else {
            Over::Segments
        };
        let (began, asks) = self.asked.remove(&id).unwrap_or((at, String::new()));
        self.connections.insert(
            id,
            Connection {
                over,
                client,
                server,
                next: [first, first],
                has_ended: [false, false],
                is_reset: false,
                unsaid: Vec::new(),
                last: None,
            },
        );
        if over == Over::Datagrams {
            self.say(id, asks);
            return self.say(id, said);
        }
        let asks_for_it = |header: &mut TcpHeader| {
            header.syn = true;
            // There is nothing to acknowledge yet.
            header.ack = false;
            header.acknowledgment_number = 0;
        };
        self.control(id, began, Side::Client, asks_for_it, asks);
        let agrees = |header: &mut TcpHeader| header.syn = true;
        self.control(id, at, Side::Server, agrees, String::new());
        self.control(id, at, Side::Client, |_| {}, said);
    }

    /// The ends of a connection that has no addresses.
    fn unaddressed(&mut self) -> (SocketAddr, SocketAddr) {
        let ports = u16::MAX - FIRST_PORT;
        let port = FIRST_PORT + self.unaddressed % ports;
        self.unaddressed = self.unaddressed.wrapping_add(1);
        ((CLIENT, port).into(), (SERVER, PORT).into())
    }

    /// Says something of a connection with its next packet.
    fn say(&mut self, id: ClientId, said: String) {
        if let Some(connection) = self.connections.get_mut(&id).filter(|_| !said.is_empty()) {
            connection.unsaid.push(said);
        }
    }

    /// A packet that carries no bytes.
    fn control(
        &mut self,
        id: ClientId,
        at: Duration,
        from: Side,
        flags: impl Fn(&mut TcpHeader),
        said: String,
    ) {
        self.say(id, said);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let mut header = connection.header(from);
        flags(&mut header);
        let takes_a_number = header.syn || header.fin;
        connection.next[from as usize] =
            connection.next[from as usize].wrapping_add(u32::from(takes_a_number));
        let packet = connection.segment(from, header, &[]);
        self.put(id, at, packet);
    }

    fn end(&mut self, id: ClientId, at: Duration, from: Side, said: String) {
        let connection = self.connections.get_mut(&id);
        let ends = connection.filter(|connection| {
            connection.over == Over::Segments
                && !connection.is_reset
                && !connection.has_ended[from as usize]
        });
        match ends {
            Some(connection) => {
                connection.has_ended[from as usize] = true;
                self.control(id, at, from, |header| header.fin = true, said);
            }
            None => self.say(id, said),
        }
    }

    fn reset(&mut self, id: ClientId, at: Duration, from: Side, said: String) {
        let connection = self.connections.get_mut(&id);
        let ends = connection.filter(|connection| connection.over == Over::Segments);
        match ends {
            Some(connection) => {
                connection.is_reset = true;
                self.control(id, at, from, |header| header.rst = true, said);
            }
            None => self.say(id, said),
        }
    }

    /// What was sent or came: what is not known of it is told by its length.
    fn carry(&mut self, id: ClientId, at: Duration, from: Side, bytes: &Passage, said: String) {
        let known = bytes.known_from();
        self.say(id, said);
        if known > 0 {
            let unkept = format!("{known} bytes, which were not kept");
            self.carry_unknown(id, at, from, known, unkept);
        }
        for range in pieces(known..bytes.len()) {
            match self.kept_bytes + range.len() > MOST_BYTES {
                true => {
                    self.is_cut = true;
                    let left_out =
                        format!("{} bytes, which are left out of this file", range.len());
                    self.carry_unknown(id, at, from, range.len(), left_out);
                }
                false => {
                    self.kept_bytes += range.len();
                    self.carry_packet(id, at, from, &bytes.slice(range), true);
                }
            }
        }
        if bytes.len() == 0 {
            self.carry_packet(id, at, from, &[], true);
        }
    }

    fn carry_unknown(
        &mut self,
        id: ClientId,
        at: Duration,
        from: Side,
        bytes: usize,
        said: String,
    ) {
        self.say(id, said);
        let told = bytes.min(MOST_UNKNOWN);
        let nothing = [0; MOST_IN_A_PACKET];
        for range in pieces(0..told) {
            self.carry_packet(id, at, from, &nothing[..range.len()], false);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            let next = &mut connection.next[from as usize];
            *next = next.wrapping_add((bytes - told) as u32);
        }
    }

    fn carry_packet(&mut self, id: ClientId, at: Duration, from: Side, bytes: &[u8], known: bool) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let packet = match connection.over {
            // Nobody says nothing over a stream.
            Over::Segments if bytes.is_empty() => return,
            Over::Segments => {
                let mut header = connection.header(from);
                header.psh = true;
                let next = &mut connection.next[from as usize];
                *next = next.wrapping_add(bytes.len() as u32);
                connection.segment(from, header, bytes)
            }
            Over::Datagrams => connection.datagram(from, bytes),
        };
        let packet = packet.map(|(mut packet, original_bytes)| {
            if !known {
                packet.truncate(original_bytes - bytes.len());
            }
            (packet, original_bytes)
        });
        self.put(id, at, packet);
    }

    fn put(&mut self, id: ClientId, at: Duration, packet: Option<(Vec<u8>, usize)>) {
        let connection = self.connections.get_mut(&id);
        let Some(((bytes, original_bytes), connection)) = packet.zip(connection) else {
            return;
        };
        connection.last = Some(self.made.packets.len());
        self.made.packets.push(Packet {
            at,
            bytes,
            original_bytes,
            comments: std::mem::take(&mut connection.unsaid),
        });
    }

    /// A client has no connection any more: what was not said of it is said with its last packet.
    fn leave(&mut self, id: ClientId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        let last = connection
            .last
            .and_then(|last| self.made.packets.get_mut(last));
        if let Some(last) = last {
            last.comments.extend(connection.unsaid);
        }
    }

    /// A phase is over, which only the bystander outlives.
    fn forget_clients(&mut self) {
        let left: Vec<ClientId> = self.connections.keys().copied().collect();
        let left = left.into_iter().filter(|id| *id != ClientId::BYSTANDER);
        left.for_each(|id| self.leave(id));
    }

    fn made(mut self) -> Made {
        self.forget_clients();
        self.leave(ClientId::BYSTANDER);
        let mut made = self.made;
        // The first packet of a connection is told when that has come about.
        made.packets.sort_by_key(|packet| packet.at);
        let remarks = [
            (self.unaddressed > 0).then(|| {
                format!(
                    "The server is reached over a Unix socket, which has no addresses: {CLIENT} stands for the clients, each at a port \
                     of its own, and {SERVER} for the server."
                )
            }),
            self.is_secured.then(|| {
                "TLS was spoken: what clients said, and heard, inside of it stands here without it, and its records are left out."
                    .to_owned()
            }),
            self.is_cut.then(|| {
                format!("Of more than {} MiB only the lengths are told.", MOST_BYTES >> 20)
            }),
            (!self.not_connected.is_empty()).then(|| not_connected(&self.not_connected)),
        ];
        made.remarks = remarks.into_iter().flatten().collect();
        made
    }
}

/// Who has no packet, as it has no port.
fn not_connected(said: &[String]) -> String {
    let first = said.iter().take(MOST_NAMED);
    let first: Vec<String> = first.map(|said| said.replace('\n', "; ")).collect();
    let more = match said.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!("\n… and {more} more"),
    };
    format!(
        "Not among the packets, as their ports are not known:\n{}{more}",
        first.join("\n")
    )
}

/// A range in pieces that fit into a packet each.
fn pieces(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(MOST_IN_A_PACKET)
        .map(move |from| from..end.min(from + MOST_IN_A_PACKET))
}

impl Connection {
    /// A datagram comes from another address than the one that the client has sent to.
    fn comes_from(&mut self, from: Option<SocketAddr>) {
        let from = from.filter(|from| from.is_ipv4() == self.client.is_ipv4());
        self.server = from.unwrap_or(self.server);
    }

    fn ends(&self, from: Side) -> (SocketAddr, SocketAddr) {
        match from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        }
    }

    /// The header of the next segment.
    fn header(&self, from: Side) -> TcpHeader {
        let (source, destination) = self.ends(from);
        let [own, others] = match from {
            Side::Client => self.next,
            Side::Server => [self.next[1], self.next[0]],
        };
        let mut header = TcpHeader::new(source.port(), destination.port(), own, u16::MAX);
        header.ack = true;
        header.acknowledgment_number = others;
        header
    }

    fn segment(&self, from: Side, header: TcpHeader, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut packet = Vec::new();
        let built = self.ip(from)?.tcp_header(header);
        built.write(&mut packet, bytes).ok()?;
        let original_bytes = packet.len();
        Some((packet, original_bytes))
    }

    fn datagram(&self, from: Side, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        let (source, destination) = self.ends(from);
        let mut packet = Vec::new();
        let built = self.ip(from)?.udp(source.port(), destination.port());
        built.write(&mut packet, bytes).ok()?;
        let original_bytes = packet.len();
        Some((packet, original_bytes))
    }

    fn ip(&self, from: Side) -> Option<PacketBuilderStep<etherparse::IpHeaders>> {
        let (source, destination) = self.ends(from);
        match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(PacketBuilder::ipv4(
                source.octets(),
                destination.octets(),
                HOPS,
            )),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(PacketBuilder::ipv6(
                source.octets(),
                destination.octets(),
                HOPS,
            )),
            _ => None,
        }
    }
}

/// As many as Linux lets a packet live.
const HOPS: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::{Data, Source};
    use crate::model::dialogue;
    use crate::model::passage::Cut;
    use crate::transcript::event::Event;
    use etherparse::{SlicedPacket, TransportSlice};
    use std::sync::Arc;

    const ALICE: ClientId = ClientId { who: 0, member: 0 };

    fn connected(datagrams: bool) -> ClientEvent {
        let address = |text: &str| Some(Box::new(text.parse().unwrap()));
        ClientEvent::Connected {
            local: address("127.0.0.1:40000"),
            peer: address("127.0.0.1:7000"),
            datagrams,
        }
    }

    /// What comes of these events of a client, a second each.
    fn made(events: Vec<ClientEvent>) -> Made {
        let scenario = dialogue::scenario("nothing", &[("alice", 1)], vec![]);
        let trial = Trial::alone(scenario.clone());
        let events = events.into_iter().map(|event| What::Client(ALICE, event));
        let all = std::iter::once(What::Phase(Phase::Scenario)).chain(events);
        let events = (0..).zip(all).map(|(second, what)| Event {
            at: Duration::from_secs(second),
            what,
        });
        let transcript = Transcript::of(events.collect());
        packets(&trial, &transcript, &scenario)
    }

    /// Of a segment, who has sent it, its flags, its number, what it acknowledges, and its payload.
    fn told(packet: &Packet) -> String {
        let parsed = SlicedPacket::from_ip(&packet.bytes).unwrap();
        let Some(TransportSlice::Tcp(segment)) = parsed.transport else {
            panic!("no segment");
        };
        let flags = [
            (segment.syn(), "S"),
            (segment.fin(), "F"),
            (segment.rst(), "R"),
            (segment.ack(), "A"),
        ];
        let flags: String = flags
            .iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, flag)| *flag)
            .collect();
        format!(
            "{} {flags} {} {} {}",
            segment.source_port(),
            segment.sequence_number(),
            segment.acknowledgment_number(),
            String::from_utf8_lossy(segment.payload())
        )
    }

    #[test]
    fn segments_are_numbered_and_acknowledged_in_order() {
        let made = made(vec![
            ClientEvent::Connecting,
            connected(false),
            ClientEvent::Sent(b"hello".to_vec().into()),
            ClientEvent::Received(b"HELLO!".to_vec().into()),
            ClientEvent::HalfClosed,
            ClientEvent::Ended(End::Fin),
            ClientEvent::Closed,
        ]);
        let expected = [
            "40000 S 0 0 ",
            "7000 SA 0 1 ",
            "40000 A 1 1 ",
            "40000 A 1 1 hello",
            "7000 A 1 6 HELLO!",
            "40000 FA 6 7 ",
            "7000 FA 7 7 ",
        ];
        assert_eq!(made.packets.iter().map(told).collect::<Vec<_>>(), expected);
        let times = made.packets.iter().map(|packet| packet.at.as_secs());
        assert_eq!(times.collect::<Vec<_>>(), [1, 2, 2, 3, 4, 5, 6]);
        let last = made.packets.last().unwrap();
        assert_eq!(last.comments.last().unwrap(), "alice closes");
    }

    #[test]
    fn connections_that_follow_each_other_at_the_same_ports_are_told_apart() {
        let once = [
            ClientEvent::Connecting,
            connected(false),
            ClientEvent::Closed,
        ];
        let made = made([&once[..], &once[..]].concat());
        let told: Vec<String> = made.packets.iter().map(told).collect();
        assert_eq!(told[0], "40000 S 0 0 ");
        assert_eq!(
            told[4..7],
            [
                "40000 S 2654435761 0 ",
                "7000 SA 2654435761 2654435762 ",
                "40000 A 2654435762 2654435762 "
            ]
        );
    }

    #[test]
    fn who_resets_sends_nothing_behind_that() {
        for (resets, port) in [
            (ClientEvent::Reset, 40_000),
            (ClientEvent::Ended(End::Reset), 7_000),
        ] {
            let made = made(vec![
                ClientEvent::Connecting,
                connected(false),
                resets,
                ClientEvent::Closed,
            ]);
            assert_eq!(made.packets.len(), 4);
            assert!(told(&made.packets[3]).starts_with(&format!("{port} RA 1 1")));
        }
    }

    #[test]
    fn large_passages_are_several_packets_and_lose_nothing() {
        let bytes = 200_000;
        let data = Arc::new(Data::from(Source::Pattern { bytes, seed: 7 }));
        let sent = ClientEvent::Sent(Passage::part(&data, 0, 0..bytes));
        let made = made(vec![ClientEvent::Connecting, connected(false), sent]);
        let mut all = Vec::new();
        for packet in &made.packets {
            assert_eq!(packet.bytes.len(), packet.original_bytes);
            assert!(packet.bytes.len() <= 65_535);
            all.extend_from_slice(&packet.bytes[40..]);
        }
        assert!(all == data.bytes(0), "bytes are lost");
    }

    #[test]
    fn bytes_that_are_not_kept_have_a_length_and_a_number() {
        let flood = Cut::of(&[b'x'; 100_000]);
        let made = made(vec![
            ClientEvent::Connecting,
            connected(false),
            ClientEvent::Received(flood.into()),
            ClientEvent::Ended(End::Fin),
        ]);
        let carried: usize = made.packets[3..]
            .iter()
            .map(|packet| packet.original_bytes - 40)
            .sum();
        assert_eq!(carried, 100_000);
        let is_cut = |packet: &&Packet| packet.bytes.len() < packet.original_bytes;
        assert!(made.packets.iter().any(|packet| is_cut(&packet)));
        assert!(told(made.packets.last().unwrap()).starts_with("7000 FA 100001 1"));
    }

    #[test]
    fn empty_datagram_is_a_packet_and_nothing_is_none() {
        let nothing = || ClientEvent::Sent(Vec::new().into());
        let of = |datagrams| {
            made(vec![
                ClientEvent::Connecting,
                connected(datagrams),
                nothing(),
            ])
            .packets
            .len()
        };
        assert_eq!([of(true), of(false)], [1, 3]);
    }
}
