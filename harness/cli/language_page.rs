//! The language of scenario files as a page of documentation: prose, and the tables that read it.

use crate::drill::{Part, usages};
use crate::model::invariant::INVARIANTS;
use std::fmt::Write as _;

const HEAD: &str = r#"# The language of scenario files

This page is what `sockdrill list steps --format markdown` prints. Each block of it that is a file is run by a test.

A `.drill` file says who does what to a server, and what each may expect. A line is a step, words that end in a colon are
settings, `#` begins a comment, and everything stands where it happens: there are no conditions and no arithmetic. What a line
cannot say is a step that is missing.

```drill
# A client that resets in the middle of its request must not disturb the next one.
server: uppercase

case half a message, then reset
  clients: alice mallory

  mallory connect
  mallory send "hel"
  mallory reset  # RST, not FIN
  alice connect
  alice send "hello"
  alice expect "HELLO" within 1s
  alice close
```

`sockdrill run FILE` runs it, each case on a server of its own, and `sockdrill run FILE:4` the case that line 4 is in.
`sockdrill fmt` puts a file in order and keeps its comments. All mistakes of a file are told at once, each in its line with what to
write; whether there is what it names elsewhere (servers, profiles), and whether a variable has a value by then, is looked at once a
file, or a case, has no other. `--message-format short` tells them in a line each, and `--message-format json` to programs.

## How a case is judged

A step is over when what it asks for has happened: a `connect` when the handshake is complete, a `send` when the kernel has the
bytes. What is to be waited for is expected. Each expectation takes what it matches from what has come to the client, so that the next one
begins behind it; a limit is written behind it (`within 1s`), or above the steps for all of the case (`within: 3s`), and else it is
long and the kernel says when nothing more will come.

A case passes where everything that was expected was seen, where each fault was proven to have happened, and where the server is none the worse
for it: it lives, serves a polite client before and after, and has closed what its clients have left. These *invariants* hold after
every case; one that a case has to break is set aside by name, with the reason (`waive: memory "the crowd is large"`).
They are INVARIANTS.

`require` is as `expect`, but nobody's fault: where it is not met the case proves nothing, and is *inconclusive*.

`never` holds for the rest of the case, also for what comes in pieces or over the client's next connection; the server comes to rest
before such a case ends, and is listened to as for `expect silence`, so that what comes a moment later counts. Where more came than is kept, that is inconclusive too.

## Clients

Each name is a client, and `mallory[20]` is a crowd of twenty that do the same: lines of a crowd that follow each other are gone through by each of
them at its own pace, and `barrier` is where they wait for each other. Lines of different clients happen in the order of the text.

## Data, holes and variables

A text stands in quotes. `\r \n \t \0 \\ \" \{ \}` are what they are everywhere, and `\xff` is one byte. In what is expected, a hole in
braces stands for what may differ:

| hole | stands for |
| --- | --- |
| `{any}` | any bytes, as few as what stands behind it leaves |
| `{line}` | the same without a newline |
| `{:REGEX}` | what a [regular expression](https://docs.rs/regex) of bytes takes, as few as what stands behind it leaves |
| `{NAME:REGEX}` | the same, and captures it: `{NAME}` stands for these bytes in every line below, of any client |

A hole ends at the first place at which the fixed text behind it stands, and is not tried again further on. A name that is captured
again stands for what was captured last; what is captured by a crowd belongs to each of its clients alone. Where nothing stands behind a regular expression it takes as much as
comes; it is over when something else comes, the connection ends, the server rests, or the time is up, so write what stands behind it where you
can. Two of them do not stand side by side.

```drill
# What the server makes up is said again by whoever is meant to, and comes to nobody else.
server: uppercase

case a session is told to one client alone
  clients: alice bob

  alice connect
  alice send "sid=17f3;\n"
  alice expect "SID={sid:[0-9A-F]+};\n"
  bob connect
  bob never "{sid}"
  bob send "who are you?\n"
  bob expect "WHO ARE YOU?\n"
  alice send "{sid} again\n"
  alice expect "{sid} AGAIN\n"
```

Where a server has the choice, several ways are written, and the first that fits is taken, a later one where no earlier one can come any more: `alice expect "400{any}\r\n" or fin or reset`.
A name has a value below where each of the ways captures it.
An end that stands beside others is met where nothing else has come before it. `, all bytes first` asks the same of ends that stand alone, and that
none is lost to a reset. `after 200ms` is the time before which it must not come, `within 1s` the one by which it must.

Bytes that are no text are written in digits (`hex "1603 0100"`), in base64, generated (`pattern 64KiB`), or stand in a file beside the
scenario (`file "request.bin"`). Data that is used more than once gets a name:

```drill
# A name for data, and bytes in digits.
server: echo
payload: hello "hello\n" * 3

case what is sent comes back
  clients: alice

  alice connect
  alice send hello in pieces of 4B
  alice expect hello
  alice send hex "00ff"
  alice expect hex "00ff"
```

## TLS

A client begins TLS on a connection that it has, at once or behind what a protocol says before that, and text is what is said and heard inside
from there on:

    alice connect
    alice send "STARTTLS\r\n"
    alice expect "220{line}\n"
    alice start-tls name "localhost" alpn "smtp"
    alice expect secured within 2s
    alice send "EHLO me\r\n"

`start-tls` says the ClientHello, cut and paced as `send` is, and goes on; `expect secured` waits for the end of the handshake, and
stands before anything else that its client sends or expects, but for an end. What else there is means this over TLS:

| step | over TLS |
| --- | --- |
| `start-tls` with `cut at` or `in pieces of` | divides the ClientHello as it is sent: byte 0 is the first of its record, whose header has five bytes. It has other bytes each time, and as many for the same name and protocols |
| `start-tls version 1.2`, `version 1.3` | offers that version alone |
| `start-tls certificate "client.pem" key "client-key.pem"` | shows who it is to a server that asks (RFC 8446, section 4.4.2). The files are in PEM, and the way to them begins at the folder of the scenario |
| `start-tls first 100B` | sends so much of the ClientHello and nothing behind it, until the connection is reset, left or ended, or the server gives up: `expect fin or reset within 10s` |
| `send` with `cut at` or `in pieces of` | divides the records that the text is sent in, not the text: byte 0 is the first of the header of the first record. A record holds up to 16 KiB of text (RFC 8446, section 5.1). In the transcript the text stands where the last of its bytes is sent. Nothing else can be sent over the connection meanwhile |
| the same `as records` | divides the text, and sends each part as a record of its own: what a server hears inside of TLS comes in these parts |
| `half-close`, `close` | say `close_notify`, then FIN; before the handshake is complete, FIN alone |
| `reset`, `vanish`, `stall`, `read`, `send-urgent` | are what they are without TLS: `read 1B` reads a byte of a record, and who stalls answers no handshake either |
| `expect "text"`, `never`, `silence`, captures | are about text. What TLS says by itself, such as session tickets, is no text |
| `expect taken`, `held-back`, `all bytes first` | are about all bytes, those of records too |
| `expect fin` | is about the connection. A `close_notify` of the server is shown in the transcript, is no end, and is answered by one where no FIN follows it (RFC 5246, section 7.2.1): what is sent after that fails as in a pipe that nobody reads; a FIN without it is a FIN, and the transcript tells that there was none |

An alert of the server, and whatever else makes TLS fail, breaks each expectation of text, and of `secured`, with what was seen. It is TLS 1.2 or
1.3, as the server chooses; the transcript has the version, the cipher suite and the protocol that both speak inside. **Certificates are
not verified**: neither the name nor the time nor who has signed them. Nothing is resumed, nor
negotiated again: a server that asks for that with TLS 1.2 is told that the client does not (RFC 5246, section 7.4.1.1), and ends or goes on.

The harness's own clients, who look whether the server still serves, speak TLS where the server's profile has a table `[tls]`.

## What cases share

Above the first case stands what holds for all of them: the server, tags, limits, promises, payloads, and a `setup` whose steps
each case begins with, on a server of its own. `include: FILE` takes all of that from another file, but for its server.

```drill
# Every case begins with a client who has said hello.
server: echo
tags: docs
within: 10s

setup
  clients: alice

  alice connect
  alice send "hello\n"
  alice expect "hello\n"

case another client is served beside her
  tags: two
  clients: bob

  bob connect
  bob send "me too\n"
  bob expect "me too\n"

case she is still there

  alice send "still here\n"
  alice expect "still here\n"
```

A case that is known to fail says so with the reason, `expected: fail "issue 17"`: it fails no run as long as it does, and does when it passes.

## Several servers

A proxy is nothing without what stands behind it: `backend: origin origin.toml` starts that target first, in the same network and with
processes, files and output of its own. The server's target names its address as `{origin.addr}` and its port as `{origin.port}`; a target
that always needs it has it as a table of its own, `[backends.origin]`, and a file that has steps for it says `backend: origin`.
`origin signal KILL`, `origin stop`, `continue` and `start`, and what is expected of its end and its output, are steps as those of `server` are
([recipe](cookbook.md#behind-a-proxy)). The polite clients before and after such a case are left out. A backend that ends though no step
has told it to, or awaits that, makes the case inconclusive, with its last words: what the server does without it is not known to be its fault.
One that goes into the background is refused, as a server is. The programs of `sockdrill repro` start backends, too.

## JSON

`sockdrill fmt --to json FILE` prints a file as JSON ([schema](scenario.schema.json)), for programs that write scenarios: the
steps are the same lines. `run` and `fmt` take it where the name ends in `.json`, and `fmt --to drill` turns it back.
`sockdrill fmt --to picture FILE` draws each case: its clients on the left, the server on the right, and a row for each step.
"#;

/// The page.
pub(super) fn language_page() -> String {
    let invariants: Vec<_> = INVARIANTS
        .iter()
        .map(|row| format!("`{}`", row.name))
        .collect();
    let mut page = HEAD.replace("INVARIANTS", &invariants.join(", "));
    for part in Part::ALL {
        let _ = write!(page, "\n## {}\n", part.title());
        for row in usages().into_iter().filter(|row| row.part == *part) {
            let _ = write!(
                page,
                "\n### `{}`\n\n{}\n\n    {}\n",
                row.usage, row.about, row.example
            );
        }
    }
    page
}
