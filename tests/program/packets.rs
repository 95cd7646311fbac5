//! What clients have sent and received, as Wireshark reads it.

use crate::bundle::Place;
use crate::host::is_required;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

const ECHO: &[&str] = &[PROGRAM, "serve", "echo", "--port", "{port}"];

/// The bundle of a case that fails on a server.
fn failing(server: &[&str], speaks: &str, steps: &str) -> (Place, PathBuf) {
    let case = format!("case c\n  clients: alice crowd[50]\n\n{steps}");
    let place = Place::with(&[("a.drill", &case), ("speaks.toml", speaks)]);
    let words = [
        "run",
        "a.drill",
        "--speaks",
        "speaks.toml",
        "--artifacts",
        "found",
        "--",
    ];
    place.run(&[&words, server].concat()).code(1);
    let bundle = place.path("found/a--c");
    (place, bundle)
}

/// What tshark makes of a bundle's packets; nothing where it is not installed.
fn tshark(bundle: &Path, words: &[&str]) -> Option<String> {
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(bundle.join("trace.pcapng"))
        .args(words);
    // The port of a lab is that of another protocol, too.
    let as_data = [
        "tcp.port==7000,data",
        "udp.port==7000,data",
        "tcp.port==9,data",
        "udp.port==9,data",
    ];
    command
        .arg("-n")
        .args(as_data.iter().flat_map(|rule| ["-d", rule]));
    let Ok(output) = command.output() else {
        assert!(!is_required("tshark"), "tshark is not installed");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Holds all packets to what is well formed, with the sums that their headers say; returns the fields of all, a line each.
fn fields(bundle: &Path, names: &[&str]) -> Option<Vec<String>> {
    let wrong = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || \
                 tcp.analysis.retransmission || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment || \
                 tcp.analysis.out_of_order";
    let sums = [
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
    ];
    let sums: Vec<&str> = sums.iter().flat_map(|option| ["-o", option]).collect();
    assert_eq!(tshark(bundle, &[&sums[..], &["-Y", wrong]].concat())?, "");
    let names: Vec<&str> = names.iter().flat_map(|name| ["-e", name]).collect();
    let told = tshark(bundle, &[&["-T", "fields"], &names[..]].concat())?;
    Some(told.lines().map(str::to_owned).collect())
}

/// What a client and the server have said over the connection of which a comment says this, as tshark follows it.
fn followed(bundle: &Path, over: &str, comment: &str) -> Option<(String, String)> {
    let stream = format!("{over}.stream");
    let filter = format!("frame.comment contains \"{comment}\"");
    let found = tshark(bundle, &["-T", "fields", "-e", &stream, "-Y", &filter])?;
    let number = found.lines().next().unwrap_or_else(|| panic!("{comment}"));
    let told = tshark(
        bundle,
        &["-q", "-z", &format!("follow,{over},raw,{number}")],
    )?;
    let is_hex =
        |line: &&str| !line.is_empty() && line.trim().bytes().all(|byte| byte.is_ascii_hexdigit());
    let (came, went): (Vec<&str>, Vec<&str>) = told
        .lines()
        .filter(is_hex)
        .partition(|line| line.starts_with('\t'));
    Some((said(&went), said(&came)))
}

/// What stands in hexadecimal digits.
fn said(lines: &[&str]) -> String {
    let digits: String = lines.iter().map(|line| line.trim()).collect();
    let bytes = (0..digits.len()).step_by(2);
    let bytes = bytes.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

#[test]
fn segments_are_packets_with_the_steps_as_comments() {
    let steps = "  alice connect\n  alice send \"hello\\n\" in pieces of 4B\n  alice expect \"hello\\n\"\n  alice half-close\n  alice expect \"more\"\n";
    let (_place, bundle) = failing(ECHO, "transport = \"tcp\"", steps);
    let Some(all) = fields(&bundle, &["tcp.flags.str", "frame.comment"]) else {
        return;
    };
    let told = all.join("\n");
    // Above the case stand its title and its server.
    let comment = "alice > \"hell\"\\nline 8: alice send \"hello\\n\" in pieces of 4B";
    assert!(told.contains(comment), "{told}");
    let alice = all
        .iter()
        .skip_while(|line| !line.contains("alice connects"));
    let flags: Vec<String> = alice
        .map(|line| line.split('\t').next().unwrap().replace('·', ""))
        .collect();
    assert_eq!(flags[..3], ["S", "AS", "A"], "{told}");
    assert_eq!(
        flags.iter().filter(|flags| *flags == "AF").count(),
        2,
        "both have ended it\n{told}"
    );
    let said = followed(&bundle, "tcp", "alice connects").unwrap();
    assert_eq!(said, ("hello\n".to_owned(), "hello\n".to_owned()));
    let about = tshark(&bundle, &["-V", "-c", "1"]).unwrap();
    assert!(about.contains("not captured from a wire"), "{about}");
}

#[test]
fn reset_is_a_packet_of_who_has_sent_it() {
    let steps = "  alice connect\n  alice send \"hello\"\n  alice expect \"hello\"\n  alice reset\n  crowd connect\n  crowd expect \"more\" within 100ms\n";
    let (_place, bundle) = failing(ECHO, "transport = \"tcp\"", steps);
    let Some(all) = fields(&bundle, &["tcp.flags.str", "tcp.dstport", "frame.comment"]) else {
        return;
    };
    let resets: Vec<&String> = all.iter().filter(|line| line.contains('R')).collect();
    let [reset] = resets[..] else {
        panic!("{resets:?}");
    };
    assert!(
        reset.contains("\t7000\t") && reset.contains("alice reset"),
        "{reset}"
    );
}

#[test]
fn each_of_a_crowd_has_a_stream_of_its_own() {
    let steps = "  crowd connect\n  crowd send \"hello\\n\"\n  crowd expect \"hello\\n\"\n  crowd expect \"more\" within 100ms\n";
    let (_place, bundle) = failing(ECHO, "transport = \"tcp\"", steps);
    let Some(all) = fields(&bundle, &["tcp.stream", "frame.comment"]) else {
        return;
    };
    let mut streams: Vec<&str> = all
        .iter()
        .filter(|line| line.contains("crowd["))
        .filter_map(|line| line.split('\t').next())
        .collect();
    streams.sort_unstable();
    streams.dedup();
    assert_eq!(streams.len(), 50);
    for member in [0, 49] {
        let said = followed(&bundle, "tcp", &format!("crowd[{member}] connects")).unwrap();
        assert_eq!(said, ("hello\n".to_owned(), "hello\n".to_owned()));
    }
}

#[test]
fn datagrams_are_packets_as_they_were() {
    let server = [PROGRAM, "serve", "udp-echo", "--port", "{port}"];
    let steps = "  alice connect\n  alice send \"one\"\n  alice expect \"one\"\n  alice send \"\"\n  alice expect \"\"\n  alice expect \"more\" within 100ms\n";
    let (_place, bundle) = failing(&server, "transport = \"udp\"", steps);
    let Some(all) = fields(&bundle, &["udp.length", "ip.src", "frame.comment"]) else {
        return;
    };
    let alice = all.iter().filter(|line| line.contains("alice"));
    let lengths: Vec<&str> = alice.filter_map(|line| line.split('\t').next()).collect();
    // Behind the eight bytes of the header.
    assert_eq!(lengths, ["11", "11", "8", "8"], "{all:#?}");
    assert!(
        all.iter().all(|line| line.contains("\t127.0.0.1\t")),
        "{all:#?}"
    );
    let said = followed(&bundle, "udp", "alice > \\\"one\\\"").unwrap();
    assert_eq!(said, ("one".to_owned(), "one".to_owned()));
}

#[test]
fn unix_sockets_have_addresses_for_documentation_and_it_is_said() {
    let server = "import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    client = listener.accept()[0]
    while request := client.recv(4096):
        client.sendall(request)
    client.close()
";
    let steps = "  alice connect\n  alice send \"hello\"\n  alice expect \"hello\"\n  alice expect \"more\" within 100ms\n";
    let command = ["python3", "-c", server, "{path}"];
    let (_place, bundle) = failing(&command, "transport = \"unix\"", steps);
    let Some(all) = fields(&bundle, &["ip.src", "tcp.flags.str"]) else {
        return;
    };
    assert!(
        all.iter().all(|line| line.starts_with("192.0.2.")),
        "{all:#?}"
    );
    let said = followed(&bundle, "tcp", "alice connects").unwrap();
    assert_eq!(said, ("hello".to_owned(), "hello".to_owned()));
    let file = std::fs::read(bundle.join("trace.pcapng")).unwrap();
    let said = String::from_utf8_lossy(&file);
    assert!(
        said.contains("over a Unix socket, which has no addresses"),
        "{said}"
    );
}

#[test]
fn what_is_said_inside_of_tls_is_told_without_it_and_it_is_said() {
    let server = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/scenarios/language/tls.py"
    );
    let steps = "  alice connect\n  alice start-tls name \"localhost\"\n  alice expect secured within 20s\n  alice send \"hello\\n\"\n  alice expect \"HELLO\\n\"\n  alice expect \"more\" within 100ms\n";
    let (_place, bundle) = failing(&["python3", server, "{port}"], "transport = \"tcp\"", steps);
    let Some(all) = fields(&bundle, &["frame.comment"]) else {
        return;
    };
    let told = all.join("\n");
    assert!(
        told.contains("alice > ClientHello") && told.contains("alice * is secured: TLS 1.3"),
        "{told}"
    );
    let said = followed(&bundle, "tcp", "alice connects").unwrap();
    assert_eq!(said, ("hello\n".to_owned(), "HELLO\n".to_owned()));
    let file = std::fs::read(bundle.join("trace.pcapng")).unwrap();
    let said = String::from_utf8_lossy(&file);
    assert!(said.contains("TLS was spoken: "), "{said}");
}

#[test]
fn bytes_that_nobody_has_kept_are_told_by_their_length() {
    let server = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/external/never_stops_talking.py"
    );
    let steps = "  alice connect\n  alice expect silence\n";
    let (_place, bundle) = failing(&["python3", server, "{port}"], "transport = \"tcp\"", steps);
    let Some(all) = fields(&bundle, &["frame.len", "frame.cap_len", "frame.comment"]) else {
        return;
    };
    let is_cut = |line: &&String| {
        let mut numbers = line.split('\t').map_while(|word| word.parse::<u32>().ok());
        numbers.next() > numbers.next()
    };
    let cut: Vec<&String> = all.iter().filter(is_cut).collect();
    assert!(
        cut.iter()
            .any(|line| line.contains("bytes, which were not kept")),
        "{} of {}",
        cut.len(),
        all.len()
    );
    let size = std::fs::metadata(bundle.join("trace.pcapng"))
        .unwrap()
        .len();
    assert!(size < 16 << 20, "{size} bytes");
}
