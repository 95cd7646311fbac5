//! Answers every line in capitals, with a thread for each connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "4000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    loop {
        match listener.accept() {
            // What one client does is no other's trouble.
            // Where no thread is to be had, this client is the one who loses by it.
            Ok((stream, _)) => drop(std::thread::Builder::new().spawn(move || answer(&stream))),
            // Out of descriptors: a connection has to end first.
            Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
        }
    }
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        stream.write_all(&line.to_ascii_uppercase())?;
    }
}
