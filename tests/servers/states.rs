//! Any sequence of what clients may do against the reference echo server, in process: each client gets what it is owed,
//! and one that only stands by is served after every step.

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::strategy::{BoxedStrategy, Just, Strategy};
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use sockdrill::{ReferenceServer, Running};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How many sequences are drawn, and of how many steps at most.
const SEQUENCES: u32 = 64;
const STEPS: usize = 40;

/// How many clients there are.
const CLIENTS: usize = 4;

/// What a client may be owed without reading: it fits the buffers of the kernel, so that no write has to wait for it.
const MOST_OWED: usize = 16 << 10;

/// How long anything may take before it counts as failed; never waited for otherwise.
const LIMIT: Duration = Duration::from_secs(20);

/// Draws the sequences and performs each.
///
/// # Errors
/// The smallest sequence at which a client did not get what it was owed.
pub(crate) fn hold() -> Result<(), String> {
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        ..Config::default()
    };
    let sequences = Clients::sequential_strategy(1..STEPS);
    let held = TestRunner::new(config.clone()).run(&sequences, |(first, steps, seen)| {
        Echo::test_sequential(config.clone(), first, steps, seen);
        Ok(())
    });
    held.map_err(|failure| failure.to_string())
}

/// What is known of a client that is connected.
#[derive(Clone, Debug, Default)]
struct Client {
    /// All that it has sent, which is what it is owed.
    sent: Vec<u8>,
    /// How much of that it has read.
    heard: usize,
    has_half_closed: bool,
}

/// One thing that the client of this number does.
#[derive(Clone, Debug)]
enum Deed {
    Connect(usize),
    Send(usize, Vec<u8>),
    Hear(usize),
    HalfClose(usize),
    Close(usize),
    Reset(usize),
}

impl Deed {
    fn who(&self) -> usize {
        match self {
            Self::Connect(who)
            | Self::Send(who, _)
            | Self::Hear(who)
            | Self::HalfClose(who)
            | Self::Close(who)
            | Self::Reset(who) => *who,
        }
    }
}

/// The model: who is connected, and what each is owed.
struct Clients;

impl ReferenceStateMachine for Clients {
    type State = Vec<Option<Client>>;
    type Transition = Deed;

    fn init_state() -> BoxedStrategy<Self::State> {
        Just(vec![None; CLIENTS]).boxed()
    }

    fn transitions(_: &Self::State) -> BoxedStrategy<Deed> {
        let who = || 0..CLIENTS;
        let bytes = vec(any::<u8>(), 1..4_200);
        proptest::prop_oneof![
            4 => who().prop_map(Deed::Connect),
            6 => (who(), bytes).prop_map(|(who, bytes)| Deed::Send(who, bytes)),
            4 => who().prop_map(Deed::Hear),
            1 => who().prop_map(Deed::HalfClose),
            1 => who().prop_map(Deed::Close),
            1 => who().prop_map(Deed::Reset),
        ]
        .boxed()
    }

    fn preconditions(clients: &Self::State, deed: &Deed) -> bool {
        match (&clients[deed.who()], deed) {
            (None, deed) => matches!(deed, Deed::Connect(_)),
            (Some(_), Deed::Connect(_)) => false,
            (Some(client), Deed::Send(_, bytes)) => {
                let owed = client.sent.len() - client.heard + bytes.len();
                !client.has_half_closed && owed <= MOST_OWED
            }
            (Some(client), Deed::HalfClose(_)) => !client.has_half_closed,
            (Some(_), Deed::Hear(_) | Deed::Close(_) | Deed::Reset(_)) => true,
        }
    }

    fn apply(mut clients: Self::State, deed: &Deed) -> Self::State {
        let client = &mut clients[deed.who()];
        match deed {
            Deed::Connect(_) => *client = Some(Client::default()),
            Deed::Close(_) | Deed::Reset(_) => *client = None,
            Deed::Send(_, bytes) => client
                .iter_mut()
                .for_each(|client| client.sent.extend(bytes)),
            Deed::Hear(_) => client
                .iter_mut()
                .for_each(|client| client.heard = client.sent.len()),
            Deed::HalfClose(_) => client
                .iter_mut()
                .for_each(|client| client.has_half_closed = true),
        }
        clients
    }
}

/// The server, the clients' ends of their connections, and one client that stands by.
struct Echo {
    bystander: TcpStream,
    clients: Vec<Option<Connection>>,
    server: Running,
}

struct Connection {
    stream: TcpStream,
    heard: usize,
}

impl Connection {
    /// Reads as far as the model says that the client has read, and holds what comes against what it has sent.
    fn hear(&mut self, client: &Client) {
        let owed = &client.sent[self.heard..client.heard];
        let mut got = vec![0; owed.len()];
        self.stream.read_exact(&mut got).expect("what is owed");
        assert!(got == owed, "not what was sent");
        self.heard = client.heard;
    }

    /// Reads all that is owed, and behind it the end, where the client has ended too.
    fn hear_out(mut self, mut client: Client) {
        client.heard = client.sent.len();
        self.hear(&client);
        if client.has_half_closed {
            let end = self.stream.read(&mut [0]).expect("the end");
            assert_eq!(end, 0, "more than was sent");
        }
    }
}

impl Echo {
    fn connect(&self) -> TcpStream {
        connect(&self.server)
    }
}

fn connect(server: &Running) -> TcpStream {
    let stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a time-out");
    stream.set_write_timeout(Some(LIMIT)).expect("a time-out");
    stream.set_nodelay(true).expect("an option");
    stream
}

impl StateMachineTest for Echo {
    type SystemUnderTest = Self;
    type Reference = Clients;

    fn init_test(clients: &Vec<Option<Client>>) -> Self {
        let server = ReferenceServer::find("echo").expect("a reference server");
        let server = server.start().expect("a server");
        Self {
            bystander: connect(&server),
            clients: clients.iter().map(|_| None).collect(),
            server,
        }
    }

    fn apply(mut echo: Self, clients: &Vec<Option<Client>>, deed: Deed) -> Self {
        let who = deed.who();
        if let Deed::Connect(_) = deed {
            let stream = echo.connect();
            echo.clients[who] = Some(Connection { stream, heard: 0 });
            return echo;
        }
        let connection = echo.clients[who].as_mut().expect("a connection");
        match &deed {
            Deed::Connect(_) => {}
            Deed::Send(_, bytes) => connection.stream.write_all(bytes).expect("a write"),
            Deed::Hear(_) => connection.hear(clients[who].as_ref().expect("a client")),
            Deed::HalfClose(_) => {
                let ended = connection.stream.shutdown(Shutdown::Write);
                ended.expect("a half-close");
            }
            Deed::Reset(_) => {
                let socket = socket2::SockRef::from(&connection.stream);
                socket.set_linger(Some(Duration::ZERO)).expect("an option");
                echo.clients[who] = None;
            }
            Deed::Close(_) => echo.clients[who] = None,
        }
        echo
    }

    fn check_invariants(echo: &Self, _: &Vec<Option<Client>>) {
        let mut bystander = &echo.bystander;
        let mut reply = [0; 3];
        bystander.write_all(b"yes").expect("a write");
        bystander.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"yes");
    }

    fn teardown(echo: Self, clients: Vec<Option<Client>>) {
        for (connection, client) in echo.clients.into_iter().zip(clients) {
            if let (Some(connection), Some(client)) = (connection, client) {
                connection.hear_out(client);
            }
        }
    }
}
