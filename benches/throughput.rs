//! How many drawn cases a second a property gets through, beside the bare system calls of a connection. It prints and
//! judges nothing: `cargo bench --bench throughput`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use sockdrill::Settings;
use sockdrill::Target;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often each figure is taken; the median is printed.
const ROUNDS: usize = 5;

/// The cases, and the bare connections, of a round.
const CASES: usize = 300;

fn main() {
    let program = Path::new(env!("CARGO_BIN_EXE_sockdrill"));
    for (server, check) in [
        ("echo", "property/stream"),
        ("line-echo", "property/line"),
        ("udp-echo", "property/datagram"),
        ("chat", "property/exchange"),
    ] {
        let target = Target::reference(server, program).expect("a reference server");
        let round = |seed| {
            let mut settings = Settings::default();
            settings.seed = seed;
            settings.cases = Some(CASES);
            settings.only = vec![check.to_owned()];
            let report = sockdrill::check(&target, &settings, &|_| {});
            report.expect("a run").results[0].duration
        };
        print(check, "cases", median(round));
    }
    let place = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
    let address = place.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in place.incoming().flatten() {
            echo(stream);
        }
    });
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..CASES {
            let mut stream = TcpStream::connect(address).expect("a connection");
            let mut reply = [0; 5];
            stream.write_all(b"hello").expect("a request");
            stream.read_exact(&mut reply).expect("a reply");
        }
        begun.elapsed()
    };
    print("connect, send, recv, close", "connections", median(round));
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..bytes]).is_err() {
            return;
        }
    }
}

fn median(round: impl Fn(u64) -> Duration) -> Duration {
    let mut rounds: Vec<Duration> = (1..=ROUNDS as u64).map(round).collect();
    rounds.sort();
    rounds[ROUNDS / 2]
}

fn print(what: &str, unit: &str, median: Duration) {
    let rate = CASES as f64 / median.as_secs_f64();
    println!("{what:<28} {rate:>8.0} {unit}/s");
}
