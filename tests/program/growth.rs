//! What a server leaves behind: a leak is told from a pool, from what is collected late and from what is swept up.

use crate::kit::{Run, sockdrill};
use rstest::rstest;

/// What is said of a server that leaves something behind in one of its ways.
fn left_behind(way: &str, check: &str) -> Run {
    let server = "fixtures/external/leaves_something.py";
    sockdrill(&["check", "--only", check, "--speaks", "echo"])
        .args(["--", "python3", server, way, "{port}"])
        .run()
}

/// A server that does so with what is left, and what is said of it.
#[rstest]
#[case::one_in_ten("one-in-ten", "reset/after-connect", "open sockets grow by 0.")]
#[case::every_byte("every-byte", "bytes/endless-line", "memory grows by ")]
fn what_goes_on_growing_is_told_as_a_rate(
    #[case] way: &str,
    #[case] check: &str,
    #[case] reason: &str,
) {
    if !crate::gives_descriptors(256) {
        return;
    }
    let run = left_behind(way, check).code(1);
    run.prints(format!("fail          {check}  {reason}"))
        .prints(" a connection: ");
}

#[rstest]
#[case::pool("up-to-thirty")]
#[case::garbage("when-collected")]
#[case::sweep("every-six-seconds")]
fn what_is_used_again_or_given_back_late_is_no_leak(#[case] way: &str) {
    if !crate::gives_descriptors(256) {
        return;
    }
    let check = "reset/after-connect";
    left_behind(way, check)
        .code(0)
        .prints(format!("pass          {check}"));
}

/// A server that counts its requests, which another client's are too; it keeps a file of each where it is told to.
const COUNTS: &str = "\
import os, socketserver, sys
kept = []
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line == b'count\\n':
                kept.append(os.dup(0) if sys.argv[2] == 'keeps' else None)
                self.wfile.write(b'%d\\n' % len(kept))
            else:
                self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever(None)
";

/// The exact reply comes once in a server's life, so that its steps cannot be taken again.
#[rstest]
#[case::that_leaves_nothing("forgets", 0, "pass ")]
#[case::that_leaves_a_file("keeps", 3, "the steps cannot be taken again on the same server")]
fn server_that_counts(#[case] way: &str, #[case] code: i32, #[case] prints: &str) {
    let folder = tempfile::tempdir().unwrap();
    let case = "case it counts\n  clients: alice\n\n  alice connect\n  alice send \"count\\n\"\n  alice expect \"1\\n\"\n";
    let file = folder.path().join("counts.drill");
    std::fs::write(&file, case).unwrap();
    sockdrill(&["run", "--speaks", "line-echo"])
        .arg(file)
        .args(["--", "python3", "-c", COUNTS, "{port}", way])
        .run()
        .code(code)
        .prints(prints);
}
